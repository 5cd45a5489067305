"""The typed shape of a pipeline file. Closed: a key that is not listed here is an error.

Sources: sections 1 to 3, 6 and 8 of the language reference. Rules that need more than one field are in `validation`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, Tag
from pydantic.alias_generators import to_camel


class Model(BaseModel):
    """snake_case and camelCase spellings are both accepted, as on the platform."""

    model_config = ConfigDict(
        extra="forbid", strict=True, frozen=True, alias_generator=to_camel, validate_by_name=True, loc_by_alias=False
    )


def _empty_list(value: Any) -> Any:
    return [] if value is None else value


def _empty_mapping(value: Any) -> Any:
    return {} if value is None or value == [] else value


def _false(value: Any) -> Any:
    return False if value is None else value


T = TypeVar("T")
Listed = Annotated[list[T], BeforeValidator(_empty_list)]
Mapped = Annotated[dict[str, T], BeforeValidator(_empty_mapping)]
Flag = Annotated[bool, BeforeValidator(_false)]


class Configuration(Model):
    retries: int | None = Field(None, ge=0)
    retry_delay: int | None = Field(None, ge=0, le=120, description="minutes between attempts")
    timeout: int | None = Field(None, ge=1, description="seconds that one attempt may run")


class Concurrency(Model):
    max_active: int | str | None = None


class PipelineConfiguration(Configuration):
    concurrency: Concurrency | None = None


class Destination(Model):
    integration: Literal["DATADOG", "EMAIL", "MICROSOFT_TEAMS", "PAGER_DUTY", "SLACK", "WEBHOOK"]
    destination: str | None = None
    connection_id: str | None = None
    parameters: dict[str, Any] | None = None


class Alert(Model):
    name: str
    statuses: list[Literal["ANY_COMPLETED", "CANCELLED", "FAILED", "SKIPPED", "SUCCEEDED", "WARNING"]]
    destinations: list[Destination]
    custom_message: str | None = Field(None, max_length=200)
    max_live_alerts: int | None = Field(None, ge=1, le=50)


class Anomaly(Model):
    type: (
        Literal[
            "pipeline_duration_above_baseline",
            "pipeline_duration_below_baseline",
            "task_duration_above_baseline",
            "task_duration_below_baseline",
            "operation_duration_above_baseline",
            "operation_duration_below_baseline",
        ]
        | None
    ) = None
    percentage_above_baseline: int | None = Field(None, ge=1, le=1000)
    percentage_below_baseline: int | None = Field(None, ge=1, le=99)
    min_baseline_seconds: int | None = Field(None, ge=0)
    destinations: Listed[Destination] = []
    operation_types: Listed[str] = []
    operation_names: Listed[str] = []
    max_anomalies: int | None = None


class Input(Model):
    type: Literal["string", "number", "boolean", "dict", "list"]
    default: Any = None
    optional: Flag = False
    options: list[str] | None = Field(None, min_length=1)


class Schedule(Model):
    name: str | None = None
    cron: str
    timezone: str | None = None
    environment: str | None = None
    branch: str | None = None
    run_inputs: Mapped[Any] = {}
    exclude: Listed[str] = []


class SensorCheck(Model):
    integration: str
    sensor_type: str
    connection: str | None = None
    parameters: Mapped[Any] = {}
    map_outputs: Mapped[str] = {}
    outputs: Any = None  # written by an old version of the editor; without meaning


class Sensor(Model):
    name: str = Field(max_length=100)
    cron: str
    timezone: str
    timeout_mins: int = Field(ge=1, le=7200)
    frequency_secs: int | None = Field(None, ge=60, le=600)
    checks: dict[str, SensorCheck] = Field(min_length=1)
    condition: str | None = None
    run_inputs: Mapped[Any] = {}
    environments: list[str] | None = None
    exclude: Listed[str] = []
    alerts: Listed[Alert] = []


class Webhook(Model):
    enabled: bool
    run_inputs: Mapped[Any] = {}
    operation_metadata: Mapped[Any] = {}


class TriggerEvent(Model):
    type: Literal["pipeline"]
    pipeline_id: str
    statuses: list[str] | None = None
    run_inputs: Mapped[Any] = {}


class Matrix(Model):
    inputs: dict[str, list[Any] | str] = Field(min_length=1)
    max_parallel: int | None = Field(None, ge=1)
    sequential: Flag = False
    continue_on_error: Flag = False


class TaskModel(Model):
    integration: str
    integration_job: str
    parameters: dict[str, Any]
    depends_on: Listed[str] = []
    name: str = ""
    connection: str | None = None
    condition: str | None = None
    tags: Listed[str] = []
    treat_failure_as_warning: Flag = False
    configuration: Configuration | None = None
    operation_metadata: Mapped[Any] = {}
    alerts: Listed[Alert] = []
    anomalies: Listed[Anomaly] = []
    paused: Flag = False


class TaskGroupModel(Model):
    tasks: dict[str, TaskModel] = Field(min_length=1)
    depends_on: Listed[str] = []
    name: str | None = None
    condition: str | None = None
    matrix: Matrix | None = None
    paused: Flag = False


def _node_kind(value: Any) -> str:
    has_tasks = "tasks" in value if isinstance(value, dict) else isinstance(value, TaskGroupModel)
    return "TaskGroupModel" if has_tasks else "TaskModel"


Node = Annotated[
    Annotated[TaskGroupModel, Tag("TaskGroupModel")] | Annotated[TaskModel, Tag("TaskModel")], Discriminator(_node_kind)
]


class Pipeline(Model):
    version: Literal["v1"]
    name: str
    pipeline: dict[str, Node]
    schedule: Listed[Schedule] = []
    sensors: Mapped[Sensor] = {}
    trigger_events: Listed[TriggerEvent] = []
    webhook: Webhook | None = None
    inputs: Mapped[Input] = {}
    configuration: PipelineConfiguration | None = None
    alerts: Listed[Alert] = []
    anomalies: Listed[Anomaly] = []
    meta: dict[str, Any] | None = None

    def groups(self) -> dict[str, TaskGroupModel]:
        """Every node as a group; a standalone task is a group of one that carries its dependencies and condition."""
        return {
            node_id: node
            if isinstance(node, TaskGroupModel)
            else TaskGroupModel.model_construct(
                tasks={node_id: node.model_copy(update={"depends_on": [], "condition": None})},
                depends_on=node.depends_on, name=node.name, condition=node.condition, matrix=None, paused=node.paused,
            )
            for node_id, node in self.pipeline.items()
        }  # fmt: skip

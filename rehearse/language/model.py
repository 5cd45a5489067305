"""The typed shape of a pipeline file. Closed: a key that is not listed here is an error.

Sources: sections 1 to 3, 6 and 8 of the language reference; each model's SECTION says which. The descriptions are what
`rehearse explain` prints and what editors show. Rules that need more than one field are in `rules`.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, Tag, WithJsonSchema
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

from rehearse.language.integrations import OPERATION_TYPES

MAX_WINDOW_MINUTES = 7200  # of a sensor (section 8.2)
Terminal = Literal["CANCELLED", "FAILED", "SKIPPED", "SUCCEEDED", "WARNING"]


class Model(BaseModel):
    """snake_case and camelCase spellings are both accepted, as on the platform."""

    model_config = ConfigDict(
        extra="forbid", strict=True, frozen=True, alias_generator=to_camel, validate_by_name=True, loc_by_alias=False
    )
    SECTION: ClassVar[str] = ""


def _empty_list(value: Any) -> Any:
    return [] if value is None else value


def _empty_mapping(value: Any) -> Any:
    return {} if value is None or value == [] else value


def _false(value: Any) -> Any:
    return False if value is None else value


def _number_or_expression(value: Any) -> Any:
    if isinstance(value, str) and value.strip().startswith("${{"):
        return value
    if not isinstance(value, int) or isinstance(value, bool):
        raise PydanticCustomError("int_type", "Input should be a valid integer")
    if value < 0:
        raise PydanticCustomError("greater_than_equal", "Input should be greater than or equal to 0")
    return value


def _operation_type(value: Any) -> Any:
    if isinstance(value, str) and value not in OPERATION_TYPES:
        known = ", ".join(f"'{name}'" for name in OPERATION_TYPES)
        raise PydanticCustomError("enum", "Input should be {expected}", {"expected": known})
    return value


T = TypeVar("T")
Listed = Annotated[list[T], BeforeValidator(_empty_list)]
Mapped = Annotated[dict[str, T], BeforeValidator(_empty_mapping)]
Flag = Annotated[bool, BeforeValidator(_false)]
NumberOrExpression = Annotated[
    Any,
    BeforeValidator(_number_or_expression),
    WithJsonSchema({"anyOf": [{"type": "integer", "minimum": 0}, {"type": "string", "pattern": r"^\s*\$\{\{"}]}),
]
# What it may be is a rule of its own (`matrix-values`), whose message says more.
ListOrExpression = Annotated[Any, WithJsonSchema({"anyOf": [{"type": "array"}, {"type": "string"}]})]
OperationType = Annotated[
    str,
    BeforeValidator(_operation_type),
    WithJsonSchema({"type": "string", "enum": list(OPERATION_TYPES)}),
]


class Configuration(Model):
    """Retries and time limits. A task's own value replaces the pipeline's, field by field."""

    SECTION = "1.3"
    retries: int | None = Field(None, ge=0, description="Automatic new attempts of each failed task. Default 0.")
    retry_delay: int | None = Field(None, ge=0, le=120, description="MINUTES between attempts, at most 120. Default 0.")
    timeout: int | None = Field(None, ge=0, description="SECONDS that one attempt may run. Default: no limit.")


class Concurrency(Model):
    """How many runs of this pipeline may be active at once."""

    SECTION = "1.3"
    max_active: NumberOrExpression | None = Field(
        None, description="Runs active at the same time, or `${{ ENV.X }}`. One too many is SKIPPED. Default: no limit."
    )


class PipelineConfiguration(Configuration):
    """Defaults of every task, and the limit of simultaneous runs."""

    SECTION = "1.3"
    concurrency: Concurrency | None = Field(None, description="Limit of simultaneous runs of this pipeline.")


class Destination(Model):
    """Where an alert goes."""

    SECTION = "1.4"
    integration: Literal["DATADOG", "EMAIL", "MICROSOFT_TEAMS", "PAGER_DUTY", "SLACK", "WEBHOOK"] = Field(
        description="The system that carries the alert."
    )
    destination: str | None = Field(
        None, description="SLACK: channel. EMAIL: address. WEBHOOK: path after the connection's base URL."
    )
    connection_id: str | None = Field(
        None, description="The connection; required for PAGER_DUTY, MICROSOFT_TEAMS, WEBHOOK and DATADOG."
    )
    parameters: dict[str, Any] | None = Field(None, description="WEBHOOK: own body. DATADOG: priority 1 to 5.")


class Alert(Model):
    """A message when a run, a task or a sensor ends in one of the statuses."""

    SECTION = "1.4"
    name: str = Field(description="Unique within its list.")
    statuses: list[Literal["ANY_COMPLETED", "CANCELLED", "FAILED", "SKIPPED", "SUCCEEDED", "WARNING"]] = Field(
        description="Statuses that cause the alert; a sensor's alert knows only FAILED."
    )
    destinations: list[Destination] = Field(description="Where it is sent.")
    custom_message: str | None = Field(
        None, max_length=200, description="Added to the standard text, at most 200 characters."
    )
    max_live_alerts: int | None = Field(
        None, ge=1, le=50, description="Alerts of failing dbt models at one time, per channel and task run. Default 1."
    )


class Anomaly(Model):
    """A warning when a duration is far from the median of earlier runs. It never changes a status."""

    SECTION = "1.5"
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
    ) = Field(None, description="What is compared with what. Default: the *above* type of the level where it stands.")
    percentage_above_baseline: int | None = Field(None, ge=1, le=1000, description="Per cent above. Default 20.")
    percentage_below_baseline: int | None = Field(None, ge=1, le=99, description="Per cent below. Default 75.")
    min_baseline_seconds: int | None = Field(None, ge=0, description="Shorter medians are ignored. SECONDS, default 0.")
    destinations: Listed[Destination] = Field([], description="Where it is sent; not on operation_* types.")
    operation_types: Listed[OperationType] = Field([], description="operation_* only: kinds of operations.")
    operation_names: Listed[str] = Field([], description="operation_* only: names, with * and ?.")
    max_anomalies: int | None = Field(None, ge=1, description="operation_* only: at most so many messages.")


class Input(Model):
    """A value that a run is given when it starts; it stays the same for the whole run, and for its re-runs."""

    SECTION = "6.1"
    type: Literal["string", "number", "boolean", "dict", "list"] = Field(description="The type of the value.")
    default: Any = Field(
        None, description="Used when none is given: a literal, or an expression over ENV, CURRENT_TIME and functions."
    )
    optional: Flag = Field(False, description="true: may be absent, and is then None.")
    options: list[str] | None = Field(
        None, min_length=1, description="Suggestions for a string input. They must hold the default."
    )


class Schedule(Model):
    """Starts a run at fixed times."""

    SECTION = "8.1"
    name: str | None = Field(None, description="A label.")
    cron: str = Field(description="Six fields: minute hour day-of-month month day-of-week year. `0 6 ? * MON-FRI *`.")
    timezone: str | None = Field(None, description="IANA name. Default UTC.")
    environment: str | None = Field(None, description="Name or id of an environment. Default: the default one.")
    branch: str | None = Field(None, description="The git branch to run.")
    run_inputs: Mapped[Any] = Field({}, description="Input name -> value or expression.")
    exclude: Listed[str] = Field([], description="Dates (YYYY-MM-DD, in the time zone) on which it does not fire.")


class SensorCheck(Model):
    """One thing that a sensor looks at."""

    SECTION = "8.2"
    integration: str = Field(description="The integration that is asked.")
    sensor_type: str = Field(description="What is looked for: a file, rows of a query, a status, an event.")
    connection: str | None = Field(None, description="The connection; null for the default one.")
    parameters: Mapped[Any] = Field({}, description="Depend on the sensor type; strings may hold expressions.")
    map_outputs: Mapped[str] = Field({}, description="Input name -> expression over `outputs`.")
    outputs: Any = Field(None, description="Written by an old version of the editor; without meaning.")


class Sensor(Model):
    """Looks again and again, within a window of time, and starts a run when all its checks pass."""

    SECTION = "8.2"
    name: str = Field(max_length=100, description="A label, at most 100 characters.")
    cron: str = Field(description="Opens the window. Six fields, as in a schedule.")
    timezone: str = Field(description="IANA name.")
    timeout_mins: int = Field(
        ge=1,
        le=MAX_WINDOW_MINUTES,
        description="Length of the window in MINUTES; shorter than the time between two openings.",
    )
    frequency_secs: int | None = Field(
        None, ge=60, le=600, description="SECONDS between two looks, 60 to 600. Default 60."
    )
    checks: dict[str, SensorCheck] = Field(min_length=1, description="Check id -> check. All must pass.")
    condition: str | None = Field(None, description="Expression over `outputs`, evaluated once all checks passed.")
    run_inputs: Mapped[Any] = Field({}, description="Constant inputs of the run.")
    environments: list[str] | None = Field(None, description="One run for each. Default: the default environment.")
    exclude: Listed[str] = Field([], description="Dates (YYYY-MM-DD) on which the window does not open.")
    alerts: Listed[Alert] = Field([], description="Sent when the window closes and nothing was found (FAILED).")


class Webhook(Model):
    """Starting a run by an HTTP request."""

    SECTION = "8.3"
    enabled: bool = Field(description="true: the start endpoint may be used.")
    run_inputs: Mapped[Any] = Field({}, description="Inputs that the request need not give.")
    operation_metadata: Mapped[Any] = Field({}, description="Hints for lineage; without effect on a run.")


class TriggerEvent(Model):
    """Starts a run when another pipeline's run ends."""

    SECTION = "8.4"
    type: Literal["pipeline"] = Field(description="The kind of event; there is only this one.")
    pipeline_id: str = Field(description="Id of the other pipeline, or `*` for any.")
    statuses: list[Terminal] | None = Field(None, description="Default SUCCEEDED and WARNING.")
    run_inputs: Mapped[Any] = Field({}, description="May use `outputs.pipeline_run`.")


class Matrix(Model):
    """Runs the whole group once for each item of a list."""

    SECTION = "2.3"
    inputs: dict[str, ListOrExpression] = Field(
        description="Exactly one key, read as MATRIX.<key>: a list, or an expression that gives one."
    )
    max_parallel: int | None = Field(None, ge=1, description="Iterations at the same time. Default: all.")
    sequential: Flag = Field(False, description="One iteration after another, in the order of the list.")
    continue_on_error: Flag = Field(False, description="true: begin further iterations although one failed.")


class TaskModel(Model):
    """One job of one integration."""

    SECTION = "3.1"
    integration: str = Field(description="The system that does the work.")
    integration_job: str = Field(description="What it does; must belong to the integration.")
    parameters: dict[str, Any] = Field(description="Depend on the job; strings may hold expressions.")
    depends_on: Listed[str] = Field([], description="Tasks of the same group that must end before.")
    name: str = Field(description="A label; may hold expressions.")
    connection: str | None = Field(None, description="Connection id or `${{ ENV.X }}`; null for the default one.")
    condition: str | None = Field(
        None, description="Replaces the rule that all upstream tasks ended SUCCEEDED or WARNING."
    )
    tags: Listed[str] = Field([], description="Labels for finding it.")
    treat_failure_as_warning: Flag = Field(False, description="true: a final FAILED becomes WARNING.")
    configuration: Configuration | None = Field(None, description="Retries and timeout of this task.")
    operation_metadata: Mapped[Any] = Field({}, description="Hints for lineage; without effect on a run.")
    alerts: Listed[Alert] = Field([], description="Messages when this task ends.")
    anomalies: Listed[Anomaly] = Field([], description="Warnings about unusual durations.")
    paused: Flag = Field(False, description="true: kept but not executed; counts as SUCCEEDED.")


class TaskGroupModel(Model):
    """Tasks with dependencies among themselves, that share a condition and perhaps a matrix."""

    SECTION = "2.2"
    tasks: dict[str, TaskModel] = Field(min_length=1, description="Task id -> task; at least one.")
    depends_on: Listed[str] = Field([], description="Groups or standalone tasks that must end before.")
    name: str | None = Field(None, description="A label.")
    condition: str | None = Field(
        None, description="Replaces the rule that all upstream tasks ended SUCCEEDED or WARNING."
    )
    matrix: Matrix | None = Field(None, description="Runs the group once for each item of a list.")
    paused: Flag = Field(False, description="true: none of its tasks is executed; they count as SUCCEEDED.")


def _node_kind(value: Any) -> str:
    has_tasks = "tasks" in value if isinstance(value, dict) else isinstance(value, TaskGroupModel)
    return "TaskGroupModel" if has_tasks else "TaskModel"


Node = Annotated[
    Annotated[TaskGroupModel, Tag("TaskGroupModel")] | Annotated[TaskModel, Tag("TaskModel")], Discriminator(_node_kind)
]
UNION_TAGS: dict[str, type[Model]] = {"TaskGroupModel": TaskGroupModel, "TaskModel": TaskModel}


class Pipeline(Model):
    """An Orchestra pipeline, `version: v1`."""

    SECTION = "1.1"
    version: Literal["v1"] = Field(description="Always v1.")
    name: str = Field(description="Label of the pipeline; `#word` in it is a tag (quote the name, then).")
    pipeline: dict[str, Node] = Field(description="Node id -> task group, or a task that stands alone.")
    schedule: Listed[Schedule] = Field([], description="Times at which it starts.")
    sensors: Mapped[Sensor] = Field({}, description="Sensor id -> sensor.")
    trigger_events: Listed[TriggerEvent] = Field([], description="Other pipelines whose end starts this one.")
    webhook: Webhook | None = Field(None, description="Starting it by an HTTP request.")
    inputs: Mapped[Input] = Field({}, description="Input name -> declaration; read as inputs.<name>.")
    configuration: PipelineConfiguration | None = Field(None, description="Retries, timeout, simultaneous runs.")
    alerts: Listed[Alert] = Field([], description="Messages when a run ends.")
    anomalies: Listed[Anomaly] = Field([], description="Warnings about unusual durations.")
    meta: dict[str, Any] | None = Field(None, description="Free notes; nothing reads them when it runs.")

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


MODEL_NAMES: dict[type[Model], str] = {
    Pipeline: "pipeline", TaskGroupModel: "group", TaskModel: "task", Matrix: "matrix", Configuration: "configuration",
    PipelineConfiguration: "pipeline_configuration", Concurrency: "concurrency", Schedule: "schedule", Sensor: "sensor",
    SensorCheck: "check", Webhook: "webhook", TriggerEvent: "trigger_event", Input: "input", Alert: "alert",
    Destination: "destination", Anomaly: "anomaly",
}  # fmt: skip
"""What people call each of them: `schedule.cron` is a key."""

"""The typed shape of a pipeline file. Closed: a key that is not listed here is an error.

Plain dataclasses whose fields carry the kind of their value and its meaning. `shape` reads documents into them, `schema`
makes of them what editors want and `reference` what people read. (A validation library would do the reading, but its
errors would have to be put into our words again, and building its classes takes longer than checking ten files.) Sources:
sections 1 to 3, 6 and 8 of the language reference; each model's SECTION says which. Rules that need more than one field
are in `rules`.
"""

from __future__ import annotations

from dataclasses import MISSING, Field, dataclass, field, fields, replace
from typing import Any, ClassVar, NamedTuple

from rehearse.language.integrations import OPERATION_TYPES
from rehearse.language.statuses import TERMINAL

MAX_WINDOW_MINUTES = 7200  # of a sensor (section 8.2)


class Kind(NamedTuple):
    """What a value may be.

    `name`: text, whole (a number), flag, list, map, model, node (a task group or a task), limit (a number or an
    expression) or any. `of` is the kind of the items of a list or map, or the class of a model. `low` and `high` bound a
    number, `longest` a text in characters, `least` a list or map in items.
    """

    name: str
    of: Any = None
    options: tuple[str, ...] = ()
    low: int | None = None
    high: int | None = None
    longest: int | None = None
    least: int = 0


class Key(NamedTuple):
    """A key of a model. One that is not required may be null, which is the same as leaving it out."""

    name: str
    kind: Kind
    required: bool
    text: str

    @property
    def camel(self) -> str:
        """The other spelling that the platform accepts."""
        first, *rest = self.name.split("_")
        return first + "".join(word.title() for word in rest)


TEXT, FLAG, ANY = Kind("text"), Kind("flag"), Kind("any")


def _one_of(*options: str) -> Kind:
    return Kind("text", options=options)


def _whole(low: int, high: int | None = None) -> Kind:
    return Kind("whole", low=low, high=high)


def _list_of(kind: Kind, least: int = 0) -> Kind:
    return Kind("list", kind, least=least)


def _map_of(kind: Kind, least: int = 0) -> Kind:
    return Kind("map", kind, least=least)


def _model(of: type[Model]) -> Kind:
    return Kind("model", of)


def key(kind: Kind, text: str, default: Any = MISSING) -> Any:
    """A field: without a default it is required; `list` and `dict` as defaults stand for empty ones."""
    metadata = {"kind": kind, "text": text}
    if default in (list, dict):
        return field(default_factory=default, metadata=metadata)
    return field(default=default, metadata=metadata)


class Model:
    """Base class: `SECTION` of the language reference, and what people call it (`schedule.cron` is a key)."""

    SECTION: ClassVar[str] = ""
    NAME: ClassVar[str] = ""


_KEYS: dict[str, dict[str, Key]] = {}


def keys_of(model: type[Model]) -> dict[str, Key]:
    """The keys of a model, in their order."""
    if model.__name__ not in _KEYS:
        _KEYS[model.__name__] = {
            each.name: Key(each.name, each.metadata["kind"], _is_required(each), each.metadata["text"])
            for each in fields(model)  # type: ignore[arg-type]
        }
    return _KEYS[model.__name__]


def _is_required(of: Field[Any]) -> bool:
    return of.default is MISSING and of.default_factory is MISSING


@dataclass(frozen=True, kw_only=True)
class Configuration(Model):
    """Retries and time limits. A task's own value replaces the pipeline's, field by field."""

    SECTION = "1.3"
    NAME = "configuration"
    retries: int | None = key(_whole(0), "Automatic new attempts of each failed task. Default 0.", None)
    retry_delay: int | None = key(_whole(0, 120), "MINUTES between attempts, at most 120. Default 0.", None)
    timeout: int | None = key(_whole(0), "SECONDS that one attempt may run. Default: no limit.", None)


@dataclass(frozen=True, kw_only=True)
class Concurrency(Model):
    """How many runs of this pipeline may be active at once."""

    SECTION = "1.3"
    NAME = "concurrency"
    max_active: int | str | None = key(
        Kind("limit"),
        "Runs active at the same time, or `${{ ENV.X }}`. One too many is SKIPPED. Default: no limit.",
        None,
    )


@dataclass(frozen=True, kw_only=True)
class PipelineConfiguration(Configuration):
    """Defaults of every task, and the limit of simultaneous runs."""

    SECTION = "1.3"
    NAME = "pipeline_configuration"
    concurrency: Concurrency | None = key(_model(Concurrency), "Limit of simultaneous runs of this pipeline.", None)


@dataclass(frozen=True, kw_only=True)
class Destination(Model):
    """Where an alert goes."""

    SECTION = "1.4"
    NAME = "destination"
    integration: str = key(
        _one_of("DATADOG", "EMAIL", "MICROSOFT_TEAMS", "PAGER_DUTY", "SLACK", "WEBHOOK"),
        "The system that carries the alert.",
    )
    destination: str | None = key(
        TEXT, "SLACK: channel. EMAIL: address. WEBHOOK: path after the connection's base URL.", None
    )
    connection_id: str | None = key(
        TEXT, "The connection; required for PAGER_DUTY, MICROSOFT_TEAMS, WEBHOOK and DATADOG.", None
    )
    parameters: dict[str, Any] | None = key(_map_of(ANY), "WEBHOOK: own body. DATADOG: priority 1 to 5.", None)


@dataclass(frozen=True, kw_only=True)
class Alert(Model):
    """A message when a run, a task or a sensor ends in one of the statuses."""

    SECTION = "1.4"
    NAME = "alert"
    name: str = key(TEXT, "Unique within its list.")
    statuses: list[str] = key(
        _list_of(_one_of("ANY_COMPLETED", *TERMINAL)),
        "Statuses that cause the alert; a sensor's alert knows only FAILED.",
    )
    destinations: list[Destination] = key(_list_of(_model(Destination)), "Where it is sent.")
    custom_message: str | None = key(
        Kind("text", longest=200), "Added to the standard text, at most 200 characters.", None
    )
    max_live_alerts: int | None = key(
        _whole(1, 50), "Alerts of failing dbt models at one time, per channel and task run. Default 1.", None
    )


@dataclass(frozen=True, kw_only=True)
class Anomaly(Model):
    """A warning when a duration is far from the median of earlier runs. It never changes a status."""

    SECTION = "1.5"
    NAME = "anomaly"
    type: str | None = key(
        _one_of(
            "pipeline_duration_above_baseline",
            "pipeline_duration_below_baseline",
            "task_duration_above_baseline",
            "task_duration_below_baseline",
            "operation_duration_above_baseline",
            "operation_duration_below_baseline",
        ),
        "What is compared with what. Default: the *above* type of the level where it stands.",
        None,
    )
    percentage_above_baseline: int | None = key(_whole(1, 1000), "Per cent above. Default 20.", None)
    percentage_below_baseline: int | None = key(_whole(1, 99), "Per cent below. Default 75.", None)
    min_baseline_seconds: int | None = key(_whole(0), "Shorter medians are ignored. SECONDS, default 0.", None)
    destinations: list[Destination] = key(
        _list_of(_model(Destination)), "Where it is sent; not on operation_* types.", list
    )
    operation_types: list[str] = key(
        _list_of(_one_of(*OPERATION_TYPES)), "operation_* only: kinds of operations.", list
    )
    operation_names: list[str] = key(_list_of(TEXT), "operation_* only: names, with * and ?.", list)
    max_anomalies: int | None = key(_whole(1), "operation_* only: at most so many messages.", None)


INPUT_TYPES: dict[str, type | tuple[type, ...]] = {
    "string": str, "number": (int, float), "boolean": bool, "dict": dict, "list": list,
}  # fmt: skip


def is_of_type(value: Any, wanted: str) -> bool:
    """Is a value of this type of INPUT_TYPES? A boolean is no number."""
    return isinstance(value, INPUT_TYPES[wanted]) and isinstance(value, bool) == (wanted == "boolean")


@dataclass(frozen=True, kw_only=True)
class Input(Model):
    """A value that a run is given when it starts; it stays the same for the whole run, and for its re-runs."""

    SECTION = "6.1"
    NAME = "input"
    type: str = key(_one_of(*INPUT_TYPES), "The type of the value.")
    default: Any = key(
        ANY, "Used when none is given: a literal, or an expression over ENV, CURRENT_TIME and functions.", None
    )
    optional: bool = key(FLAG, "true: may be absent, and is then None.", False)
    options: list[str] | None = key(
        _list_of(TEXT, 1), "Suggestions for a string input. They must hold the default.", None
    )


@dataclass(frozen=True, kw_only=True)
class Schedule(Model):
    """Starts a run at fixed times."""

    SECTION = "8.1"
    NAME = "schedule"
    name: str | None = key(TEXT, "A label.", None)
    cron: str = key(TEXT, "Six fields: minute hour day-of-month month day-of-week year. `0 6 ? * MON-FRI *`.")
    timezone: str | None = key(TEXT, "IANA name. Default UTC.", None)
    environment: str | None = key(TEXT, "Name or id of an environment. Default: the default one.", None)
    branch: str | None = key(TEXT, "The git branch to run.", None)
    run_inputs: dict[str, Any] = key(_map_of(ANY), "Input name -> value or expression.", dict)
    exclude: list[str] = key(_list_of(TEXT), "Dates (YYYY-MM-DD, in the time zone) on which it does not fire.", list)


@dataclass(frozen=True, kw_only=True)
class SensorCheck(Model):
    """One thing that a sensor looks at."""

    SECTION = "8.2"
    NAME = "check"
    integration: str = key(TEXT, "The integration that is asked.")
    sensor_type: str = key(TEXT, "What is looked for: a file, rows of a query, a status, an event.")
    connection: str | None = key(TEXT, "The connection; null for the default one.", None)
    parameters: dict[str, Any] = key(_map_of(ANY), "Depend on the sensor type; strings may hold expressions.", dict)
    map_outputs: dict[str, str] = key(_map_of(TEXT), "Input name -> expression over `outputs`.", dict)
    outputs: Any = key(ANY, "Written by an old version of the editor; without meaning.", None)


@dataclass(frozen=True, kw_only=True)
class Sensor(Model):
    """Looks again and again, within a window of time, and starts a run when all its checks pass."""

    SECTION = "8.2"
    NAME = "sensor"
    name: str = key(Kind("text", longest=100), "A label, at most 100 characters.")
    cron: str = key(TEXT, "Opens the window. Six fields, as in a schedule.")
    timezone: str = key(TEXT, "IANA name.")
    timeout_mins: int = key(
        _whole(1, MAX_WINDOW_MINUTES), "Length of the window in MINUTES; shorter than the time between two openings."
    )
    frequency_secs: int | None = key(_whole(60, 600), "SECONDS between two looks, 60 to 600. Default 60.", None)
    checks: dict[str, SensorCheck] = key(_map_of(_model(SensorCheck), 1), "Check id -> check. All must pass.")
    condition: str | None = key(TEXT, "Expression over `outputs`, evaluated once all checks passed.", None)
    run_inputs: dict[str, Any] = key(_map_of(ANY), "Constant inputs of the run.", dict)
    environments: list[str] | None = key(_list_of(TEXT), "One run for each. Default: the default environment.", None)
    exclude: list[str] = key(_list_of(TEXT), "Dates (YYYY-MM-DD) on which the window does not open.", list)
    alerts: list[Alert] = key(
        _list_of(_model(Alert)), "Sent when the window closes and nothing was found (FAILED).", list
    )


@dataclass(frozen=True, kw_only=True)
class Webhook(Model):
    """Starting a run by an HTTP request."""

    SECTION = "8.3"
    NAME = "webhook"
    enabled: bool = key(FLAG, "true: the start endpoint may be used.")
    run_inputs: dict[str, Any] = key(_map_of(ANY), "Inputs that the request need not give.", dict)
    operation_metadata: dict[str, Any] = key(_map_of(ANY), "Hints for lineage; without effect on a run.", dict)


@dataclass(frozen=True, kw_only=True)
class TriggerEvent(Model):
    """Starts a run when another pipeline's run ends."""

    SECTION = "8.4"
    NAME = "trigger_event"
    type: str = key(_one_of("pipeline"), "The kind of event; there is only this one.")
    pipeline_id: str = key(TEXT, "Id of the other pipeline, or `*` for any.")
    statuses: list[str] | None = key(_list_of(_one_of(*TERMINAL)), "Default SUCCEEDED and WARNING.", None)
    run_inputs: dict[str, Any] = key(_map_of(ANY), "May use `outputs.pipeline_run`.", dict)


@dataclass(frozen=True, kw_only=True)
class Matrix(Model):
    """Runs the whole group once for each item of a list."""

    SECTION = "2.3"
    NAME = "matrix"
    inputs: dict[str, Any] = key(
        _map_of(ANY), "Exactly one key, read as MATRIX.<key>: a list, or an expression that gives one."
    )
    max_parallel: int | None = key(_whole(1), "Iterations at the same time. Default: all.", None)
    sequential: bool = key(FLAG, "One iteration after another, in the order of the list.", False)
    continue_on_error: bool = key(FLAG, "true: begin further iterations although one failed.", False)


@dataclass(frozen=True, kw_only=True)
class TaskModel(Model):
    """One job of one integration."""

    SECTION = "3.1"
    NAME = "task"
    integration: str = key(TEXT, "The system that does the work.")
    integration_job: str = key(TEXT, "What it does; must belong to the integration.")
    parameters: dict[str, Any] = key(_map_of(ANY), "Depend on the job; strings may hold expressions.")
    depends_on: list[str] = key(_list_of(TEXT), "Tasks of the same group that must end before.", list)
    name: str = key(TEXT, "A label; may hold expressions.")
    connection: str | None = key(TEXT, "Connection id or `${{ ENV.X }}`; null for the default one.", None)
    condition: str | None = key(TEXT, "Replaces the rule that all upstream tasks ended SUCCEEDED or WARNING.", None)
    tags: list[str] = key(_list_of(TEXT), "Labels for finding it.", list)
    treat_failure_as_warning: bool = key(FLAG, "true: a final FAILED becomes WARNING.", False)
    configuration: Configuration | None = key(_model(Configuration), "Retries and timeout of this task.", None)
    operation_metadata: dict[str, Any] = key(_map_of(ANY), "Hints for lineage; without effect on a run.", dict)
    alerts: list[Alert] = key(_list_of(_model(Alert)), "Messages when this task ends.", list)
    anomalies: list[Anomaly] = key(_list_of(_model(Anomaly)), "Warnings about unusual durations.", list)
    paused: bool = key(FLAG, "true: kept but not executed; counts as SUCCEEDED.", False)


@dataclass(frozen=True, kw_only=True)
class TaskGroupModel(Model):
    """Tasks with dependencies among themselves, that share a condition and perhaps a matrix."""

    SECTION = "2.2"
    NAME = "group"
    tasks: dict[str, TaskModel] = key(_map_of(_model(TaskModel), 1), "Task id -> task; at least one.")
    depends_on: list[str] = key(_list_of(TEXT), "Groups or standalone tasks that must end before.", list)
    name: str | None = key(TEXT, "A label.", None)
    condition: str | None = key(TEXT, "Replaces the rule that all upstream tasks ended SUCCEEDED or WARNING.", None)
    matrix: Matrix | None = key(_model(Matrix), "Runs the group once for each item of a list.", None)
    paused: bool = key(FLAG, "true: none of its tasks is executed; they count as SUCCEEDED.", False)


@dataclass(frozen=True, kw_only=True)
class Pipeline(Model):
    """An Orchestra pipeline, `version: v1`."""

    SECTION = "1.1"
    NAME = "pipeline"
    version: str = key(_one_of("v1"), "Always v1.")
    name: str = key(TEXT, "Label of the pipeline; `#word` in it is a tag (quote the name, then).")
    pipeline: dict[str, TaskGroupModel | TaskModel] = key(
        _map_of(Kind("node")), "Node id -> task group, or a task that stands alone."
    )
    schedule: list[Schedule] = key(_list_of(_model(Schedule)), "Times at which it starts.", list)
    sensors: dict[str, Sensor] = key(_map_of(_model(Sensor)), "Sensor id -> sensor.", dict)
    trigger_events: list[TriggerEvent] = key(
        _list_of(_model(TriggerEvent)), "Other pipelines whose end starts this one.", list
    )
    webhook: Webhook | None = key(_model(Webhook), "Starting it by an HTTP request.", None)
    inputs: dict[str, Input] = key(_map_of(_model(Input)), "Input name -> declaration; read as inputs.<name>.", dict)
    configuration: PipelineConfiguration | None = key(
        _model(PipelineConfiguration), "Retries, timeout, simultaneous runs.", None
    )
    alerts: list[Alert] = key(_list_of(_model(Alert)), "Messages when a run ends.", list)
    anomalies: list[Anomaly] = key(_list_of(_model(Anomaly)), "Warnings about unusual durations.", list)
    meta: dict[str, Any] | None = key(_map_of(ANY), "Free notes; nothing reads them when it runs.", None)

    def groups(self) -> dict[str, TaskGroupModel]:
        """Every node as a group; a standalone task is a group of one that carries its dependencies and condition."""
        return {
            node_id: node
            if isinstance(node, TaskGroupModel)
            else TaskGroupModel(
                tasks={node_id: replace(node, depends_on=[], condition=None)}, depends_on=node.depends_on, name=node.name,
                condition=node.condition, paused=node.paused,
            )
            for node_id, node in self.pipeline.items()
        }  # fmt: skip


MODELS: tuple[type[Model], ...] = (
    Pipeline, TaskGroupModel, TaskModel, Matrix, Configuration, PipelineConfiguration, Concurrency, Schedule, Sensor,
    SensorCheck, Webhook, TriggerEvent, Input, Alert, Destination, Anomaly,
)  # fmt: skip

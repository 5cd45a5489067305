"""What a run will do, before anything is done."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from rehearse.errors import ExpressionError
from rehearse.language.evaluation import Scope, resolve
from rehearse.language.model import Alert, Configuration, TaskGroupModel, TaskModel
from rehearse.language.validation import LoadedPipeline
from rehearse.planning.inputs import resolve_inputs


@dataclass(frozen=True)
class PlannedTask:
    """A task with the pipeline's defaults filled in. Parameters are still as written: they are rendered per attempt."""

    id: str
    group_id: str
    name: str
    integration: str
    job: str
    parameters: dict[str, Any]
    connection: str | None
    depends_on: tuple[str, ...]
    condition: str | None
    retries: int
    retry_delay_minutes: int
    timeout_seconds: int | None
    treat_failure_as_warning: bool
    paused: bool

    @property
    def keeps_outputs(self) -> bool:
        return self.parameters.get("set_outputs") not in (None, False)


@dataclass(frozen=True)
class PlannedMatrix:
    """`items` is None when the list is known only at run time. `max_parallel` None means no limit."""

    key: str
    source: Any
    items: tuple[Any, ...] | None
    max_parallel: int | None
    continue_on_error: bool


@dataclass(frozen=True)
class PlannedGroup:
    id: str
    name: str
    depends_on: tuple[str, ...]
    condition: str | None
    matrix: PlannedMatrix | None
    tasks: tuple[PlannedTask, ...]


@dataclass(frozen=True)
class Plan:
    file: str
    alias: str
    name: str
    text: str
    environment: str
    env: dict[str, Any]
    inputs: dict[str, Any]
    created_at: datetime
    groups: tuple[PlannedGroup, ...]
    alerts: tuple[Alert, ...] = ()

    @property
    def tasks(self) -> list[PlannedTask]:
        return [task for group in self.groups for task in group.tasks]


def make_plan(
    loaded: LoadedPipeline, given: Mapping[str, Any], environment: str, env: Mapping[str, Any], now: datetime
) -> Plan:
    """Combine a valid pipeline with inputs and an environment's variables. Raises InputError."""
    pipeline = loaded.pipeline
    inputs = resolve_inputs(pipeline.inputs, given, env, now)
    scope = Scope(inputs=inputs, env=env, orchestra={"current_time": now})
    defaults = pipeline.configuration or Configuration()
    groups = tuple(_group(node_id, node, defaults, scope) for node_id, node in pipeline.groups().items())
    return Plan(
        loaded.file, loaded.alias, pipeline.name, loaded.text, environment, dict(env), inputs, now, groups,
        tuple(pipeline.alerts),
    )  # fmt: skip


def _group(node_id: str, node: TaskGroupModel, defaults: Configuration, scope: Scope) -> PlannedGroup:
    matrix = None
    if node.matrix is not None:
        key, source = next(iter(node.matrix.inputs.items()))
        limit = 1 if node.matrix.sequential else node.matrix.max_parallel
        matrix = PlannedMatrix(key, source, _known_items(source, scope), limit, node.matrix.continue_on_error)
    tasks = tuple(_task(task_id, node_id, node, task, defaults) for task_id, task in node.tasks.items())
    return PlannedGroup(node_id, node.name or "", tuple(node.depends_on), node.condition, matrix, tasks)


def _task(task_id: str, group_id: str, node: TaskGroupModel, task: TaskModel, defaults: Configuration) -> PlannedTask:
    own = task.configuration or Configuration()

    def setting(name: str) -> Any:
        value = getattr(own, name)
        return getattr(defaults, name) if value is None else value

    return PlannedTask(
        task_id, group_id, task.name or task_id, task.integration, task.integration_job, task.parameters, task.connection,
        tuple(task.depends_on), task.condition, setting("retries") or 0, setting("retry_delay") or 0, setting("timeout"),
        task.treat_failure_as_warning, task.paused or node.paused,
    )  # fmt: skip


def _known_items(source: Any, scope: Scope) -> tuple[Any, ...] | None:
    """The matrix list when inputs and environment decide it; None when it depends on a task of the run."""
    try:
        return tuple(matrix_items(resolve(source, scope)))
    except (ExpressionError, ValueError):
        return None


def matrix_items(value: Any) -> list[Any]:
    """The list that a resolved matrix value stands for; text that holds a JSON list counts. Raises ValueError."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            pass
    if not isinstance(value, list):
        raise ValueError(f"the matrix needs a list, not {value!r:.80}")
    return value


def item_key(item: Any) -> str:
    """The name of a matrix iteration: the item's text, a dict's `id`, else its compact JSON (section 2.3)."""
    if isinstance(item, dict):
        return str(item["id"]) if "id" in item else json.dumps(item, separators=(",", ":"), default=str)
    return item if isinstance(item, str) else json.dumps(item, default=str)

"""What a run will do, before anything is done."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from itertools import islice
from typing import Any

from rehearse.errors import ExpressionError, InputError
from rehearse.language.evaluation import Scope, to_text
from rehearse.language.model import Alert, Configuration, Matrix, Pipeline, TaskGroupModel, TaskModel
from rehearse.language.templates import Template, parse_template, render_template, resolve
from rehearse.language.validation import LoadedPipeline
from rehearse.planning.inputs import Undeclared, default_scope, evaluate_openly, hidden_inputs, resolve_inputs
from rehearse.planning.matrix import item_keys, matrix_items
from rehearse.planning.preview import Preview, Scopes, compute, decided, is_known, preview, waits_for
from rehearse.planning.secrets import MASK, redact

SCHEMA_VERSION = 1
PREVIEWS = 20
"""Of a larger matrix only the first iterations are shown with their values filled in."""

SIMULATED = ("stub", "recorded", "outbox")
UNKNOWN_CONNECTION = "unknown connection"
NOT_HERE = ("unsupported", UNKNOWN_CONNECTION)
AT_RUN_TIME = "known at run time"

How = Callable[[str, str, str | None], str]
"""What becomes of a task here: (integration, job, connection id or None) -> `local`, `remote`, or a word of SIMULATED or
NOT_HERE."""


@dataclass(frozen=True)
class PlannedTask:
    """A task with the pipeline's defaults filled in. Parameters are still as written: they are rendered per attempt.

    `runs`: what becomes of it on this machine: `local`, a word of SIMULATED or NOT_HERE, or AT_RUN_TIME; several words when
    the items of its matrix name different connections.
    `selected`: whether this run executes it. If not, `carried` is the status that it takes over from an earlier run.
    """

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
    tags: tuple[str, ...] = ()
    alerts: tuple[Alert, ...] = ()
    runs: tuple[str, ...] = ("local",)
    selected: bool = True
    carried: str | None = None
    links: tuple[str, ...] = ()
    """Connections that its operation_metadata names: it sees their values, too (section 10)."""

    @property
    def keeps_outputs(self) -> bool:
        return self.parameters.get("set_outputs") not in (None, False)

    @property
    def is_executed(self) -> bool:
        """Unless its condition says no, or something upstream fails."""
        return self.selected and not self.paused


@dataclass(frozen=True)
class PlannedMatrix:
    """`max_parallel` None means no limit.

    `items` is None when there is no list: not yet, as it `waits_for` tasks or groups of the run, or never, because of a
    `problem`. `shown` are the items as they may be shown.
    """

    key: str
    source: Any
    items: tuple[Any, ...] | None = field(repr=False)
    max_parallel: int | None
    continue_on_error: bool
    sequential: bool = False
    shown: tuple[Any, ...] | None = None
    waits_for: tuple[str, ...] = ()
    problem: str | None = None

    @property
    def shown_source(self) -> Any:
        """What the list is made of, as it may be shown."""
        return redact("", self.source)

    def iterations(self, scopes: Scopes, most: int | None = None) -> Iterator[tuple[str | None, Scopes]]:
        """(key, variables) of the first `most` iterations; (None, the same variables) when there is no list."""
        if self.items is None or self.shown is None:
            yield None, scopes
        else:
            keyed = zip(item_keys(self.shown), self.items, self.shown, strict=True)
            for key, item, shown in islice(keyed, most):
                yield key, scopes.of_item(self.key, item, shown)


@dataclass(frozen=True)
class PlannedGroup:
    id: str
    name: str
    depends_on: tuple[str, ...]
    condition: str | None
    matrix: PlannedMatrix | None
    tasks: tuple[PlannedTask, ...]
    paused: bool = False

    @property
    def iterations(self) -> int | None:
        """How often its tasks run; None when only the run can tell."""
        if self.matrix is None:
            return 1
        return None if self.matrix.items is None else len(self.matrix.items)

    @property
    def is_standalone(self) -> bool:
        """Whether it stands for a single task outside of groups, and carries its dependencies and condition."""
        return [task.id for task in self.tasks] == [self.id]


@dataclass(frozen=True)
class Plan:
    """Everything that decides a run, in one value. `inputs` and `env` are the true values; whoever prints uses
    `shown_inputs`, `shown_env` and `previews`, in which secrets are masked.

    `hidden`: the inputs whose value came out of a secret variable. `max_active` None: any number of runs at the same time.
    """

    file: str
    alias: str
    name: str
    text: str = field(repr=False)
    environment: str
    env: dict[str, Any] = field(repr=False)
    inputs: dict[str, Any] = field(repr=False)
    created_at: datetime
    groups: tuple[PlannedGroup, ...]
    alerts: tuple[Alert, ...] = ()
    max_active: int | None = None
    hidden: tuple[str, ...] = ()
    secrets: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)
    """What `secrets.NAME` of parameters and conditions gives. Read by runs alone, never for a plan that is shown."""
    branch: str | None = None

    @property
    def tasks(self) -> list[PlannedTask]:
        return [task for group in self.groups for task in group.tasks]

    @property
    def shown_inputs(self) -> dict[str, Any]:
        return {name: MASK if name in self.hidden else redact(name, value) for name, value in self.inputs.items()}

    @property
    def shown_env(self) -> dict[str, Any]:
        return {name: redact(name, value) for name, value in self.env.items()}

    @cached_property
    def scopes(self) -> Scopes:
        """The variables that are known before the run, as they are and as they may be shown."""
        started = {"pipeline_run_started_at": self.created_at}
        return Scopes(
            Scope(orchestra=started, inputs=self.inputs, env=self.env),
            Scope(orchestra=started, inputs=self.shown_inputs, env=self.shown_env),
        )

    def previews(self, group: PlannedGroup) -> dict[str, list[Preview]]:
        """task id -> the task with what is known filled in: once, or for each of the first items of a known matrix."""
        inside = list(group.matrix.iterations(self.scopes, PREVIEWS)) if group.matrix else [(None, self.scopes)]
        return {
            task.id: [preview(item, task.name, task.connection, task.parameters, scopes) for item, scopes in inside]
            for task in group.tasks
        }

    def decided(self, condition: str) -> bool | None:
        """The value of a condition when inputs and environment decide it, else None."""
        return decided(condition, self.scopes)


def make_plan(
    loaded: LoadedPipeline,
    given: Mapping[str, Any],
    environment: str,
    env: Mapping[str, Any],
    now: datetime,
    *,
    undeclared: Undeclared = "refuse",
    how: How = lambda integration, job, connection: "local",
) -> Plan:
    """Combine a valid pipeline with inputs and an environment's variables. Equal arguments give equal plans.

    Raises InputError for inputs as `resolve_inputs` does, and for a limit of runs that is no whole number.
    """
    pipeline = loaded.pipeline
    inputs = resolve_inputs(pipeline.inputs, given, env, now, undeclared)
    empty = Plan(
        loaded.file, loaded.alias, pipeline.name, loaded.text, environment, dict(env), inputs, now, (),
        tuple(pipeline.alerts), _max_active(pipeline, default_scope(env, now)),
        hidden_inputs(pipeline.inputs, inputs, env, now),
    )  # fmt: skip
    builder = _Builder(pipeline, empty.scopes, how)
    return replace(empty, groups=tuple(builder.group(node_id, node) for node_id, node in pipeline.groups().items()))


class _Builder:
    def __init__(self, pipeline: Pipeline, scopes: Scopes, how: How):
        self._defaults = pipeline.configuration or Configuration()
        self._scopes = scopes
        self._how = how
        ids = (name for node_id, group in pipeline.groups().items() for name in (node_id, *group.tasks))
        self._spelling = {name.lower(): name for name in ids}

    def group(self, node_id: str, node: TaskGroupModel) -> PlannedGroup:
        matrix = self._matrix(node.matrix) if node.matrix else None
        tasks = tuple(self._task(task_id, node_id, node, task, matrix) for task_id, task in node.tasks.items())
        name = node.name or ""
        return PlannedGroup(node_id, name, tuple(node.depends_on), node.condition, matrix, tasks, node.paused)

    def _matrix(self, matrix: Matrix) -> PlannedMatrix:
        key, source = next(iter(matrix.inputs.items()))
        limit = 1 if matrix.sequential else matrix.max_parallel
        planned = PlannedMatrix(key, source, None, limit, matrix.continue_on_error, matrix.sequential)
        if not is_known(source, self._scopes.real):
            read = sorted(waits_for(source) & self._spelling.keys())
            return replace(planned, waits_for=tuple(self._spelling[name] for name in read))
        found = compute(lambda scope: self._items(source, scope), self._scopes)
        if found.value is None:
            return replace(planned, problem=found.problem)
        # Of a list that is hidden as a whole the length may be seen: that many tasks will run.
        alike = isinstance(found.shown, tuple) and len(found.shown) == len(found.value)
        return replace(planned, items=found.value, shown=found.shown if alike else (MASK,) * len(found.value))

    def _items(self, source: Any, scope: Scope) -> tuple[Any, ...]:
        value = resolve(source, scope)
        if scope is self._scopes.real:
            return tuple(matrix_items(value))
        return tuple(
            redact("", matrix_items(redact("", value)))
        )  # literal dicts, too, may have keys that tell of a secret

    def _task(
        self, task_id: str, group_id: str, node: TaskGroupModel, task: TaskModel, matrix: PlannedMatrix | None
    ) -> PlannedTask:
        own = task.configuration or Configuration()

        def setting(name: str) -> Any:
            value = getattr(own, name)
            return getattr(self._defaults, name) if value is None else value

        return PlannedTask(
            task_id, group_id, task.name or task_id, task.integration, task.integration_job, task.parameters,
            task.connection, tuple(task.depends_on), task.condition, setting("retries") or 0, setting("retry_delay") or 0,
            setting("timeout") or None, task.treat_failure_as_warning, task.paused or node.paused, tuple(task.tags),
            tuple(task.alerts), self._runs(task, matrix), links=_links(task),
        )  # fmt: skip

    def _runs(self, task: TaskModel, matrix: PlannedMatrix | None) -> tuple[str, ...]:
        scopes = [self._scopes.real]
        if matrix is not None and matrix.items and not is_known(task.connection, scopes[0]):
            scopes = [replace(scopes[0], matrix={matrix.key: item}) for item in matrix.items]
        if not is_known(task.connection, scopes[0]):
            return (AT_RUN_TIME,)
        named = parse_template(task.connection or "")
        connections = dict.fromkeys(_rendered(named, scope) for scope in scopes)
        job = (task.integration, task.integration_job)
        return tuple(
            dict.fromkeys(UNKNOWN_CONNECTION if name is None else self._how(*job, name or None) for name in connections)
        )


def _links(task: TaskModel) -> tuple[str, ...]:
    entries = (task.operation_metadata or {}).values()
    named = (entry.get("connection") for entry in entries if isinstance(entry, Mapping))
    return tuple(dict.fromkeys(name for name in named if isinstance(name, str) and name and "${{" not in name))


def _rendered(template: Template, scope: Scope) -> str | None:
    """None when it cannot be evaluated."""
    try:
        return to_text(render_template(template, scope))
    except ExpressionError:
        return None


def _max_active(pipeline: Pipeline, scope: Scope) -> int | None:
    """Sections 1.3 and 11 (Q12): a number, or an expression over ENV; 0 means no limit."""
    configuration = pipeline.configuration
    written = configuration.concurrency.max_active if configuration and configuration.concurrency else None
    if written is None:
        return None
    text = evaluate_openly(
        lambda scope: to_text(resolve(written, scope)), scope, f"concurrency.max_active is '{written}'"
    )
    if not (text.isascii() and text.isdecimal()):
        raise InputError(f"concurrency.max_active is '{written}', which gives no whole number",
                         "correct that variable of the environment")  # fmt: skip
    return int(text) or None

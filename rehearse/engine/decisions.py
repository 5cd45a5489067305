"""The state machine of a run: an event goes in, actions come out. Pure: time and ids are injected, nothing is started here.

Rules: sections 2.3, 4 and 5.7 of the language reference. Work per event is proportional to what the event touches, not to
the size of the run, because a matrix may have ten thousand iterations.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from rehearse.bindings.secrets import hide
from rehearse.engine.states import (
    CARRIED,
    LIST_CHANGED,
    NOT_SELECTED,
    Action,
    Changed,
    Finish,
    GroupState,
    Iteration,
    Lost,
    Ready,
    Retry,
    Start,
    Stop,
    TaskRun,
    fill,
    has_started,
    worst,
)
from rehearse.errors import ExpressionError
from rehearse.language import templates
from rehearse.language.evaluation import Scope, TaskVariable, to_text, truthy
from rehearse.language.statuses import GOOD, TERMINAL
from rehearse.language.templates import render_template, resolve
from rehearse.planning.inputs import SECRETS_OUT_OF_REACH
from rehearse.planning.matrix import item_keys, matrix_items
from rehearse.planning.plan import Plan, PlannedGroup
from rehearse.planning.selection import Carried


class Machine:
    """The decisions of one run. Feed it events; do the actions that it returns, in order.

    `carried`: label of a task run -> what an earlier run leaves to it.
    """

    def __init__(
        self,
        plan: Plan,
        run_id: str,
        now: Callable[[], datetime],
        new_id: Callable[[], str],
        carried: Mapping[str, Carried] = {},
    ):
        self.plan = plan
        self.run_id = run_id
        self.status = "CREATED"
        self.cancelled = False
        self._now = now
        self._new_id = new_id
        self._carried = carried
        self._actions: list[Action] = []
        # What is still to be decided. A queue instead of calls, so that a long chain of skips needs no deep stack.
        self._due: deque[Callable[[], None]] = deque()
        self.groups = {group.id: GroupState(group, len(group.depends_on)) for group in plan.groups}
        self._dependents: dict[str, list[GroupState]] = {group_id: [] for group_id in self.groups}
        self._home: dict[str, str] = {}  # task id, folded -> group id
        for state in self.groups.values():
            for upstream in state.plan.depends_on:
                self._dependents[upstream].append(state)
            self._home |= {task.id.lower(): state.plan.id for task in state.plan.tasks}
            for key in self._carried_keys(state.plan) or [None]:
                self._instantiate(state, key, None)
        self._open_groups = len(self.groups)

    @property
    def runs(self) -> list[TaskRun]:
        return [run for group in self.groups.values() for run in group.runs]

    # Events

    def start(self) -> list[Action]:
        self.status = "RUNNING"
        if not self.groups:
            self._finish()
        roots = [state for state in self.groups.values() if state.waiting_for == 0]
        self._due += [partial(self._decide_group, state) for state in roots]
        return self._take()

    def begin(self, run: TaskRun) -> list[Action]:
        """There is a worker for a run that was `Ready`: its parameters are evaluated now."""
        if run.status == "QUEUED":
            self._begin(run)
        return self._take()

    def ended(self, run: TaskRun, status: str, message: str | None, outputs: Mapping[str, Any]) -> list[Action]:
        """An attempt ended as SUCCEEDED, WARNING, FAILED or CANCELLED."""
        if run.terminal:  # cancelled while it waited for a worker
            return self._take()
        if status not in TERMINAL:
            status, message = "FAILED", f"it ended with the unknown status '{status}'"
        run.outputs.update(outputs)
        run.message = message
        if status == "FAILED" and run.attempt <= run.task.retries and not self.cancelled:
            run.status = "QUEUED"
            run.retry_at = self._now() + timedelta(minutes=run.task.retry_delay_minutes)
            self._actions += [Changed(run), Retry(run, run.task.retry_delay_minutes * 60.0)]
        else:
            if self.cancelled and status == "FAILED" and run.status == "CANCELLING":
                status = "CANCELLED"
            self._end(run, status, message)
        return self._take()

    def retry_due(self, run: TaskRun) -> list[Action]:
        if run.status == "QUEUED" and run.retry_at is not None:
            run.retry_at = None
            self._actions.append(Ready(run))
        return self._take()

    def requeue(self, run: TaskRun) -> list[Action]:
        """A running attempt turns out never to have begun: it begins again, with the same number."""
        run.status, run.has_begun = "QUEUED", False
        self._actions += [Changed(run), Ready(run)]
        return self._take()

    def cancel(self) -> list[Action]:
        """Running tasks are stopped, the others are CANCELLED at once, and nothing is decided any more."""
        self.cancelled = True
        self.status = "CANCELLING"
        self._due.clear()
        for state in self.groups.values():
            state.queue.clear()
        for run in self.runs:
            if run.status == "RUNNING":
                run.status = "CANCELLING"
                self._actions += [Changed(run), Stop(run)]
            elif run.status in ("CREATED", "QUEUED"):
                self._end(run, "CANCELLED", None)
        return self._take()

    # After a crash

    @classmethod
    def restore(
        cls,
        plan: Plan,
        run_id: str,
        now: Callable[[], datetime],
        new_id: Callable[[], str],
        rows: Iterable[Mapping[str, Any]],
        status: str,
        carried: Mapping[str, Carried] = {},
    ) -> Machine:
        """The machine of a run again, from what was stored of its task runs: see `store.records` for the columns.

        What was stored last was a state in which all that was due had been decided. Go on with `resume`, and with `ended` or
        `requeue` for each run that is RUNNING or CANCELLING.
        """
        machine = cls(plan, run_id, now, new_id, carried)
        by_group: dict[str, list[Mapping[str, Any]]] = {}
        for row in rows:
            by_group.setdefault(row["group_id"], []).append(row)
        for state in machine.groups.values():
            machine._restore_group(state, by_group.get(state.plan.id, []))
        machine.cancelled = status == "CANCELLING"
        if any(run.counts and run.carried is None and run.status != "CREATED" for run in machine.runs):
            machine.status = "CANCELLING" if machine.cancelled else "RUNNING"
            machine._restore_counters()
        return machine

    def resume(self) -> list[Action]:
        """What was to be done when the engine died, except for attempts that were running."""
        if self.status == "CREATED":
            return self.cancel() if self.cancelled else self.start()
        for run in self.runs:
            if run.status == "QUEUED" and run.retry_at is not None:
                self._actions.append(Retry(run, max(0.0, (run.retry_at - self._now()).total_seconds())))
            elif run.status == "QUEUED":
                self._actions.append(Ready(run))
        if self._open_groups == 0:
            self._finish()
        return self._take()

    def in_flight(self) -> list[TaskRun]:
        """What has been decided and has not ended."""
        return [run for run in self.runs if run.status in ("QUEUED", "RUNNING", "CANCELLING")]

    def rendered(self, run: TaskRun, scope: Scope | None = None) -> tuple[dict[str, Any], str | None]:
        """Parameters and connection of an attempt, also of one that began before a crash. Raises ExpressionError."""
        scope = scope or self._scope(run)
        parameters = resolve(run.task.parameters, replace(scope, secrets=self.plan.secrets))
        return parameters, to_text(resolve(run.task.connection, scope)) or None

    def _restore_group(self, state: GroupState, rows: list[Mapping[str, Any]]) -> None:
        stored = {(row["task_id"], row["item"]): row for row in rows}
        keys = dict.fromkeys(row["item"] for row in rows)
        if state.plan.matrix is not None and rows and None not in keys:
            self._restore_iterations(state, list(keys))
        for iteration in state.iterations:
            for run in iteration.runs.values():
                if (row := stored.get((run.task.id, iteration.key))) is not None:
                    fill(run, row)
            iteration.unfinished = sum(not run.terminal for run in iteration.runs.values())
        state.unfinished = sum(iteration.unfinished > 0 for iteration in state.iterations)
        if state.plan.matrix is not None:
            state.queue.extend(
                iteration
                for iteration in state.iterations
                if iteration.key is not None and iteration.unfinished and not has_started(iteration)
            )

    def _restore_iterations(self, state: GroupState, keys: list[str]) -> None:
        """The items are worked out again. A list that is another one by now leaves the old iterations without items."""
        try:
            items = self._items(state)
            by_key = dict(zip(item_keys(items), items, strict=True))
        except (ExpressionError, ValueError):
            by_key = {}
        state.iterations.clear()
        state.unfinished = 0
        known = [key for key in by_key if key in keys] if set(by_key) == set(keys) else keys
        for key in known:
            self._instantiate(state, key, by_key.get(key, Lost))

    def _restore_counters(self) -> None:
        closed: set[str] = set()
        waiting = list(self.groups.values())
        while waiting:
            now = [s for s in waiting if s.unfinished == 0 and closed.issuperset(s.plan.depends_on)]
            if not now:
                break
            closed |= {state.plan.id for state in now}
            waiting = [state for state in waiting if state not in now]
        for group_id in closed:
            self._open_groups -= 1
            for dependent in self._dependents[group_id]:
                dependent.waiting_for -= 1

    # Groups

    def _decide_group(self, state: GroupState) -> None:
        group = state.plan
        if not any(run.status == "CREATED" for run in state.runs):
            self._actions += [Changed(run) for run in state.runs]
            self._close_group(state)
            return
        upstream = [run for group_id in group.depends_on for run in self.groups[group_id].runs]
        try:
            wanted = self._wanted(group.condition, upstream, None)
            items = self._items(state) if wanted and group.matrix else None
        except (ExpressionError, ValueError) as e:
            self._end_all(state, "FAILED", hide(str(e), self.plan.secrets))
            return
        if not wanted or items == []:
            self._end_all(state, "SKIPPED", None)
        elif items is None:
            self._start_iteration(state.iterations[0])
        else:
            self._expand(state, items)

    def _items(self, state: GroupState) -> list[Any]:
        assert state.plan.matrix is not None
        return matrix_items(resolve(state.plan.matrix.source, self._scope(None)))

    def _expand(self, state: GroupState, items: list[Any]) -> None:
        state.iterations.clear()
        state.unfinished = 0
        for key, item in zip(item_keys(items), items, strict=True):
            self._instantiate(state, key, item)
        self._actions += [Changed(run) for run in state.runs]
        assert state.plan.matrix is not None
        to_do = [iteration for iteration in state.iterations if iteration.unfinished]
        limit = state.plan.matrix.max_parallel or len(to_do)
        state.queue.extend(to_do[limit:])
        self._due += [partial(self._start_iteration, iteration) for iteration in to_do[:limit]]
        if not to_do:
            self._close_group(state)

    def _instantiate(self, state: GroupState, key: str | None, item: Any) -> None:
        iteration = Iteration(state, key, item, unfinished=len(state.plan.tasks), index=len(state.iterations))
        for task in state.plan.tasks:
            run = iteration.runs[task.id] = TaskRun(self._new_id(), task, iteration, name=task.name)
            left = self._carried.get(run.label)
            if left is not None:
                run.status, run.message, run.carried, run.outputs = "SKIPPED", CARRIED, left.status, dict(left.outputs)
            elif not task.selected:
                run.status, run.message = "SKIPPED", NOT_SELECTED
            iteration.unfinished -= run.terminal
        state.iterations.append(iteration)
        state.unfinished += iteration.unfinished > 0

    def _carried_keys(self, group: PlannedGroup) -> list[str | None]:
        """The iterations of a matrix of which nothing is executed again: what they left is known by item."""
        if group.matrix is None or not self._carried or any(task.selected for task in group.tasks):
            return []
        starts = [f"{task.id}[" for task in group.tasks]
        return list(dict.fromkeys(label[len(s) : -1] for s in starts for label in self._carried if label.startswith(s)))

    def _end_all(self, state: GroupState, status: str, message: str | None) -> None:
        """End a group of which nothing was started; its tasks get no chance of their own."""
        for run in state.runs:
            if run.status == "CREATED":
                self._record(run, status, message)
        self._close_group(state)

    def _close_group(self, state: GroupState) -> None:
        self._open_groups -= 1
        for dependent in self._dependents[state.plan.id]:
            dependent.waiting_for -= 1
            if dependent.waiting_for == 0:
                self._due.append(partial(self._decide_group, dependent))
        if self._open_groups == 0:
            self._finish()

    # Iterations and tasks

    def _start_iteration(self, iteration: Iteration) -> None:
        if iteration.item is Lost:
            for run in iteration.runs.values():
                if run.status == "CREATED":
                    self._end(run, "FAILED", LIST_CHANGED)
            return
        for run in iteration.runs.values():
            if run.status == "CREATED" and all(iteration.runs[task_id].terminal for task_id in run.task.depends_on):
                self._due.append(partial(self._decide_task, run))

    def _decide_task(self, run: TaskRun) -> None:
        if run.status != "CREATED":
            return
        upstream = [run.iteration.runs[task_id] for task_id in run.task.depends_on]
        try:
            wanted = self._wanted(run.task.condition, upstream, run)
        except ExpressionError as e:
            self._end(run, "FAILED", hide(f"condition: {e}", self.plan.secrets))
            return
        if not wanted:
            self._end(run, "SKIPPED", None)
        elif run.task.paused:
            self._end(run, "SUCCEEDED", "paused: not executed")
        else:
            run.status = "QUEUED"
            self._actions += [Changed(run), Ready(run)]

    def _begin(self, run: TaskRun) -> None:
        run.attempt += run.has_begun
        run.has_begun = True
        run.message = None
        try:
            scope = self._scope(run)
            run.name = to_text(resolve(run.task.name, scope))
            parameters, connection = self.rendered(run, scope)
        except ExpressionError as e:
            hint = f" ({e.hint})" if e.hint else ""
            self._end(run, "FAILED", hide(f"parameters: {e}{hint}", self.plan.secrets))
            return
        run.status = "RUNNING"
        run.started_at = run.started_at or self._now()
        self._actions += [Changed(run), Start(run, run.attempt, parameters, connection)]

    def _record(self, run: TaskRun, status: str, message: str | None) -> None:
        if status == "FAILED" and run.task.treat_failure_as_warning:
            status = "WARNING"
        run.status, run.message = status, message
        run.ended_at = self._now()
        self._actions.append(Changed(run))

    def _end(self, run: TaskRun, status: str, message: str | None) -> None:
        self._record(run, status, message)
        iteration = run.iteration
        iteration.unfinished -= 1
        for other in iteration.runs.values():
            waiting = other.status == "CREATED" and run.task.id in other.task.depends_on
            if waiting and all(iteration.runs[task_id].terminal for task_id in other.task.depends_on):
                self._due.append(partial(self._decide_task, other))
        if iteration.unfinished == 0:
            self._close_iteration(iteration)

    def _close_iteration(self, iteration: Iteration) -> None:
        state = iteration.group
        state.unfinished -= 1
        matrix = state.plan.matrix
        failed = any(run.status == "FAILED" for run in iteration.runs.values())
        if failed and matrix is not None and not matrix.continue_on_error:
            for later in state.queue:
                for run in later.runs.values():
                    if run.status == "CREATED":
                        self._record(run, "SKIPPED", "an earlier iteration failed")
            state.unfinished -= len(state.queue)
            state.queue.clear()
        if state.queue:
            self._due.append(partial(self._start_iteration, state.queue.popleft()))
        if state.unfinished == 0:
            self._close_group(state)

    # Evaluation

    def _wanted(self, condition: str | None, upstream: list[TaskRun], run: TaskRun | None) -> bool:
        """What is not selected counts for nothing; what has nothing else upstream is run because it was asked for."""
        counting = [up for up in upstream if up.counts]
        if condition is None or (upstream and not counting):
            return all(up.seen_status in GOOD for up in counting)
        scope = self._scope(run, in_condition=True)
        return truthy(render_template(templates.parse_condition(condition), scope))

    def _scope(self, run: TaskRun | None, *, in_condition: bool = False) -> Scope:
        tasks = _Tasks(self, run.iteration if run else None)
        matrix = None
        if run is not None and run.iteration.key is not None:
            planned = run.iteration.group.plan.matrix
            matrix = {planned.key: run.iteration.item} if planned else None
        return Scope(
            orchestra={
                "pipeline_run_id": self.run_id,
                "pipeline_run_started_at": self.plan.created_at,
                "current_time": self._now(),
                "current_branch": self.plan.branch,
                "task_run_id": run.id if run else None,
                "pipeline_run_tasks": tasks,
            },
            tasks=tasks,
            task_groups=_Groups(self),
            inputs=self.plan.inputs,
            env=self.plan.env,
            secrets=self.plan.secrets if in_condition else SECRETS_OUT_OF_REACH,
            matrix=matrix,
            in_condition=in_condition,
        )

    def variable(self, task_id: str, within: Iteration | None) -> TaskVariable | None:
        """What an expression sees of a task: the sibling of the same iteration, else the outputs of all by item."""
        home = self._home.get(task_id.lower())
        if home is None:
            return None
        state = self.groups[home]
        iterations = [within] if within is not None and within.group is state else state.iterations
        runs = [run for it in iterations for run in it.runs.values() if run.task.id.lower() == task_id.lower()]
        if len(iterations) == 1 and (iterations[0] is within or iterations[0].key is None):
            return runs[0].variable
        outputs = {str(run.iteration.key): run.outputs for run in runs if run.outputs}
        return TaskVariable(worst(run.seen_status for run in runs), runs[0].id, {}, outputs)

    def _finish(self) -> None:
        self.status = "CANCELLED" if self.cancelled else worst(run.status for run in self.runs)
        self._actions.append(Finish(self.status))

    def _take(self) -> list[Action]:
        while self._due and not self.cancelled:
            self._due.popleft()()
        actions, self._actions = self._actions, []
        return actions


class _Tasks(Mapping[str, TaskVariable]):
    """`tasks[...]`, computed only for the task that is asked for."""

    def __init__(self, machine: Machine, within: Iteration | None):
        self._machine = machine
        self._within = within

    def __getitem__(self, task_id: str) -> TaskVariable:
        variable = self._machine.variable(str(task_id), self._within)
        if variable is None:
            raise KeyError(task_id)
        return variable

    def __iter__(self) -> Iterator[str]:
        return (task.id for task in self._machine.plan.tasks)

    def __len__(self) -> int:
        return len(self._machine.plan.tasks)


class _Groups(Mapping[str, list[TaskVariable]]):
    def __init__(self, machine: Machine):
        self._machine = machine

    def __getitem__(self, group_id: str) -> list[TaskVariable]:
        return [run.variable for run in self._machine.groups[group_id].runs]

    def __iter__(self) -> Iterator[str]:
        return iter(self._machine.groups)

    def __len__(self) -> int:
        return len(self._machine.groups)

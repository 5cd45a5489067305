"""What a machine is made of: groups, iterations, task runs; and the actions that it asks for."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from rehearse.language.evaluation import TaskVariable
from rehearse.language.statuses import TERMINAL
from rehearse.planning.plan import PlannedGroup, PlannedTask

NOT_SELECTED = "not selected"
"""The message of a task that a partial run leaves out (section 4.7)."""
CARRIED = "succeeded in the earlier run"
LIST_CHANGED = "interrupted: the list of its matrix is another one than before rehearse died"


@dataclass(eq=False, slots=True)
class TaskRun:
    """One task, or one task of one matrix iteration. The id stays the same over its attempts.

    QUEUED: it waits for a worker, or until `retry_at`. `attempt` counts those that have begun. `carried`: it is not executed,
    and this is how it ended in the earlier run. `run_parameters`: what expressions may see of its parameters.
    """

    id: str
    task: PlannedTask
    iteration: Iteration
    status: str = "CREATED"
    attempt: int = 0
    message: str | None = None
    outputs: dict[str, Any] = field(default_factory=dict)
    name: str = ""
    started_at: datetime | None = None
    ended_at: datetime | None = None
    retry_at: datetime | None = None
    carried: str | None = None
    run_parameters: dict[str, Any] | None = None
    has_begun: bool = True
    """False: the attempt was recorded, but nothing of it was started, so it may begin with the same number."""

    @property
    def label(self) -> str:
        key = self.iteration.key
        return self.task.id if key is None else f"{self.task.id}[{key}]"

    @property
    def terminal(self) -> bool:
        return self.status in TERMINAL

    @property
    def seen_status(self) -> str:
        """What conditions see."""
        return self.carried or self.status

    @property
    def counts(self) -> bool:
        """Whether the run has anything to do with this task."""
        return self.task.selected or self.carried is not None

    @property
    def variable(self) -> TaskVariable:
        return TaskVariable(self.seen_status, self.id, self.run_parameters or {}, self.outputs)


@dataclass(eq=False, slots=True)
class Iteration:
    """One instance of a group's tasks: the only one, or one per matrix item."""

    group: GroupState
    key: str | None = None
    item: Any = None
    runs: dict[str, TaskRun] = field(default_factory=dict)
    unfinished: int = 0
    index: int = 0


@dataclass(eq=False)
class GroupState:
    plan: PlannedGroup
    waiting_for: int
    iterations: list[Iteration] = field(default_factory=list)
    queue: deque[Iteration] = field(default_factory=deque)
    unfinished: int = 0

    @property
    def runs(self) -> Iterator[TaskRun]:
        return (run for iteration in self.iterations for run in iteration.runs.values())


@dataclass(frozen=True)
class Ready:
    """It wants a worker. When there is one, call `begin`."""

    run: TaskRun


@dataclass(frozen=True)
class Start:
    """Execute this attempt. `parameters` and `connection` have no expression left in them."""

    run: TaskRun
    attempt: int
    parameters: dict[str, Any]
    connection: str | None


@dataclass(frozen=True)
class Stop:
    run: TaskRun


@dataclass(frozen=True)
class Retry:
    run: TaskRun
    after_seconds: float


@dataclass(frozen=True)
class Changed:
    """The status of a task run changed: show it and store it."""

    run: TaskRun


@dataclass(frozen=True)
class Finish:
    status: str


Action = Ready | Start | Stop | Retry | Changed | Finish


class Lost:
    """Stands for the item of an iteration whose list is another one by now."""


def has_started(iteration: Iteration) -> bool:
    return any(run.status != "CREATED" for run in iteration.runs.values() if run.counts and run.carried is None)


def fill(run: TaskRun, row: Mapping[str, Any]) -> None:
    run.id, run.name, run.status, run.attempt = row["id"], row["name"], row["status"], row["attempt"]
    run.message, run.outputs, run.carried = row["message"], row["outputs"], row["carried"]
    run.run_parameters = row["parameters"] or None
    for name in ("started_at", "ended_at", "retry_at"):
        setattr(run, name, datetime.fromisoformat(row[name]) if row[name] else None)


def worst(statuses: Iterator[str] | list[str]) -> str:
    """The status of many task runs taken together (section 4.4): a failure anywhere counts, a skip does not."""
    found = set(statuses)
    for status in ("RUNNING", "QUEUED", "CREATED", "CANCELLING", "FAILED", "CANCELLED", "WARNING"):
        if status in found:
            return status
    return "SKIPPED" if found == {"SKIPPED"} else "SUCCEEDED"

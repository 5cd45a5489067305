"""A run that this engine drives: its plan, its machine, and its rows in the store."""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rehearse.bindings.secrets import values_read
from rehearse.engine import crash
from rehearse.engine.attempt_folder import LOG
from rehearse.engine.attempts import AttemptSpec
from rehearse.engine.decisions import Machine
from rehearse.engine.plans import folder_name
from rehearse.engine.receiver import OUTPUTS_LIMIT
from rehearse.engine.states import Start, TaskRun
from rehearse.planning.plan import Plan
from rehearse.planning.preview import without_secrets
from rehearse.planning.secrets import redact
from rehearse.store.records import timestamp

_ITEMS = 10_000_000  # more than a matrix can have: positions sort by task, then by item
TOKEN_VARIABLE = "REHEARSE_WEBHOOK_TOKEN"


@dataclass(eq=False)
class ActiveRun:
    """`folder` is relative to `root`. `fence` proves to the store that the run is ours. `parent` waits for its end."""

    id: str
    plan: Plan
    machine: Machine
    root: Path
    folder: str
    fence: int
    parent: tuple[ActiveRun, TaskRun] | None = None
    isolate: bool = False
    simulated: set[str] = field(default_factory=set)
    children: dict[str, str] = field(default_factory=dict)
    """task run -> the run that it started"""
    deadlines: dict[str, datetime] = field(default_factory=dict)
    """task run -> when its wait is over"""
    connections: dict[str, str | None] = field(default_factory=dict)
    status: str | None = None
    """How it ended."""
    message: str | None = None
    ended_at: datetime | None = None
    has_started: bool = False
    token: str = field(default_factory=lambda: os.environ.get(TOKEN_VARIABLE) or secrets.token_urlsafe(32))
    _outputs_size: int = 0

    def __post_init__(self) -> None:
        self._positions = {task.id: number for number, task in enumerate(self.plan.tasks)}
        self._connections = {task.id: task.connection for task in self.plan.tasks}
        for run in self.machine.runs:
            self.count_outputs(run.outputs)

    @property
    def depth(self) -> int:
        return 1 + self.parent[0].depth if self.parent else 0

    @property
    def lineage(self) -> list[str]:
        """The pipelines that led to this run, itself last."""
        return [*(self.parent[0].lineage if self.parent else ()), self.plan.alias]

    def attempt_folder(self, run: TaskRun, number: int | None = None) -> str:
        key = run.iteration.key
        name = folder_name(run.task.id if key is None else f"{run.task.id}@{key}")
        return f"{self.folder}/{name}/{number or run.attempt}"

    def log(self, run: TaskRun) -> Path | None:
        path = self.root / self.attempt_folder(run) / LOG
        return path if run.attempt and path.exists() else None

    def spec(self, start: Start) -> AttemptSpec:
        return self.bare_spec(start.run, start.parameters, start.connection, crash.of_attempt())

    def bare_spec(
        self, run: TaskRun, parameters: dict[str, Any], connection: str | None, crash_at: str | None = None
    ) -> AttemptSpec:
        """A specification with these parameters; without any it is enough to look what became of an attempt."""
        task = run.task
        return AttemptSpec(
            run_id=self.id, task_run_id=run.id, task_id=task.id, item=run.iteration.key, number=run.attempt,
            integration=task.integration, job=task.job, parameters=parameters, connection=connection,
            timeout_seconds=task.timeout_seconds, folder=self.attempt_folder(run), token=self.token,
            outputs_limit=max(0, OUTPUTS_LIMIT - self._outputs_size), isolate=self.isolate, crash_at=crash_at, links=task.links,
            secrets=values_read(self.plan.secrets),
        )  # fmt: skip

    @property
    def first(self) -> ActiveRun:
        """The run that no other one has started, above this one."""
        return self.parent[0].first if self.parent else self

    def count_outputs(self, outputs: dict[str, Any]) -> bool:
        """Count outputs that are to be kept; False when a run may not have that much."""
        size = len(json.dumps(outputs, default=str)) if outputs else 0
        if self._outputs_size + size > OUTPUTS_LIMIT:
            return False
        self._outputs_size += size
        return True

    def row(self, run: TaskRun) -> dict[str, Any]:
        task = run.task
        return {
            "id": run.id, "run_id": self.id,
            "position": self._positions[task.id] * _ITEMS + run.iteration.index, "group_id": task.group_id,
            "task_id": task.id, "item": run.iteration.key, "name": run.name, "integration": task.integration,
            "job": task.job, "connection": self.connections.get(run.id, task.connection), "status": run.status,
            "attempt": run.attempt, "retry_at": timestamp(run.retry_at),
            "wait_until": timestamp(self.deadlines.get(run.id)), "child_run": self.children.get(run.id),
            "simulated": run.id in self.simulated, "carried": run.carried, "message": run.message,
            "parameters": run.run_parameters or {}, "outputs": run.outputs, "created_at": timestamp(self.plan.created_at),
            "started_at": timestamp(run.started_at), "ended_at": timestamp(run.ended_at),
            "depends_on": list(task.depends_on),
        }  # fmt: skip

    def attempt_row(self, run: TaskRun, executor: str, status: str, message: str | None) -> dict[str, Any]:
        return {
            "task_run_id": run.id, "number": run.attempt, "run_id": self.id, "status": status, "message": message,
            "executor": executor, "folder": self.attempt_folder(run), "started_at": timestamp(run.started_at),
            "ended_at": None if status == "RUNNING" else timestamp(datetime.now(UTC)),
        }  # fmt: skip


def shown_parameters(written: dict[str, Any], parameters: dict[str, Any]) -> dict[str, Any]:
    """Parameters as they may be stored: secrets masked, long texts cut. `written`: with their expressions."""
    open_ones = without_secrets(written, parameters)
    return {name.lower(): _short(redact(name, value)) for name, value in open_ones.items()}


def _short(value: Any) -> Any:
    return value[:500] + "..." if isinstance(value, str) and len(value) > 500 else value

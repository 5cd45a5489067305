"""Tasks that need no process: they wait in the engine, cost no worker, and go on after a restart."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from rehearse.engine.active import ActiveRun
from rehearse.engine.attempts import Ended
from rehearse.engine.states import TaskRun
from rehearse.jobs.base import Approval, ChildRun, Launch, Pause, Prepared, Simulated

ACCEPT, REJECT, ASK, WAIT = "accept", "reject", "ask", "wait"
APPROVALS = (ASK, WAIT, ACCEPT, REJECT)


@dataclass(eq=False)
class Wait:
    """`until`: when it ends by itself, and `then` how. An approval or a child run ends when somebody says so."""

    active: ActiveRun
    run: TaskRun
    prepared: Prepared
    until: datetime | None
    then: Ended | None


def make_wait(active: ActiveRun, run: TaskRun, prepared: Prepared, now: datetime, approvals: str) -> Wait:
    """What the engine waits for. `now` is when the attempt began, which is earlier when another engine began it."""
    assert not isinstance(prepared, Launch)
    timeout = run.task.timeout_seconds
    limit = now + timedelta(seconds=timeout) if timeout else None
    late = Ended("FAILED", f"timed out after {timeout} s")
    if isinstance(prepared, (Approval, ChildRun)):
        if isinstance(prepared, Approval) and approvals in (ACCEPT, REJECT):
            return Wait(active, run, prepared, now, answered(approvals == ACCEPT, f"--approvals {approvals}", None))
        return Wait(active, run, prepared, limit, late)
    if isinstance(prepared, Simulated):
        then = Ended(prepared.status, prepared.message, dict(prepared.outputs), list(prepared.operations))
    else:
        assert isinstance(prepared, Pause)
        then = Ended("SUCCEEDED")
    until = now + timedelta(seconds=prepared.seconds)
    return Wait(active, run, prepared, *((limit, late) if limit and limit < until else (until, then)))


def answered(accepted: bool, by: str, message: str | None) -> Ended:
    """How an approval ends."""
    said = f"{'approved' if accepted else 'rejected'} by {by}" + (f": {message}" if message else "")
    return Ended("SUCCEEDED" if accepted else "FAILED", said)


def of_child(run_id: str, status: str, message: str | None) -> Ended:
    """How TRIGGER_PIPELINE ends (section 9.8): as its child, but one that was refused is a warning."""
    mine = {"SUCCEEDED": "SUCCEEDED", "WARNING": "WARNING", "SKIPPED": "WARNING"}.get(status, "FAILED")
    said = (
        None if status == "SUCCEEDED" else f"its run {run_id[:8]} ended {status}" + (f": {message}" if message else "")
    )
    return Ended(mine, said, {"pipeline_run_id": run_id})

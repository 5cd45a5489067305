"""Runs whose engine died: take them over, find out what became of each attempt, and go on. No user action is needed.

Truth is in the attempts' folders: an exit file is adopted, a living supervisor attended, an attempt that nobody claimed
starts, and one whose supervisor was killed has failed.
"""

from __future__ import annotations

import socket
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from rehearse.engine import crash
from rehearse.engine.active import ActiveRun
from rehearse.engine.attempts import ENDED, LOST, NEVER, RUNNING, Ended, clean_up, look
from rehearse.engine.catalog import with_stored
from rehearse.engine.engine import Engine
from rehearse.engine.plans import plan_of_record
from rehearse.engine.pools import LOCAL
from rehearse.engine.processes import is_alive
from rehearse.engine.states import TaskRun
from rehearse.engine.waits import make_wait
from rehearse.errors import RehearseError, UsageError
from rehearse.jobs.base import Launch
from rehearse.jobs.registry import needs_no_process
from rehearse.language.statuses import TERMINAL
from rehearse.planning.selection import Carried, from_failed, previous_of, select
from rehearse.store.records import timestamp

SILENCE_SECONDS = 30.0
"""An engine on another host that has not been heard of for so long is taken to be dead."""
ADOPTED, ATTENDED, INTERRUPTED, RESTARTED = "adopted", "re-attached", "interrupted", "started again"


def is_abandoned(record: Mapping[str, Any], now: datetime) -> bool:
    """Whether nobody drives this run any more."""
    if record["engine_pid"] is None:
        return True
    if record["engine_host"] == socket.gethostname():
        return not is_alive(record["engine_pid"], record["engine_started"] or None)
    heard = record["heartbeat_at"] or record["engine_since"] or record["created_at"]
    return now - datetime.fromisoformat(heard) > timedelta(seconds=SILENCE_SECONDS)


def recover(engine: Engine, only: str | None = None) -> list[ActiveRun]:
    """Take over every abandoned run of the store, unless somebody is faster.

    `only`: just this run, an id or its beginning. Raises UsageError when there is none, it has ended, or it is in good hands.
    """
    records = list(engine.store.unfinished())
    if only is not None:
        record = engine.store.run(only)
        _refuse_resume(record)
        records = [found for found in records if found["id"] == record["id"]]
    now = datetime.now(UTC)
    return take(engine, [record for record in records if is_abandoned(record, now) or _is_forsaken(engine, record)])


def take(engine: Engine, records: Iterable[Mapping[str, Any]]) -> list[ActiveRun]:
    """Take over runs that nobody drives, unless somebody is faster, and go on with them."""
    found = []
    for record in records:
        if record["id"] not in engine.active:
            fence = engine.store.take_over(record["id"], record["fence"], engine.owner)
            crash.point("recovery.taken")
            if fence is not None and (active := _adopt(engine, record, fence)) is not None:
                found.append((active, record["engine_pid"] is None))
    crash.point("recovery.looked")
    for active, is_new in found:  # now that all are there: a task that waits for another run finds it
        _go_on(engine, active, is_new)
    return [active for active, _ in found]


def _is_forsaken(engine: Engine, record: Mapping[str, Any]) -> bool:
    """Whether an earlier engine of this very process let go of it."""
    owner = engine.owner
    mine = (record["engine_pid"], record["engine_started"], record["engine_host"])
    return mine == (owner.pid, owner.started, owner.host) and record["engine_since"] != owner.since


def _refuse_resume(record: Mapping[str, Any]) -> None:
    name = f"run {record['id'][:8]} of {record['pipeline']}"
    if record["status"] in TERMINAL:
        raise UsageError(f"{name} has ended: {record['status']}", f"rehearse retry {record['id'][:8]} runs it again")
    if not is_abandoned(record, datetime.now(UTC)):
        raise UsageError(
            f"{name} is driven by process {record['engine_pid']} on {record['engine_host']} since {record['engine_since']}",
            f"watch it with: rehearse logs -f {record['id'][:8]}",
        )


def _adopt(engine: Engine, record: Mapping[str, Any], fence: int) -> ActiveRun | None:
    try:
        plan, carried = _selected(
            engine, record, plan_of_record(record, with_stored(engine.workshop.bindings, engine.store))
        )
        return engine.adopt(record, plan, fence, carried)
    except RehearseError as e:  # a variable or a secret that is gone
        _close(engine, record, fence, f"its engine died, and it cannot go on: {e}")
        return None


def _go_on(engine: Engine, active: ActiveRun, is_new: bool) -> None:
    if is_new:
        engine.progress.started(active)
    began = [run for run in active.machine.in_flight() if run.status in ("RUNNING", "CANCELLING")]
    engine.decide(active, active.machine.resume())
    executors = {row["task_run_id"]: row["executor"] for row in engine.store.attempts(active.id)}  # of the last attempt
    fates = Counter(_resolve(engine, active, run, executors.get(run.id)) for run in began)
    if not is_new:
        engine.progress.resumed(active, fates)


def _resolve(engine: Engine, active: ActiveRun, run: TaskRun, executor: str | None) -> str:
    """What is to become of an attempt that was running when its engine died."""
    spec = active.bare_spec(run, {}, active.connections.get(run.id))
    if needs_no_process(run.task.job) or run.id in active.simulated:
        return _wait_again(engine, active, run)
    fate = look(engine.root / spec.folder)
    if fate == ENDED:
        engine.end_attempt(active, run, engine.workshop.conclude(spec))
        return ADOPTED
    if fate == RUNNING:
        engine.watch(active, run, spec, engine.pool.attend(spec))
        if run.status == "CANCELLING":
            engine.pool.stop(spec)
        return ATTENDED
    if fate == NEVER and executor == LOCAL and engine.pool.name == LOCAL and run.status == "RUNNING":
        engine.decide(active, active.machine.requeue(run))  # the same attempt: recorded, but no supervisor claimed it
        return RESTARTED
    clean_up(engine.root / spec.folder, run.id)
    why = "its supervisor was killed" if fate == LOST else "its engine died before it began"
    if executor not in (LOCAL, None):
        why = f"what became of it on {executor} is lost with its engine"
    engine.end_attempt(
        active, run, Ended("CANCELLED" if run.status == "CANCELLING" else "FAILED", f"interrupted: {why}")
    )
    return INTERRUPTED


def _wait_again(engine: Engine, active: ActiveRun, run: TaskRun) -> str:
    """Waits are in the record: they end when they would have ended."""
    if run.status == "CANCELLING":
        engine.end_attempt(active, run, Ended("CANCELLED", "stopped"))
        return INTERRUPTED
    try:
        parameters, connection = active.machine.rendered(run)
        prepared, _ = engine.workshop.prepare(active.bare_spec(run, parameters, connection))
    except RehearseError as e:
        engine.end_attempt(active, run, Ended("FAILED", f"interrupted: {e}"))
        return INTERRUPTED
    assert not isinstance(prepared, Launch)
    wait = make_wait(active, run, prepared, run.started_at or datetime.now(UTC), engine.approvals)
    wait.until = active.deadlines.get(run.id, wait.until)
    engine.begin_wait(wait)
    return ATTENDED


def _selected(engine: Engine, record: Mapping[str, Any], plan: Any) -> tuple[Any, Mapping[str, Carried]]:
    """The plan with the selection that the run was started with."""
    selection = record["selection"] or {}
    if selection.get("from_failed"):
        return from_failed(plan, previous_of(engine.store.task_runs(selection["from_failed"])))
    return select(plan, selection.get("tasks", ()), selection.get("continue_downstream", False)), {}


def _close(engine: Engine, record: Mapping[str, Any], fence: int, why: str) -> None:
    now = timestamp(datetime.now(UTC))
    rows = []
    for row in engine.store.task_runs(record["id"]):
        if row["status"] not in TERMINAL:
            rows.append(dict(row) | {"status": "FAILED", "message": why, "ended_at": now})
    engine.store.commit(record["id"], fence, run={"status": "FAILED", "ended_at": now, "message": why}, tasks=rows)
    engine.progress.note(f"run {record['id'][:8]} of {record['pipeline']}: {why}")

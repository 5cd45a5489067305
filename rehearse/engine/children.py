"""TRIGGER_PIPELINE: a run that waits for another one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rehearse.engine import crash
from rehearse.engine.catalog import Catalog, Files, with_stored
from rehearse.engine.plans import find_pipeline, plan_of_pipeline
from rehearse.engine.waits import Wait, of_child
from rehearse.jobs.base import ChildRun, JobError
from rehearse.language.statuses import TERMINAL
from rehearse.language.validation import load_pipeline
from rehearse.planning.preview import reads_secrets
from rehearse.store.ids import id_of

if TYPE_CHECKING:
    from rehearse.engine.engine import Engine

MAX_DEPTH = 20
FOLLOW_SECONDS = 1.0


def start_child(engine: Engine, wait: Wait, child: ChildRun) -> None:
    """Start the run that a task asks for, or find it again. Its id follows from the attempt, so that it starts once.

    Raises RehearseError when there is no such pipeline, its inputs do not fit, or it would start itself for ever.
    """
    active, run = wait.active, wait.run
    run_id = id_of("child", run.id, run.attempt)
    active.children[run.id] = run_id
    if run_id in engine.active:
        found = engine.active[run_id]
        found.parent = (active, run)
        return
    record = engine.store.find_run(run_id)
    if record is not None:
        _follow(engine, wait, run_id)
        return
    if active.depth >= MAX_DEPTH:
        raise JobError(f"pipelines start each other {MAX_DEPTH} levels deep: {' > '.join(active.lineage[-4:])}")
    if reads_secrets(run.task.parameters):
        hint = "let that pipeline read secrets.NAME itself"
        raise JobError("a secret cannot be passed on to another pipeline, whose inputs are recorded", hint)
    catalog = Catalog(Files(engine.root), engine.store)
    entry = catalog.find(child.pipeline)
    if entry is not None and entry.paused:
        raise JobError(f"the pipeline {entry.alias} is paused")
    bindings = with_stored(engine.workshop.bindings, engine.store)
    # A path is as good as an alias here; and who finds nothing says what there is.
    loaded = catalog.loaded(entry) if entry else load_pipeline(find_pipeline(engine.root, child.pipeline))
    plan = plan_of_pipeline(loaded, bindings, child.inputs, active.plan.environment)
    started = engine.create(
        plan,
        id=run_id,
        trigger="TRIGGER_PIPELINE",
        parent_task_run=run.id,
        parent=(active, run),
        isolate=active.isolate,
    )
    crash.point("child.recorded")
    if started.status is not None:  # refused, because too many of them are active
        engine.end_wait_soon(wait, of_child(run_id, started.status, started.message))


def _follow(engine: Engine, wait: Wait, run_id: str) -> None:
    """The run has ended while nobody waited, or another engine drives it: look until it has."""
    record = engine.store.find_run(run_id)
    if record is not None and record["status"] not in TERMINAL:
        engine.after(FOLLOW_SECONDS, lambda: _follow(engine, wait, run_id))
    elif record is not None:
        engine.end_wait_soon(wait, of_child(run_id, record["status"], record["message"]))

"""What `run`, `retry` and `resume` share: an engine in the foreground."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rehearse.bindings.config import Bindings
    from rehearse.engine.active import ActiveRun
    from rehearse.engine.forge import Forge
    from rehearse.planning.plan import Plan
    from rehearse.planning.selection import Carried
    from rehearse.store.records import Store

Workers = Annotated[
    int | None,
    typer.Option(min=1, help="Tasks that may run at once.", show_default="twice the processors, at least 4"),
]
Executor = Annotated[
    str | None,
    typer.Option(metavar="URL", help="Where tasks run: dask://HOST:PORT is a cluster.", show_default="here"),
]
Isolate = Annotated[
    bool,
    typer.Option("--isolate", help="Give each Python and dbt task the environment that its build_command makes."),
]
Approvals = Annotated[
    str | None,
    typer.Option(
        metavar="HOW",
        help="What becomes of APPROVAL tasks: ask (on the terminal), wait (for rehearse approve), accept or reject.",
        show_default="ask on a terminal, else reject",
    ),
]
NoResume = Annotated[bool, typer.Option("--no-resume", help="Leave alone the runs whose rehearse died.")]

EXIT_CODES = {
    "SUCCEEDED": 0,
    "WARNING": 0,
    "SKIPPED": 0,
    "CANCELLED": 130,
}  # 1: it failed, or somebody else drives it now


@dataclass(frozen=True)
class Options:
    workers: int | None = None
    executor: str | None = None
    approvals: str | None = None
    resume: bool = True
    as_json: bool = False


def drive(
    bindings: Bindings,
    options: Options,
    plan: Plan | None = None,
    carried: Mapping[str, Carried] | None = None,
    record: Mapping[str, Any] | None = None,
    *,
    here: Path,
    only: str | None = None,
    forge: Forge | None = None,
) -> int:
    """Run a plan, or without one what was abandoned, to the end; returns the exit code. Raises RehearseError.

    `only`: of the abandoned runs just this one. `forge`: see `Workshop`.
    """
    from rehearse.cli.app import settle
    from rehearse.cli.problems import print_json
    from rehearse.cli.progress import make_progress
    from rehearse.engine.attempts import Workshop
    from rehearse.engine.engine import Engine
    from rehearse.engine.plans import point_latest
    from rehearse.engine.pools import make_pool
    from rehearse.engine.recovery import recover
    from rehearse.errors import StoreError
    from rehearse.store.records import open_store

    approvals = _approvals(options.approvals)
    workshop = Workshop(bindings.root, bindings, forge)
    workshop.warm_up()  # it starts while we open the store
    store = open_store(bindings.root)
    try:
        pool = make_pool(options.executor, workshop, options.workers or max(4, 2 * (os.cpu_count() or 1)))
        with make_progress(here) as progress:
            engine = Engine(workshop, store, pool, progress, approvals)
            try:
                found = recover(engine, only) if options.resume else []
                mine = found
                if plan is not None:
                    created = engine.create(plan, carried or {}, **(record or {}))
                    mine = [created]
                    point_latest(bindings.root, created.folder)
                elif not found:
                    progress.note(
                        "There is nothing to go on with: every run has ended, or is driven by another rehearse."
                    )
                engine.own |= {active.id for active in mine}
                settle()
                engine.drive()
            except StoreError as e:
                engine.leave()
                raise StoreError(str(e), "what runs goes on; when the store is back: rehearse resume") from e
            finally:
                engine.close()
            for active in mine:
                progress.ended(active)
                _tell_alerts(bindings, store, active, progress.note)
        if options.as_json:
            shown = [_as_dict(active) for active in mine]
            print_json(shown[0] if plan is not None else {"schema_version": 1, "runs": shown})
        worst = [EXIT_CODES.get(active.status or "", 1) for active in mine]
        return max(worst, default=0)
    finally:
        store.close()


def _tell_alerts(bindings: Bindings, store: Store, active: ActiveRun, tell: Callable[[str], None]) -> None:
    """What the run sets off: sent, or put into the outbox. Costs nothing where nothing is declared."""
    if active.status is None or not ("alerts" in active.plan.text or "anomalies" in active.plan.text):
        return
    from rehearse.triggers.alerting import Alerting

    alerting = Alerting(bindings.root, store, lambda: bindings, tell)
    try:
        alerting.of_run(active.id)
    finally:
        alerting.close()


def _approvals(wanted: str | None) -> str:
    from rehearse.engine.waits import APPROVALS, ASK, REJECT
    from rehearse.errors import UsageError

    if wanted is None:
        return ASK if sys.stdin.isatty() and sys.stderr.isatty() else REJECT
    if wanted not in APPROVALS:
        raise UsageError(f"--approvals {wanted}: there is no such way", f"one of {', '.join(APPROVALS)}")
    return wanted


def _as_dict(active: ActiveRun) -> dict[str, Any]:
    tasks = [
        {
            "task_run_id": run.id, "task": run.task.id, "group": run.task.group_id, "item": run.iteration.key,
            "name": run.name, "status": run.status, "attempt": run.attempt, "message": run.message,
            "outputs": run.outputs, "simulated": run.id in active.simulated, "carried": run.carried,
            "seconds": round((run.ended_at - run.started_at).total_seconds(), 3) if run.started_at and run.ended_at else None,
        }
        for run in active.machine.runs
    ]  # fmt: skip
    seconds = round((active.ended_at - active.plan.created_at).total_seconds(), 3) if active.ended_at else 0.0
    return {
        "schema_version": 1, "run_id": active.id, "pipeline": active.plan.alias, "status": active.status,
        "message": active.message, "seconds": seconds, "folder": str(active.root / active.folder), "tasks": tasks,
    }  # fmt: skip

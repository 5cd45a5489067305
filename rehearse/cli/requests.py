"""`rehearse cancel` and `rehearse approve`: asked of the rehearse that drives the run, through the store."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rehearse.cli.history import Run, label, me, open_history

if TYPE_CHECKING:
    from rehearse.store.records import Store

_ANSWER_SECONDS = 10.0


def cancel(run: Run = "latest") -> None:
    """Cancel a run that another rehearse drives, or whose rehearse died: its tasks are stopped."""
    with open_history() as (_, store):
        record = store.run(run)
        _refuse_ended(record)
        _say(record, _ask(store, record, "cancel"))


def approve(
    run: Run = "latest",
    task: Annotated[str | None, typer.Argument(metavar="TASK", help="Which, when several tasks ask.")] = None,
    reject: Annotated[bool, typer.Option("--reject", help="Say no: the task fails.")] = False,
    message: Annotated[str | None, typer.Option("--message", "-m", metavar="TEXT", help="Why; it is recorded.")] = None,
) -> None:
    """Approve what a task of a run asks for, or reject it."""
    from rehearse.errors import UsageError

    with open_history() as (_, store):
        record = store.run(run)
        _refuse_ended(record)
        asking = [
            row for row in store.task_runs(record["id"]) if row["job"] == "APPROVAL" and row["status"] == "RUNNING"
        ]
        wanted = [row for row in asking if task in (None, row["task_id"], label(row))]
        if len(wanted) != 1:
            names = ", ".join(map(label, asking)) or "none"
            which = (
                "several tasks ask"
                if len(wanted) > 1
                else "no task asks"
                if task is None
                else f"'{task}' asks for nothing"
            )
            raise UsageError(f"run {record['id'][:8]}: {which}", f"tasks that ask for an approval: {names}")
        kind = "reject" if reject else "approve"
        _say(record, _ask(store, record, kind, wanted[0]["id"], {"message": message}))


def _ask(
    store: Store,
    record: dict[str, Any],
    kind: str,
    task_run_id: str | None = None,
    argument: dict[str, Any] | None = None,
) -> str | None:
    """Leave a request, and wait a little for its answer."""
    from rehearse.engine.recovery import is_abandoned

    request = store.request(record["id"], kind, task_run_id, argument, me())
    if is_abandoned(record, datetime.now(UTC)):
        return None
    deadline = time.monotonic() + _ANSWER_SECONDS
    while (answer := store.answer(request)) is None and time.monotonic() < deadline:
        time.sleep(0.05)
    return answer


def _refuse_ended(record: dict[str, Any]) -> None:
    from rehearse.errors import UsageError
    from rehearse.language.statuses import TERMINAL

    if record["status"] in TERMINAL:
        hint = f"rehearse show {record['id'][:8]} tells more"
        raise UsageError(f"run {record['id'][:8]} of {record['pipeline']} has ended: {record['status']}", hint)


def _say(record: dict[str, Any], answer: str | None) -> None:
    from rehearse.cli.output import tell

    if answer is None:
        tell(
            f"Noted. The rehearse that drove run {record['id'][:8]} is gone: rehearse resume {record['id'][:8]} does it."
        )
    else:
        tell(f"run {record['id'][:8]} of {record['pipeline']}: {answer}")

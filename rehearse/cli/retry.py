"""`rehearse retry`"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rehearse.cli.common import Json, Selection, prepare
from rehearse.cli.driving import Approvals, Executor, Isolate, Options, Workers, drive


def retry(
    run: Annotated[str, typer.Argument(metavar="RUN", help="An id, its beginning, or 'latest'.")] = "latest",
    from_failed: Annotated[
        bool, typer.Option("--from-failed", help="Only what did not succeed, and everything downstream of it.")
    ] = False,
    workers: Workers = None,
    executor: Executor = None,
    isolate: Isolate = False,
    approvals: Approvals = None,
    as_json: Json = False,
) -> None:
    """Run a pipeline again as it was run before: its file of today, with the inputs and the environment of that run."""
    from rehearse.bindings.config import find_root, load_bindings
    from rehearse.cli.problems import show_problem
    from rehearse.store.records import open_store

    bindings = load_bindings(find_root(Path.cwd()))
    store = open_store(bindings.root)
    try:
        record = store.run(run)
    finally:
        store.close()
    selection = Selection(from_failed=record["id"] if from_failed else None, again=record["id"])
    file = bindings.root / record["file"] if not Path(record["file"]).is_absolute() else Path(record["file"])
    prepared = prepare(file, None, None, selection)
    for warning in prepared.warnings:
        show_problem(warning)
    fields = {
        "trigger": "RESTART_FROM_FAILED" if from_failed else "RESTART_ALL", "previous_run": record["id"],
        "isolate": isolate, "selection": prepared.selection(**({"from_failed": record["id"]} if from_failed else {})),
    }  # fmt: skip
    options = Options(workers, executor, approvals, as_json=as_json)
    raise typer.Exit(drive(bindings, options, prepared.plan, prepared.carried, fields, here=Path.cwd()))

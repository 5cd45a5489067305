"""`rehearse run`"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from rehearse.cli.common import ContinueDownstream, Environment, File, Inputs, Json, Selection, SetEnv, Tasks, prepare
from rehearse.cli.driving import Approvals, Executor, Isolate, NoResume, Options, Workers, drive


def run(
    file: File,
    inputs: Inputs = None,
    environment: Environment = None,
    set_env: SetEnv = None,
    tasks: Tasks = None,
    continue_downstream: ContinueDownstream = False,
    from_failed: Annotated[
        str | None,
        typer.Option(
            "--from-failed",
            metavar="RUN",
            help="Finish that run of the file: only what did not succeed, and everything downstream, with its inputs and "
            "environment. An id, its beginning, or 'latest'.",
        ),
    ] = None,
    workers: Workers = None,
    executor: Executor = None,
    isolate: Isolate = False,
    approvals: Approvals = None,
    no_resume: NoResume = False,
    as_json: Json = False,
) -> None:
    """Run a pipeline here and now, and show it happening.

    Logs go to .rehearse/latest/<task>/<attempt>/log. Ctrl-C stops the tasks, a second Ctrl-C kills them. A run whose
    rehearse died is picked up where it was and goes on beside this one.
    """
    from rehearse.cli.first_use import introduce
    from rehearse.cli.problems import show_problem
    from rehearse.engine.forge import Forge

    forge = Forge()
    forge.warm_up()  # it starts on another core while we read the file; should that be invalid, it ends with us

    selection = Selection(tasks or (), continue_downstream, from_failed)
    prepared = prepare(file, inputs, environment, selection, set_env=set_env)
    for warning in prepared.warnings:
        show_problem(warning)
    introduce(prepared.bindings.root, prepared.plan)
    record: dict[str, Any] = {"isolate": isolate, "selection": prepared.selection()}
    if from_failed is not None:
        assert prepared.previous is not None
        record |= {"trigger": "RESTART_FROM_FAILED", "previous_run": prepared.previous["id"]}
        record["selection"] = prepared.selection(from_failed=prepared.previous["id"])
    elif tasks:
        record["selection"] = prepared.selection(tasks=list(tasks), continue_downstream=continue_downstream)
    options = Options(workers, executor, approvals, resume=not no_resume, as_json=as_json)
    raise typer.Exit(
        drive(prepared.bindings, options, prepared.plan, prepared.carried, record, here=Path.cwd(), forge=forge)
    )

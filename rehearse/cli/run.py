"""`rehearse run`"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rehearse.cli.common import ContinueDownstream, Environment, File, Inputs, Json, Selection, Tasks, prepare

if TYPE_CHECKING:
    from rehearse.engine.runner import Outcome


def run(
    file: File,
    inputs: Inputs = None,
    environment: Environment = None,
    tasks: Tasks = None,
    continue_downstream: ContinueDownstream = False,
    workers: Annotated[int, typer.Option(min=1, help="Tasks that may run at once.")] = max(
        4, 2 * (os.cpu_count() or 1)
    ),
    as_json: Json = False,
) -> None:
    """Run a pipeline here and now, and show it happening.

    Logs go to .rehearse/latest/<task>/<attempt>/log. Ctrl-C stops the tasks, a second Ctrl-C kills them.
    """
    from rehearse.cli.problems import print_json, show_problem
    from rehearse.cli.progress import make_progress
    from rehearse.engine.runner import Runner

    selection = Selection(tasks or (), continue_downstream)
    made, bindings, warnings = prepare(file, inputs, environment, selection)
    for warning in warnings:
        show_problem(warning)
    with make_progress(Path.cwd()) as progress:
        outcome = Runner(made, bindings, progress, workers).run()
        progress.ended(outcome, made)
    if as_json:
        print_json(_as_dict(outcome))
    raise typer.Exit({"CANCELLED": 130, "FAILED": 1}.get(outcome.status, 0))


def _as_dict(outcome: Outcome) -> dict[str, Any]:
    tasks = [
        {
            "task_run_id": run.id, "task": run.task.id, "group": run.task.group_id, "item": run.iteration.key,
            "name": run.name, "status": run.status, "attempt": run.attempt, "message": run.message,
            "outputs": run.outputs, "simulated": run.label in outcome.simulated,
        }
        for run in outcome.tasks
    ]  # fmt: skip
    return {
        "schema_version": 1, "run_id": outcome.run_id, "status": outcome.status, "seconds": round(outcome.seconds, 3),
        "folder": str(outcome.folder), "tasks": tasks,
    }  # fmt: skip

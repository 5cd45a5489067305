"""`rehearse runs`"""

from __future__ import annotations

from typing import Annotated

import typer

from rehearse.cli.common import Json
from rehearse.cli.history import clock, open_history, print_table, took


def runs(
    pipeline: Annotated[
        str | None, typer.Option("--pipeline", "-p", metavar="NAME", help="Only of this pipeline.")
    ] = None,
    status: Annotated[
        str | None, typer.Option("--status", "-s", metavar="STATUS", help="Only with this status.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="At most so many.")] = 20,
    as_json: Json = False,
) -> None:
    """List the runs of this repository, the newest first."""
    from rehearse.cli.problems import print_json
    from rehearse.errors import UsageError
    from rehearse.language.statuses import STATUSES

    if status is not None and status.upper() not in STATUSES:
        raise UsageError(f"--status {status}: there is no such status", f"one of {', '.join(STATUSES)}")
    with open_history() as (_, store):
        found = store.runs(limit, pipeline, status.upper() if status else None)
        counts = store.counts([run["id"] for run in found])
    if as_json:
        found = [
            {key: value for key, value in run.items() if key != "definition"} | {"tasks": counts[run["id"]]}
            for run in found
        ]
        print_json({"schema_version": 1, "runs": found})
        return
    rows = [
        [
            run["id"][:8], run["pipeline"], run["status"], clock(run["created_at"]), took(run),
            ", ".join(f"{count} {name.lower()}" for name, count in counts[run["id"]].items()),
            run["trigger"].lower().replace("_", " "),
        ]
        for run in found
    ]  # fmt: skip
    print_table(["run", "pipeline", "status", "created", "took", "tasks", "started by"], rows)

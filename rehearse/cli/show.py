"""`rehearse show`"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from rehearse.cli.common import Json
from rehearse.cli.history import Run, clock, label, open_history, print_table, took


def show(
    run: Run = "latest",
    operations: Annotated[
        bool, typer.Option("--operations", "-o", help="Also what the tasks did: models, tests, loads, queries.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Show a run: how each task ended, and why."""
    from rehearse.cli.problems import print_json

    with open_history() as (root, store):
        record = store.run(run)
        tasks = store.task_runs(record["id"])
        attempts = store.attempts(record["id"])
        done = store.operations(record["id"])
    if as_json:
        print_json({"schema_version": 1, "run": record, "tasks": tasks, "attempts": attempts, "operations": done})
        return
    _print_header(root, record)
    rows = [
        [
            label(task), task["status"], str(task["attempt"] or ""), took(task),
            " ".join(filter(None, ["(simulated)" if task["simulated"] else "", _first_line(task["message"])])),
        ]
        for task in tasks
    ]  # fmt: skip
    print_table(["task", "status", "attempt", "took", "message"], rows)
    for task in tasks:
        for name, value in (task["outputs"] or {}).items():
            typer.echo(f"  {label(task)}.{name} = {_cut(value)}")
    if operations:
        typer.echo("")
        print_table(
            ["operation", "type", "status", "rows", "asset"],
            [[_cut(o["name"], 60), o["type"], o["status"], _number(o["rows"]), o["asset"] or ""] for o in done],
        )


def _print_header(root: Path, record: dict[str, Any]) -> None:
    from rehearse.engine.recovery import is_abandoned
    from rehearse.language.statuses import TERMINAL

    inputs = ", ".join(f"{name}={_cut(value)}" for name, value in record["inputs"].items())
    lines = [
        f"{record['name']}  {record['status']}" + (f"  {record['message']}" if record["message"] else ""),
        f"  run {record['id']} of {record['file']}, environment {record['environment']}",
        f"  created {clock(record['created_at'])}, took {took(record) or 'no time'}, {record['trigger'].lower()}"
        + (f" of run {record['previous_run'][:8]}" if record["previous_run"] else ""),
        *([f"  inputs {inputs}"] if inputs else []),
        f"  logs in {record['folder']}",
    ]
    if record["status"] not in TERMINAL:
        owner = f"process {record['engine_pid']} on {record['engine_host']}"
        if is_abandoned(record, datetime.now(UTC)):
            lines.append(f"  {owner}, which drove it, is gone; go on with: rehearse resume")
        else:
            lines.append(f"  driven by {owner} since {record['engine_since']}")
    file = root / record["file"]
    if file.is_file() and file.read_text(encoding="utf-8", errors="replace") != record["definition"]:
        lines.append(f"  {record['file']} has changed since; the run uses {record['folder']}/pipeline.yml")
    typer.echo("\n".join(lines) + "\n")


def _first_line(text: str | None) -> str:
    return text.splitlines()[0] if text else ""


def _cut(value: Any, most: int = 100) -> str:
    import json

    from rehearse.cli.problems import printable

    text = printable(value if isinstance(value, str) else json.dumps(value, default=str))
    return text if len(text) <= most else f"{text[: most - 3]}..."


def _number(value: int | None) -> str:
    return "" if value is None else f"{value:,}"

"""`make demo`: the company comes up, its Orchestra pipeline runs, the tables are shown, the company goes down again.

It drives the other folders as a person would: `rehearse run` is a child process, the warehouse is read from its file.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from sandbox import systems
from sandbox.errors import SandboxError
from sandbox.systems import Talk

PIPELINE = "orchestra/commerce_daily.yml"
MARTS = "commerce_marts"


def demo(*, stay_up: bool, talk: Talk) -> int:
    """Returns the exit code of the run: 0, 1 or 130. Stops only the systems that it started itself."""
    if not Path(PIPELINE).is_file():
        raise SandboxError(f"there is no {PIPELINE} here", "run it from the root of the repository: make demo")
    started = systems.up(talk=talk)
    try:
        code, result = _run()
        if result is not None and code == 0:
            _show(result)
        return code
    finally:
        if started and not stay_up:
            systems.down(started, talk=talk)


def _run() -> tuple[int, dict[str, Any] | None]:
    command = [str(Path(sys.executable).with_name("rehearse")), "run", PIPELINE, "--json"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    while True:
        try:
            output, _ = process.communicate()
            break
        except KeyboardInterrupt:
            pass  # the terminal told the child as well; it stops its tasks and we wait for it
    return process.returncode, json.loads(output) if output else None


def _show(result: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    loads = {s["table"]: s for task in result["tasks"] if (s := task["outputs"].get("summary"))}
    rows = _row_counts(_warehouse())
    console = Console(highlight=False)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading, justify in (("Loaded from the three systems", "left"), ("rows", "right"), ("this run", "left")):
        table.add_column(heading, justify=justify)  # type: ignore[arg-type]
    for name in sorted(loads):
        table.add_row(name, f"{rows.get(name, 0):,}", _what_happened(loads[name]))
    table.add_row("", "", "")
    table.add_row("[bold]Marts built from them[/bold]", "", "")
    for name in sorted(name for name in rows if name.startswith(f"{MARTS}.")):
        table.add_row(name, f"{rows[name]:,}", "")
    console.print()
    console.print(table)
    written = sum(load["rows"] for load in loads.values())
    deleted = sum(load["deleted"] for load in loads.values())
    console.print()
    if written or deleted:
        console.print(
            f"{result['status'].capitalize()} in {result['seconds']:.0f} s: {written:,} rows written, {deleted:,} removed."
        )
    else:
        console.print(
            f"{result['status'].capitalize()} in {result['seconds']:.0f} s: nothing had changed, so nothing was loaded."
        )
    console.print("\nWhat next?")
    for command, why in _next_commands():
        console.print(f"  {command:<76}", style="cyan", end="", markup=False)
        console.print(f"# {why}", style="dim", markup=False)


def _what_happened(load: dict[str, Any]) -> str:
    if load["mode"] == "full":
        return f"all {load['rows']:,} loaded"
    parts = [f"{load['rows']:,} new or changed"] if load["rows"] else []
    parts += [f"{load['deleted']:,} removed"] if load["deleted"] else []
    return ", ".join(parts) or "no change"


def _warehouse() -> Path:
    return Path(os.environ.get("DUCKDB_PATH", "warehouse.duckdb"))


def _row_counts(path: Path) -> dict[str, int]:
    """Rows by `schema.table`, of the raw and mart schemas."""
    import duckdb

    with duckdb.connect(str(path), read_only=True) as connection:
        names = connection.execute(
            "select table_schema || '.' || table_name from information_schema.tables "
            "where (starts_with(table_schema, 'raw_') or table_schema = ?) and not starts_with(table_name, '_dlt_')",
            [MARTS],
        ).fetchall()
        return {name: connection.execute(f"select count(*) from {name}").fetchone()[0] for (name,) in names}  # type: ignore[index]


def _next_commands() -> list[tuple[str, str]]:
    return [
        (".venv/bin/python -m sandbox change && make demo", "a day of business; only the changes are loaded"),
        ("make up && .venv/bin/rehearse run orchestra/commerce_daily.yml", "run the pipeline yourself"),
        ("(cd dbt/duckdb && ../../.venv/bin/dbt build)", "build and test the models by hand"),
    ]

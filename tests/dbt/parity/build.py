"""Build the marts in one warehouse, several times, and write what came out: python build.py WAREHOUSE FOLDER [DBT ARGUMENT...]

FOLDER/dbt holds the projects. Each phase loads the raw tables of a later day, so the first build makes every table, the
second merges and replaces, the third has snapshots of three days to tell apart. FOLDER/WAREHOUSE gets <phase>.json: the rows
of every mart and snapshot, and what dbt ran.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from metadata import metadata_tables
from raw import raw_tables
from warehouses import opened

PHASES = {"first": 0, "incremental": 1, "snapshot": 4}  # days of change
COMPARED = {"model": "_marts", "snapshot": "_snapshots"}


def main(warehouse: str, folder: Path, arguments: list[str]) -> int:
    home = folder / warehouse
    home.mkdir()
    with opened(warehouse, home) as opened_warehouse:
        os.chdir(folder / "dbt" / warehouse)
        from dbt.cli.main import dbtRunner

        compiled: dict[str, str] = {}
        phases = {"first": 0} if arguments else PHASES
        for phase, day in phases.items():
            opened_warehouse.fill(raw_tables(day) | metadata_tables(day))
            # Every test runs once, on what came of merging; a build with them takes twice as long.
            whole = phase == list(phases)[-1]
            only = [] if whole else ["--exclude-resource-type", "test", "unit_test"]
            outcome = dbtRunner().invoke(["build", "--no-version-check", "--no-use-colors", *only, *arguments])
            if not outcome.success:
                return 1
            nodes = [result.node for result in outcome.result.results]
            tables = {
                f"{node.schema}.{node.identifier if hasattr(node, 'identifier') else node.alias}"
                for node in nodes
                if node.resource_type in COMPARED and node.schema.endswith(COMPARED[node.resource_type])
            }
            counts: dict[str, int] = {}
            for node in nodes:
                counts[str(node.resource_type)] = counts.get(str(node.resource_type), 0) + 1
            written: dict[str, Any] = {
                "nodes": counts, "tables": {table.lower(): opened_warehouse.rows(table) for table in sorted(tables)}
            }  # fmt: skip
            (home / f"{phase}.json").write_text(json.dumps(written))
            if phase in ("first", "incremental"):  # the same models, other SQL
                compiled |= {
                    f"{node.name}, {phase} build": node.compiled_code
                    for node in nodes
                    if getattr(node, "compiled_code", None)
                }
        (home / "compiled.json").write_text(json.dumps(compiled))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], Path(sys.argv[2]).resolve(), sys.argv[3:]))

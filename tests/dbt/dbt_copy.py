"""Copies of dbt/ to run the real dbt on: the tests leave the folder itself alone."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

REPO = Path(__file__).resolve().parents[2]
RAW_TABLES = Path(__file__).with_name("raw_tables.sql")


@dataclass
class DbtProject:
    """A copy of dbt/, of which dbt/duckdb is run, with a warehouse of its own."""

    folder: Path
    warehouse: Path

    def dbt(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run dbt by hand, as in `cd dbt/duckdb && dbt build`: no flags, in a time zone far from UTC."""
        keep = {name: value for name, value in os.environ.items() if not name.startswith(("DBT_", "DUCKDB_"))}
        settings = {"DUCKDB_PATH": str(self.warehouse), "TZ": "Asia/Tokyo", "NO_COLOR": "1", "DO_NOT_TRACK": "1"}
        command = [str(Path(sys.executable).with_name("dbt")), *arguments]
        return subprocess.run(
            command, cwd=self.folder, env=keep | settings, capture_output=True, text=True, timeout=120
        )

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """Read the warehouse, dates and amounts as text, so that a comparison shows exact values."""
        with duckdb.connect(str(self.warehouse), read_only=True) as connection:
            return [tuple(None if v is None else str(v) for v in row) for row in connection.execute(sql).fetchall()]

    def execute(self, sql: str) -> None:
        with duckdb.connect(str(self.warehouse)) as connection:
            connection.execute(sql)

    def artifact(self, name: str) -> dict[str, Any]:
        return json.loads((self.folder / "target" / name).read_text())

    def files(self) -> set[str]:
        """Every file of all projects, except what dbt may write: target/ and logs/."""
        inside = (path.relative_to(self.folder.parent) for path in self.folder.parent.rglob("*"))
        return {str(path) for path in inside if not {"target", "logs"} & set(path.parts)}


def copy_projects(to: Path) -> DbtProject:
    """Copy dbt/ as git would check it out, links included, without what earlier builds left."""
    leftovers = shutil.ignore_patterns("target", "logs", "package-lock.yml", ".user.yml")
    shutil.copytree(REPO / "dbt", to / "dbt", symlinks=True, ignore=leftovers)
    return DbtProject(to / "dbt" / "duckdb", to / "warehouse.duckdb")

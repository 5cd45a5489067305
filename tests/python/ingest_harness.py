"""What the tests of python/ drive: the real sandbox, and the worker as a child process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "python"))

OBJECTS = [
    ("postgres", "customers"),
    ("postgres", "products"),
    ("postgres", "orders"),
    ("postgres", "order_items"),
    ("salesforce", "accounts"),
    ("salesforce", "contacts"),
    ("sap", "shipments"),
]
OURS = ("SOURCE", "OBJECT", "DESTINATION", "PARAMS", "FULL_REFRESH", "ORCHESTRA_API_KEY", "ORCHESTRA_TASK_RUN_ID")


@dataclass
class Result:
    code: int
    stdout: str
    stderr: str

    @property
    def summary(self) -> dict[str, Any]:
        assert self.code == 0, self.stderr
        return json.loads(self.stdout)


@dataclass
class Worker:
    """Runs python/ingest.py against one warehouse folder."""

    folder: Path
    env: dict[str, str]
    cwd: Path = ROOT
    command: list[str] = field(default_factory=lambda: [sys.executable, str(ROOT / "python" / "ingest.py")])

    @property
    def database(self) -> Path:
        return self.folder / "warehouse.duckdb"

    def environment(self, **env: str | None) -> dict[str, str]:
        base = {k: v for k, v in os.environ.items() if not k.startswith("SOURCES__") and k not in OURS}
        own = {"DUCKDB_PATH": str(self.database), "DLT_PIPELINES_DIR": str(self.folder / "pipelines")}
        return {k: v for k, v in {**base, **self.env, **own, **env}.items() if v is not None}

    def __call__(self, source: str | None = None, name: str | None = None, *flags: str, **env: str | None) -> Result:
        chosen = [*(["--source", source] if source else []), *(["--object", name] if name else [])]
        return self.run([*self.command, *chosen, *flags], **env)

    def run(self, command: list[str], **env: str | None) -> Result:
        done = subprocess.run(
            command, cwd=self.cwd, env=self.environment(**env), capture_output=True, text=True, timeout=60, check=False
        )
        return Result(done.returncode, done.stdout, done.stderr)

    def all(self, *flags: str) -> dict[tuple[str, str], Result]:
        """Every object at the same time, as a pipeline would."""
        with ThreadPoolExecutor(len(OBJECTS)) as pool:
            return dict(zip(OBJECTS, pool.map(lambda pair: self(*pair, *flags), OBJECTS), strict=True))

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        import duckdb

        with duckdb.connect(str(self.database), read_only=True) as connection:
            return connection.sql(sql).fetchall()


@dataclass
class Sandbox:
    env: dict[str, str]
    home: Path

    def __call__(self, *arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "sandbox", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=60,
            check=False, env={**os.environ, **self.env, "SANDBOX_HOME": str(self.home)},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

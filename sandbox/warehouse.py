"""The first load: the raw tables in the default warehouse and in PostgreSQL, so that dbt has something to build from.

It runs python/ingest.py as a person would, one table after the other in each of the two, both at the same time. A table that
is there stays as it is: whatever loads it later finds its own state.
"""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from sandbox import systems
from sandbox.errors import SandboxError
from sandbox.home import Home
from sandbox.postgres import Postgres
from sandbox.systems import Talk

INGEST = Path("python/ingest.py")
TABLES = (
    ("postgres", "customers"), ("postgres", "products"), ("postgres", "orders"), ("postgres", "order_items"),
    ("salesforce", "accounts"), ("salesforce", "contacts"), ("sap", "shipments"),
)  # fmt: skip
QUERY = "select table_schema || '.' || table_name from information_schema.tables"


def load(home: Home, talk: Talk) -> None:
    """Load what is missing. Raises SandboxError with what the worker said."""
    if not INGEST.is_file():
        return  # only this folder was copied
    todo = {
        destination: [(source, name) for source, name in TABLES if f"raw_{source}.{name}" not in present]
        for destination, present in (("duckdb", _in_duckdb()), ("postgres", _in_postgres(home)))
    }
    if any(todo.values()):
        talk("loading the raw tables into warehouse.duckdb and PostgreSQL (once; --no-load leaves it out)")
        with ThreadPoolExecutor(len(todo)) as pool:
            list(pool.map(lambda item: _load(home, *item), todo.items()))


def _load(home: Home, destination: str, tables: list[tuple[str, str]]) -> None:
    variables = {**os.environ, **systems.environment(home=home), "RUNTIME__DLTHUB_TELEMETRY": "false"}
    for source, name in tables:
        command = [sys.executable, str(INGEST), "--source", source, "--object", name, "--destination", destination]
        done = subprocess.run(command, env=variables, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        if done.returncode:
            raise SandboxError(f"loading {source}.{name} into {destination} failed:\n{done.stderr.strip()}")


def _in_duckdb() -> set[str]:
    import duckdb

    path = Path(os.environ.get("DUCKDB_PATH") or "warehouse.duckdb")
    if not path.exists():
        return set()
    try:
        with duckdb.connect(str(path), read_only=True) as connection:
            return {name for (name,) in connection.execute(QUERY).fetchall()}
    except duckdb.IOException:  # somebody is writing to it, so they do not wait for a first load
        return {f"raw_{source}.{name}" for source, name in TABLES}


def _in_postgres(home: Home) -> set[str]:
    import psycopg

    server = Postgres(home)
    if not server.state.get("warehouse"):
        return {f"raw_{source}.{name}" for source, name in TABLES}
    with psycopg.connect(server.warehouse_url(), connect_timeout=5) as connection:
        return {name for (name,) in connection.execute(QUERY).fetchall()}

"""Loads that are killed: after the next invocation the table is the source, and no reader ever saw half of one.

Usage: python tests/chaos/ingest.py [KILLS] [SEED]     (starts a sandbox of its own; each kill: `kill -9` at a random moment)

Rows of a table of PostgreSQL come and change; each round starts a load, full or incremental, kills it, and lets the next one
finish. Into DuckDB and into PostgreSQL, where somebody counts the rows all the time: before a load there are as many as the one
before left, after it as many as the source has, and never another number.
"""

from __future__ import annotations

import os
import random
import shlex
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import psycopg

ROOT = Path(__file__).resolve().parents[2]
ROWS = 20_000
SLOWEST = 3.0
"""Seconds after the start of a load within which it is killed; an undisturbed one takes about that long."""
TABLE = """
create schema chaos;
create table chaos.rows (id bigint primary key, amount int, note text, updated_at timestamptz);
insert into chaos.rows select g, g, md5(g::text), now() from generate_series(1, {rows}) g;
"""


def main() -> None:
    kills = int(sys.argv[1]) if len(sys.argv) > 1 else 10
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    with tempfile.TemporaryDirectory() as name:
        env = {**os.environ, "SANDBOX_HOME": f"{name}/sandbox", "DUCKDB_PATH": f"{name}/w.duckdb",
               "DLT_PIPELINES_DIR": f"{name}/pipelines"}  # fmt: skip
        sandbox = [sys.executable, "-m", "sandbox"]
        subprocess.run([*sandbox, "up", "postgres"], cwd=ROOT, env=env, check=True, stderr=subprocess.DEVNULL)
        try:
            said = subprocess.run(
                [*sandbox, "env"], cwd=ROOT, env=env, check=True, capture_output=True, text=True
            ).stdout
            for line in said.splitlines():
                if line.startswith("export "):
                    key, _, value = shlex.split(line)[1].partition("=")
                    env[key] = value
            env["DESTINATION__POSTGRES__CREDENTIALS"] = url = env["SOURCES__POSTGRES__CREDENTIALS"]
            execute(url, TABLE.format(rows=ROWS))
            differ = sum(
                rounds(destination, kills, random.Random(seed), env, url) for destination in ("duckdb", "postgres")
            )
        finally:
            subprocess.run([*sandbox, "reset"], cwd=ROOT, env=env, check=False, stderr=subprocess.DEVNULL)
    sys.exit(1 if differ else 0)


def rounds(destination: str, kills: int, chance: random.Random, env: dict[str, str], url: str) -> int:
    """How many rounds ended with another table than the source, or with half a table seen."""
    command = [sys.executable, "python/ingest.py", "--source", "postgres", "--object", "rows", "--entity", "chaos.rows",
               "--key", "id", "--cursor", "updated_at", "--destination", destination]  # fmt: skip
    ended: Counter[str] = Counter()
    differ = 0
    for number in range(kills):
        full = ["--full-refresh"] if chance.random() < 0.4 else []
        before = count(env, url, destination)
        with Reader(url, destination) as reader:
            process = subprocess.Popen(
                [*command, *full],
                cwd=ROOT,
                env=env,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
            time.sleep(chance.uniform(0.2, SLOWEST))
            ended["killed" if process.poll() is None else "had ended"] += 1
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            subprocess.run([*command, *full], cwd=ROOT, env=env, check=True, capture_output=True)
        ours, theirs = contents(env, url, destination), source(url)
        allowed = {before, len(theirs)}
        if ours != theirs or not reader.seen <= allowed:
            differ += 1
            print(
                f"{destination} {number}: {len(ours)} of {len(theirs)} rows, seen {sorted(reader.seen)}, allowed {allowed}"
            )
        more = chance.randrange(200)
        execute(
            url,
            f"insert into chaos.rows select g, g, 'new', now() from generate_series({len(theirs) + 1}, {len(theirs) + more}) g; "
            f"update chaos.rows set amount = amount + 1, updated_at = now() where id % 97 = {number}",
        )
    print(f"{destination}: {kills} loads, {dict(ended)}, {differ} differ", flush=True)
    return differ


class Reader:
    """Counts the rows of the PostgreSQL table as fast as it can. A DuckDB file is open to one process at a time."""

    def __init__(self, url: str, destination: str):
        self.seen: set[int] = set()
        self._url, self._destination = url, destination
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def __enter__(self) -> Reader:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _look(self) -> None:
        while self._destination == "postgres" and not self._done.is_set():
            self.seen.add(count({}, self._url, "postgres"))
            time.sleep(0.005)


def count(env: dict[str, str], url: str, destination: str) -> int:
    return int(query(env, url, destination, "select count(*) from raw_postgres.rows")[0][0])


def contents(env: dict[str, str], url: str, destination: str) -> list[Any]:
    return query(env, url, destination, "select id, amount, note from raw_postgres.rows order by id")


def query(env: dict[str, str], url: str, destination: str, sql: str) -> list[Any]:
    """One row with 0 when there is no such table."""
    if destination == "postgres":
        with psycopg.connect(url) as connection:
            try:
                return connection.execute(sql).fetchall()
            except psycopg.errors.UndefinedTable:
                return [(0,)]
    import duckdb

    try:
        with duckdb.connect(env["DUCKDB_PATH"], read_only=True) as connection:
            return connection.sql(sql).fetchall()
    except (duckdb.CatalogException, duckdb.IOException):
        return [(0,)]


def source(url: str) -> list[Any]:
    with psycopg.connect(url) as connection:
        return connection.execute("select id, amount, note from chaos.rows order by id").fetchall()


def execute(url: str, sql: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(sql)


if __name__ == "__main__":
    main()

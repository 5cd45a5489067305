"""Rows per second of `python/ingest.py`, beside dlt's own `sql_database` on the same rows: PostgreSQL to DuckDB, PostgreSQL and
files (Delta tables).

Usage: python benchmarks/ingest.py [ROWS] [RUNS] [TOOL,...] [TABLE,...] [DESTINATION,...]
(the environment of `make install`; starts a sandbox of its own)

Tables: `orders` (bigint, uuid, integer, numeric, two timestamptz, two texts, boolean, jsonb), and `wide` with 60 columns and a
fifth of the rows. A full load into an empty destination, then a merge of 1 % changed rows. Every cell is a cold process;
alternating runs, medians; CPU seconds and the peak of its memory. `limit` is the same work without a tool: COPY to a file, and
the destination's own bulk load of the same rows.
"""

from __future__ import annotations

import os
import resource
import shlex
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import psycopg

ROOT = Path(__file__).resolve().parents[1]
TABLE = """
create schema if not exists bench;
drop table if exists bench.orders;
create table bench.orders as select g::bigint as order_id, round((random() * 1000)::numeric, 2)::numeric(12, 2) as total,
  timestamptz '2020-01-01' + g * interval '1 second' as updated_at, {columns} from generate_series(1, {rows}) g;
alter table bench.orders add primary key (order_id);
create index on bench.orders (updated_at);
analyze bench.orders;
"""
ORDERS = """gen_random_uuid() as ref, (random() * 100000)::int as customer_id,
  timestamptz '2019-01-01' + g * interval '1 second' as created_at, md5(g::text) as note, 'status-' || (g % 7) as status,
  (g % 3 = 0) as is_open, jsonb_build_object('n', g, 'tags', array['a', 'b']) as meta"""
WIDE = ", ".join(
    f"(g * {n})::bigint as n{n}, md5((g * {n})::text) as t{n}, ((g % {1000 + n}) / 7.0)::numeric(12, 3) as d{n}"
    for n in range(1, 20)
)
TABLES = {"orders": (ORDERS, 1), "wide": (WIDE, 5)}
"""Name -> the columns beside key, total and cursor, and by what the rows are divided."""
DESTINATIONS = ("duckdb", "postgres", "filesystem")
CHANGE = """
update bench.orders set total = total + 1,
  updated_at = timestamptz '2026-01-01' + {run} * interval '30 days' + (order_id % 1000000) * interval '1 second'
where order_id % 100 = {run}
"""
DLT = """
import sys
import dlt
from dlt.sources.sql_database import sql_table
backend, url, destination, folder = sys.argv[1:]
table = sql_table(url, table="orders", schema="bench", backend=backend, incremental=dlt.sources.incremental("updated_at"),
                  reflection_level="full_with_precision")
lake = destination == "filesystem"
merge = {"disposition": "merge", "strategy": "upsert"} if lake else "merge"
table.apply_hints(primary_key="order_id", write_disposition=merge, table_format="delta" if lake else None)
target = {
    "duckdb": lambda: dlt.destinations.duckdb(folder + "/w.duckdb"), "postgres": lambda: dlt.destinations.postgres(url),
    "filesystem": lambda: dlt.destinations.filesystem(folder + "/lake"),
}[destination]()
pipeline = dlt.pipeline("bench_" + backend, pipelines_dir=folder, destination=target, dataset_name="bench_" + backend)
pipeline.run(table, loader_file_format="parquet" if backend == "pyarrow" or lake else None)
"""


@dataclass
class Cell:
    seconds: list[float]
    cpu: list[float]
    peak_mb: list[float]

    def text(self, rows: int) -> str:
        took = statistics.median(self.seconds)
        return f"{took:6.1f} s  {rows / took:9,.0f} rows/s  {statistics.median(self.cpu):6.1f} CPU s  {max(self.peak_mb):5.0f} MB"


def main() -> None:
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    runs = int(sys.argv[2]) if len(sys.argv) > 2 else 5
    tools = sys.argv[3].split(",") if len(sys.argv) > 3 else ["ours", "dlt arrow", "dlt rows"]
    tables = sys.argv[4].split(",") if len(sys.argv) > 4 else list(TABLES)
    destinations = sys.argv[5].split(",") if len(sys.argv) > 5 else list(DESTINATIONS)
    with tempfile.TemporaryDirectory() as name:
        env = {
            **os.environ,
            "SANDBOX_HOME": f"{name}/sandbox",
            "DO_NOT_TRACK": "1",
            "RUNTIME__DLTHUB_TELEMETRY": "false",
        }
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
            for table in tables:
                columns, part = TABLES[table]
                execute(env["SOURCES__POSTGRES__CREDENTIALS"], TABLE.format(rows=rows // part, columns=columns))
                for destination in destinations:
                    measure(table, destination, rows // part, runs, tools, Path(name), env)
        finally:
            subprocess.run([*sandbox, "reset"], cwd=ROOT, env=env, check=False, stderr=subprocess.DEVNULL)


def measure(
    table: str, destination: str, rows: int, runs: int, tools: list[str], folder: Path, env: dict[str, str]
) -> None:
    url = env["SOURCES__POSTGRES__CREDENTIALS"]
    full: dict[str, Cell] = {}
    merge: dict[str, Cell] = {}
    changes = 0
    for run in range(runs):
        for tool in tools:
            place = folder / f"{table}-{destination}-{tool}-{run}".replace(" ", "-")
            place.mkdir()
            command = command_of(tool, url, destination, place)
            more = {
                "DUCKDB_PATH": f"{place}/w.duckdb", "DLT_PIPELINES_DIR": str(place),
                "DESTINATION__POSTGRES__CREDENTIALS": url, "DESTINATION__FILESYSTEM__BUCKET_URL": f"{place}/lake",
            }  # fmt: skip
            timed(full, tool, command, env | more)
            changes += 1
            execute(url, CHANGE.format(run=changes))
            timed(merge, tool, command, env | more)
            execute(url, "drop schema if exists raw_postgres, raw_postgres_staging cascade")
            for backend in ("pyarrow", "sqlalchemy"):
                execute(url, f"drop schema if exists bench_{backend}, bench_{backend}_staging cascade")
            shutil.rmtree(place)
    limit = statistics.median(physical(url, destination, folder) for _ in range(runs))
    speed = f"limit: {limit:.1f} s, {rows / limit:,.0f} rows/s"
    print(f"{table}: PostgreSQL to {destination}, {rows:,} rows, {runs} runs each ({speed})")
    for label, cells, count in (("full", full, rows), ("1 % merge", merge, rows // 100)):
        for tool, cell in cells.items():
            print(f"  {label:<10} {tool:<10} {cell.text(count)}", flush=True)


def command_of(tool: str, url: str, destination: str, place: Path) -> list[str]:
    if tool == "ours":
        return [sys.executable, "python/ingest.py", "--source", "postgres", "--object", "orders_bench", "--entity",
                "bench.orders", "--key", "order_id", "--cursor", "updated_at", "--destination", destination,
                *(["--table-format", "delta"] if destination == "filesystem" else [])]  # fmt: skip
    backend = "pyarrow" if tool == "dlt arrow" else "sqlalchemy"
    return [sys.executable, "-c", DLT, backend, url, destination, str(place)]


def timed(cells: dict[str, Cell], tool: str, command: list[str], env: dict[str, str]) -> None:
    started = time.perf_counter()
    process = subprocess.Popen(command, cwd=ROOT, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    said = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    assert status == 0, said[-2000:]
    cell = cells.setdefault(tool, Cell([], [], []))
    cell.seconds.append(time.perf_counter() - started)
    cell.cpu.append(usage.ru_utime + usage.ru_stime)
    cell.peak_mb.append(usage.ru_maxrss / 1024)


def physical(url: str, destination: str, folder: Path) -> float:
    """Seconds of COPY out, and of the destination's own way in."""
    file = folder / "rows.csv"
    started = time.perf_counter()
    copy_out = "copy bench.orders to stdout (format csv)"
    with psycopg.connect(url) as connection, file.open("wb") as out, connection.cursor().copy(copy_out) as copy:
        out.writelines(copy)
    rows_of = f"read_csv('{file}', header = false)"
    if destination == "filesystem":
        in_duckdb(f"copy (from {rows_of}) to '{folder}/limit.parquet'")
    elif destination == "duckdb":
        (folder / "limit.duckdb").unlink(missing_ok=True)
        in_duckdb(f"attach '{folder}/limit.duckdb' as w; create table w.orders as select * from {rows_of}")
    else:
        with psycopg.connect(url) as connection:
            connection.execute("create table bench.copied (like bench.orders)")
            with connection.cursor().copy("copy bench.copied from stdin (format csv)") as copy, file.open("rb") as rows:
                while data := rows.read(1 << 20):
                    copy.write(data)
        execute(url, "drop table bench.copied")
    return time.perf_counter() - started


def in_duckdb(sql: str) -> None:
    """In a process of its own: what this one once took would count as the peak of every process that it starts later."""
    subprocess.run([sys.executable, "-c", "import sys, duckdb; duckdb.execute(sys.argv[1])", sql], check=True)


def execute(url: str, sql: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(sql)


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    main()

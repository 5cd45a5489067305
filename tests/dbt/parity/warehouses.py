"""The six warehouses as the harness sees them: something to fill, something to read, and settings for dbt.

duckdb, postgres            the real thing
snowflake                   the real adapter and client, against the stand-in of sandbox/snowflake_server.py
fabric, bigquery, databricks  the real adapter, its statements translated and run on DuckDB (offline.py)
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any, Protocol

import duckdb
import pyarrow as pa

REPO = Path(__file__).resolve().parents[3]
EVIDENCE = {
    "duckdb": "really run",
    "postgres": "really run",
    "snowflake": "run on a stand-in",
    "fabric": "translated, run on DuckDB",
    "bigquery": "translated, run on DuckDB",
    "databricks": "translated, run on DuckDB",
}
Row = dict[str, str | None]


class Warehouse(Protocol):
    def fill(self, raw: dict[str, pa.Table]) -> None:
        """Make or replace the raw tables, named schema.table."""

    def rows(self, table: str) -> list[Row]:
        """Every row of schema.table, values as canonical texts, in no order."""


@contextmanager
def opened(name: str, folder: Path) -> Iterator[Warehouse]:
    """A new, empty warehouse, and the environment that dbt finds it by (set in this process)."""
    os.environ.update(
        TZ="Asia/Tokyo", DO_NOT_TRACK="1", DBT_SEND_ANONYMOUS_USAGE_STATS="false", DBT_ORCHESTRA_METADATA="true"
    )
    with {"duckdb": _duckdb, "postgres": _postgres, "snowflake": _snowflake}.get(name, _offline)(
        name, folder
    ) as warehouse:
        yield warehouse


def canonical(names: list[str], values: tuple[Any, ...]) -> Row:
    """Column names in lower case; numbers without trailing zeros, times in UTC without their zone."""
    return {name.lower(): _text(value) for name, value in zip(names, values, strict=True)}


def _text(value: Any) -> str | None:
    if value is None:
        return None
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (int, float, Decimal)):
        number = Decimal(repr(value) if isinstance(value, float) else value)
        return format(number.normalize() if number else Decimal(0), "f")
    return value.replace(tzinfo=None).isoformat(" ") if hasattr(value, "hour") else str(value)


@contextmanager
def _duckdb(name: str, folder: Path) -> Iterator[Warehouse]:
    from raw import fill

    path = folder / "warehouse.duckdb"
    os.environ["DUCKDB_PATH"] = str(path)

    class File:
        def fill(self, raw: dict[str, pa.Table]) -> None:
            with self.connect() as connection:
                fill(connection, raw)

        def connect(self) -> Any:
            from dbt.adapters.duckdb.connections import DuckDBConnectionManager

            DuckDBConnectionManager.close_all_connections()  # dbt of this process keeps the file open, its own way
            return duckdb.connect(str(path))

        def rows(self, table: str) -> list[Row]:
            with self.connect() as connection:
                return _read(connection.execute(f"select * from {table}"))

    yield File()


def _read(cursor: Any) -> list[Row]:
    names = [column[0] for column in cursor.description]
    return [canonical(names, row) for row in cursor.fetchall()]


@contextmanager
def _postgres(name: str, folder: Path) -> Iterator[Warehouse]:
    import psycopg

    from sandbox.home import Home
    from sandbox.postgres import Postgres

    home = Home(folder / "postgres")
    home.path.mkdir(mode=0o700)
    server = Postgres(home)
    server.create()
    try:
        server.start()
        server.create_database()
        state = server.state
        os.environ.update(
            POSTGRES_HOST="127.0.0.1", POSTGRES_PORT=str(state["port"]), POSTGRES_USER=server.user,
            POSTGRES_PASSWORD=state["password"], POSTGRES_DATABASE=server.database, PGTZ="Asia/Tokyo",
        )  # fmt: skip
        kinds = {"double": "double precision", "varchar": "text"}

        class Server:
            def fill(self, raw: dict[str, pa.Table]) -> None:
                from metadata import METADATA
                from raw import RAW

                types = RAW | METADATA
                with server.connect() as connection, connection.cursor() as cursor:
                    for table, content in raw.items():
                        cursor.execute(f"create schema if not exists {table.partition('.')[0]}")
                        columns = ", ".join(
                            f"{column} {kinds.get(kind, kind)}" for column, kind in types[table].items()
                        )
                        cursor.execute(f"create table if not exists {table} ({columns})")  # views read it, so it stays
                        cursor.execute(f"truncate {table}")
                        with cursor.copy(f"copy {table} from stdin") as copy:
                            for row in zip(*(column.to_pylist() for column in content.columns), strict=True):
                                copy.write_row(row)

            def rows(self, table: str) -> list[Row]:
                with psycopg.connect(server.url()) as connection:
                    return _read(connection.execute(f"select * from {table}"))

        yield Server()
    finally:
        server.stop()
        server.remove()


@contextmanager
def _snowflake(name: str, folder: Path) -> Iterator[Warehouse]:
    import pyarrow.parquet as pq
    import snowflake.connector

    python = REPO / ".venv" / "clients" / "fakesnow" / "bin" / "python"
    with open(folder / "snowflake.log", "w") as log:
        process = subprocess.Popen(
            [str(python), str(REPO / "sandbox" / "snowflake_server.py")], stdout=subprocess.PIPE, stderr=log, text=True
        )
    try:
        port = int(process.stdout.readline())  # type: ignore[union-attr]
        os.environ.update(
            SNOWFLAKE_ACCOUNT="fakesnow", SNOWFLAKE_HOST="127.0.0.1", SNOWFLAKE_PORT=str(port), SNOWFLAKE_PROTOCOL="http",
            SNOWFLAKE_USER="dbt", SNOWFLAKE_PASSWORD="dbt",
        )  # fmt: skip

        def connect() -> Any:
            return snowflake.connector.connect(
                user="dbt", password="dbt", account="fakesnow", host="127.0.0.1", port=port, protocol="http",
                network_timeout=60, login_timeout=20, session_parameters={"CLIENT_OUT_OF_BAND_TELEMETRY_ENABLED": False},
            )  # fmt: skip

        class Account:
            def fill(self, raw: dict[str, pa.Table]) -> None:
                with connect() as connection, connection.cursor() as cursor:
                    cursor.execute("create database if not exists analytics")
                    for table, content in raw.items():
                        # The stand-in reads a file of this machine; names come out in upper case, as loaders leave them.
                        path = folder / f"{table}.parquet"
                        pq.write_table(content, path)
                        columns = ", ".join(f"{column} as {column.upper()}" for column in content.column_names)
                        cursor.execute(f"create schema if not exists analytics.{table.partition('.')[0]}")
                        cursor.execute(
                            f"create or replace table analytics.{table} as select {columns} from read_parquet('{path}')"
                        )

            def rows(self, table: str) -> list[Row]:
                with connect() as connection, connection.cursor() as cursor:
                    return _read(cursor.execute(f"select * from analytics.{table}"))

        yield Account()
    finally:
        process.terminate()
        process.wait()


@contextmanager
def _offline(name: str, folder: Path) -> Iterator[Warehouse]:
    from offline import connect
    from raw import fill

    engine = connect(name, folder / "warehouse.duckdb")

    class Translated:
        def fill(self, raw: dict[str, pa.Table]) -> None:
            fill(engine.connection, raw)

        def rows(self, table: str) -> list[Row]:
            return _read(engine.connection.execute(f"select * from {table}"))

    yield Translated()

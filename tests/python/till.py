"""A small shop whose table changes, and where it is loaded to."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
from ingestion.catalogue import Entry, SourceSettings
from ingestion.load import Options, Summary, ingest

SETTINGS = SourceSettings("till", "sql")
SALES = Entry("till", "sales", "sales", ("id",), "changed_at", "merge", "compare_keys")
START = datetime(2026, 1, 1, tzinfo=UTC)
Rows = list[tuple[Any, ...]]


class Till:
    """A source, and a destination to look into."""

    def __init__(self, folder: Path, destination: str, credentials: str | None):
        self.source = sqlite3.connect(folder / "till.db", isolation_level=None)
        self.source.execute(
            "create table sales (id integer primary key, amount integer, note text, changed_at datetime)"
        )
        self.destination, self._credentials, self._file = destination, credentials, folder / "warehouse.duckdb"

    def put(self, day: int, *rows: tuple[int, int], note: str | None = None) -> None:
        at = (START + timedelta(days=day)).strftime("%Y-%m-%d %H:%M:%S.%f")
        self.source.execute("begin")
        self.source.executemany(
            "insert into sales (id, amount, note, changed_at) values (?, ?, ?, ?) on conflict do update "
            "set amount = excluded.amount, note = excluded.note, changed_at = excluded.changed_at",
            [(key, amount, note, at) for key, amount in rows],
        )
        self.source.execute("commit")

    def remove(self, *keys: int) -> None:
        self.source.executemany("delete from sales where id = ?", [(key,) for key in keys])

    def rows(self) -> Rows:
        return self.source.execute("select id, amount from sales order by 1").fetchall()

    def load(self, entry: Entry, **options: Any) -> Summary:
        return ingest(entry, SETTINGS, self.destination, Options(**options))

    def query(self, sql: str) -> Rows:
        if self._credentials:
            with psycopg.connect(self._credentials) as connection:
                return connection.execute(sql).fetchall()
        import duckdb

        with duckdb.connect(str(self._file), read_only=True) as connection:
            return connection.sql(sql).fetchall()

    def table(self, name: str = "sales", where: str = "true") -> Rows:
        return self.query(f"select id, amount from raw_till.{name} where {where} order by 1, 2")

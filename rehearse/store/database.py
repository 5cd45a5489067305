"""One connection to SQLite or PostgreSQL, spoken to in the SQL that both understand, with `?` for values.

Without SQLAlchemy on purpose: importing it takes longer than an empty pipeline may.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

from rehearse.errors import StoreError, UsageError

BUSY_SECONDS = 30  # how long to wait for another process that writes
CONNECT_SECONDS = 10
SCHEMA = "rehearse"  # of PostgreSQL

Row = dict[str, Any]
Values = Sequence[Any] | Mapping[str, Any]


class Database(Protocol):
    """`place` says where it is, without a password. Every method raises StoreError."""

    place: str
    is_sqlite: bool

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[Row]: ...
    def execute(self, sql: str, values: Sequence[Any] = ()) -> int: ...
    def execute_many(self, sql: str, values: Iterable[Sequence[Any]]) -> None: ...
    def transaction(self) -> Any: ...
    def changed(self) -> bool: ...
    def version(self) -> Any: ...
    def is_lost(self) -> bool: ...
    def close(self) -> None: ...


def connect(url: str) -> Database:
    """`sqlite:///PATH` or `postgresql://...`. Raises UsageError for another kind, StoreError when it cannot be reached."""
    if url.startswith("sqlite:///"):
        return _Sqlite(Path(url.removeprefix("sqlite:///")))
    if url.startswith(("postgresql://", "postgres://")):
        return _Postgres(url)
    raise UsageError(f"the store '{url.split('://')[0]}://...' is of no kind that rehearse knows",
                     "write sqlite:///PATH or postgresql://USER:PASSWORD@HOST/DATABASE")  # fmt: skip


class _Sqlite:
    is_sqlite = True

    def __init__(self, path: Path):
        self.place = str(path)
        self._data_version = -1
        with self._errors():
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            if not path.exists():
                os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
            self._connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None)
            for setting in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
                self._connection.execute(f"PRAGMA {setting}")

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[Row]:
        with self._errors():
            cursor = self._connection.execute(sql, values)
            names = [column[0] for column in cursor.description or ()]
            return [dict(zip(names, row, strict=True)) for row in cursor]

    def execute(self, sql: str, values: Sequence[Any] = ()) -> int:
        with self._errors():
            return self._connection.execute(sql, values).rowcount

    def execute_many(self, sql: str, values: Iterable[Sequence[Any]]) -> None:
        with self._errors():
            self._connection.executemany(sql, values)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        self.execute("BEGIN IMMEDIATE")
        try:
            yield
            self.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                self._connection.rollback()
            raise

    def changed(self) -> bool:
        """Whether another connection may have written since the last call."""
        [row] = self.rows("PRAGMA data_version")
        before, self._data_version = self._data_version, row["data_version"]
        return before != self._data_version

    def version(self) -> Any:
        """The same as long as nobody has written, by this connection or another one."""
        return self.rows("PRAGMA data_version")[0]["data_version"], self._connection.total_changes

    def is_lost(self) -> bool:
        """Whether the connection is gone, and another one may work."""
        return False

    def close(self) -> None:
        self._connection.close()

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as e:
            hint = (
                "another process has kept it locked"
                if "locked" in str(e)
                else "is its folder writable, and the disk not full?"
            )
            raise StoreError(f"the run store {self.place} cannot be used: {e}", hint) from e
        except sqlite3.DatabaseError as e:
            raise StoreError(
                f"the run store {self.place} is damaged: {e}", "move it away: rehearse then begins a new one"
            ) from e
        except OSError as e:
            raise StoreError(
                f"the run store {self.place} cannot be made: {e.strerror or e}", "is its folder writable?"
            ) from e


class _Postgres:
    is_sqlite = False

    def __init__(self, url: str):
        import psycopg
        from psycopg.rows import dict_row

        self._error = psycopg.Error
        parts = urlsplit(url)
        self.place = f"{parts.hostname or 'localhost'}:{parts.port or 5432}/{parts.path.lstrip('/')}"
        with self._errors():
            self._connection = psycopg.connect(
                url, autocommit=True, connect_timeout=CONNECT_SECONDS, row_factory=dict_row, application_name="rehearse",
                options=f"-c search_path={SCHEMA} -c lock_timeout={BUSY_SECONDS * 1000} -c statement_timeout=60000",
            )  # fmt: skip

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[Row]:
        with self._errors():
            return list(self._connection.execute(_placeholders(sql), values))

    def execute(self, sql: str, values: Sequence[Any] = ()) -> int:
        with self._errors():
            return self._connection.execute(_placeholders(sql), values).rowcount

    def execute_many(self, sql: str, values: Iterable[Sequence[Any]]) -> None:
        with self._errors(), self._connection.cursor() as cursor:
            cursor.executemany(_placeholders(sql), values)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        with self._errors(), self._connection.transaction():
            yield

    def changed(self) -> bool:
        return True

    def version(self) -> Any:
        return None  # it does not tell

    def is_lost(self) -> bool:
        return bool(self._connection.closed)

    def close(self) -> None:
        self._connection.close()

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except self._error as e:
            said = str(e).strip().splitlines()[0] if str(e).strip() else type(e).__name__
            raise StoreError(f"the run store at {self.place} cannot be used: {said}",
                             "check REHEARSE_STORE, and whether the server is up")  from e  # fmt: skip


def _placeholders(sql: str) -> Any:
    return sql.replace("?", "%s")

"""DuckDB: a file, with its one writer at a time, or MotherDuck."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rehearse.jobs.sql_session import (
    Result,
    Session,
    SqlError,
    Unreachable,
    fetch,
    last_only,
    patiently,
    scrub,
    speaking,
)
from rehearse.jobs.sql_targets import DEFAULT_SCHEMAS, TWO_LEVELS, Target

_HOLDER = re.compile(r"\(PID (\d+)\)")
_READS_ONLY = ("SELECT", "EXPLAIN", "SET", "TRANSACTION")
# Warehouses whose own clients answer a changing statement with one row, its count, as DuckDB does.
_ANSWER_COUNTS = ("duckdb", "snowflake", "databricks")


def connect(target: Target) -> Session:
    return MotherDuck(target) if target["engine"] == "motherduck" else DuckDB(target)


class DuckDB(Session):
    """The file is opened by the first `run`, read-only if its statements only read: many readers can be there at once."""

    dialect = "duckdb"

    def __init__(self, target: Target):
        super().__init__(target)
        self.path = self.options.get("path", "")
        self.writes = False
        self._connection: Any = None
        self._cancelled = False

    def run(self, sql: str) -> list[Result]:
        import duckdb

        with speaking(self.target):
            statements = duckdb.extract_statements(sql)
        only_reads = all(statement.type.name in _READS_ONLY for statement in statements)
        try:
            return self._run(statements, only_reads and not self.writes)
        except SqlError as e:
            # A function that is called by a SELECT may write, such as nextval; then nothing has happened yet.
            if not only_reads or self.writes or "read-only mode" not in str(e):
                raise
            self.close()
            return self._run(statements, False)

    def _run(self, statements: list[Any], read_only: bool) -> list[Result]:
        connection = self.open(read_only)
        results: list[Result] = []
        for statement in statements:
            if self._cancelled:
                raise SqlError("stopped")
            with speaking(self.target):
                started = time.monotonic()
                cursor = connection.execute(statement)
                result = self._result(statement, cursor)
                result.seconds = time.monotonic() - started
                results.append(result)
        last_only(results)
        return results

    def _result(self, statement: Any, cursor: Any) -> Result:
        if not cursor.description or statement.type.name in ("TRANSACTION", "SET"):
            return Result()
        counts = statement.type.name in ("INSERT", "UPDATE", "DELETE", "MERGE_INTO", "COPY", "CREATE")
        if counts and [column[0] for column in cursor.description] == ["Count"]:
            row = cursor.fetchone()
            changed = int(row[0]) if row else None
            if statement.type.name == "CREATE" and row is None:
                return Result()
            gives_rows = self.target["dialect"] in _ANSWER_COUNTS and statement.type.name != "CREATE"
            return Result([row] if gives_rows and row else [], changed, gives_rows)
        rows, count = fetch(cursor)
        return Result(rows, count, True)

    def open(self, read_only: bool) -> Any:
        """The connection. Raises SqlError when somebody else has the file for too long."""
        if self._connection is not None:
            return self._connection
        memory = self.path == ":memory:"
        if self.must_exist and not memory and not Path(self.path).exists():
            raise Unreachable(f"there is no {self.target['where']}", "load something into it first")
        self.writes = not read_only
        read_only = read_only and not memory and Path(self.path).exists()
        connection = open_patiently(self.target, self.path, read_only, create=not memory)
        self._enter_schema(connection)
        self._connection = connection
        return connection

    def expect(self, sql: str) -> None:
        """Look at what will be run later, so that the file is opened for it. Raises SqlError for what cannot be parsed."""
        import duckdb

        with speaking(self.target):
            for statement in duckdb.extract_statements(sql):
                self.writes |= statement.type.name not in _READS_ONLY

    def begin(self, dialect: str, statements: Sequence[str]) -> bool:
        own = any(
            each.split(None, 1)[0].upper().rstrip(";") in ("BEGIN", "START", "COMMIT", "ROLLBACK")
            for each in statements
        )
        if dialect not in ("postgres", "redshift") or len(statements) < 2 or own:
            return False
        self.run("begin")
        return True

    def _enter_schema(self, connection: Any) -> None:
        """The schema that the task or the connection names. Raises SqlError when it is not there."""
        dialect = self.target["dialect"]
        database, schema = self.options.get("database"), self.options.get("schema")
        if database and dialect in TWO_LEVELS:
            schema = database
        elif database:
            print(f"this file is the only database: {database} is left out", flush=True)
        if not schema:
            return
        names = connection.execute(
            "select database_name, schema_name from duckdb_schemas() where database_name = current_database()"
        ).fetchall()
        known = {name.lower(): f'"{catalog}"."{name}"' for catalog, name in names}
        wanted = schema.lower()
        if wanted not in known and wanted == DEFAULT_SCHEMAS.get(dialect):
            wanted = "main"
        if wanted not in known:
            connection.close()
            raise Unreachable(
                f"there is no schema '{schema}' in {self.target['where']}",
                f"it has {', '.join(sorted(known.keys() - {'information_schema', 'pg_catalog'}))}",
            )
        connection.execute(f"use {known[wanted]}")

    def cancel(self) -> None:
        self._cancelled = True
        if self._connection is not None:
            self._connection.interrupt()

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def defaults(self) -> tuple[str | None, str | None]:
        if self._connection is None:
            return None, None
        row = self._connection.execute("select current_database(), current_schema()").fetchone()
        return row[0], row[1]

    def names(self) -> tuple[set[str], set[str]]:
        """(attached databases, schemas of this file), in lower case: what a translated name can mean."""
        if self._connection is None and self.path != ":memory:" and not Path(self.path).exists():
            return set(), {"main"}
        was_open = self._connection is not None
        connection = self.open(read_only=not self.writes)
        databases = {
            row[0].lower() for row in connection.execute("select database_name from duckdb_databases()").fetchall()
        }
        schemas = {
            row[0].lower()
            for row in connection.execute(
                "select schema_name from duckdb_schemas() where database_name = current_database()"
            ).fetchall()
        }
        if not was_open and self.path != ":memory:":
            self.close()  # the statements may want to write
        return databases, schemas


class MotherDuck(DuckDB):
    def __init__(self, target: Target):
        super().__init__(target)
        self.writes = True

    def open(self, read_only: bool) -> Any:
        import duckdb

        if self._connection is None:
            config = {"motherduck_token": self.options["token"], "custom_user_agent": "rehearse"}
            name = f"md:{self.options.get('database', '')}"
            self._connection = patiently(self.target, lambda: duckdb.connect(name, config=config), lambda e: False)
        return self._connection


def open_patiently(target: Target, path: str, read_only: bool, *, create: bool = True) -> Any:
    """One process writes a DuckDB file at a time: wait for our turn, saying who has it.

    Gives up after the target's `lock_seconds`. Raises SqlError.
    """
    import duckdb

    if create and not read_only:
        _create(path)
    limit = target["lock_seconds"]
    deadline = time.monotonic() + limit
    said = ""
    while True:
        try:
            return duckdb.connect(path, read_only=read_only)
        except duckdb.Error as e:
            text = scrub(target, str(e))
            if not isinstance(e, duckdb.IOException) or "lock" not in text.lower():
                raise Unreachable(f"cannot open {target['where']}: {text}") from e
            holder = _holder(text)
            if time.monotonic() >= deadline:
                raise Unreachable(
                    f"{target['where']} is still in use after {limit:g} s: {holder} has it open",
                    "close it there (one process writes a DuckDB file at a time), read a copy of the file meanwhile, "
                    "or wait longer: REHEARSE_DUCKDB_LOCK_SECONDS=600",
                ) from e
            if holder != said:
                print(f"waiting up to {limit:g} s for {target['where']}: {holder} has it open", flush=True)
                said = holder
            time.sleep(0.1)


def _holder(text: str) -> str:
    """`process 123 (python notebook.py)`, or what DuckDB says if it does not know."""
    match = _HOLDER.search(text)
    if match is None:
        return f"another process ({text})"
    pid = match[1]
    try:
        shown = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        listed = subprocess.run(["ps", "-o", "args=", "-p", pid], capture_output=True, text=True, check=False)
        shown = listed.stdout.strip()
    return f"process {pid} ({shown[:120] or 'of another user'})"


def _create(path: str) -> None:
    """Put a complete database where there is no file: of two that make the same one, DuckDB tells one that it is broken."""
    import duckdb

    target = Path(path)
    if target.exists():
        return
    with (
        contextlib.suppress(OSError),  # it is there by now; or the folder takes none, which connecting puts into words
        tempfile.TemporaryDirectory(prefix=f".{target.name}.", dir=target.parent) as folder,
    ):
        new = Path(folder, target.name)
        duckdb.connect(str(new)).close()
        os.link(new, target)

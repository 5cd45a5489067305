"""One open connection to a database, whichever it is: what `sql_host` needs of it.

Sessions are made by `connect`; the clients are in `sql_duckdb`, `sql_postgres`, and `sql_clients`. Errors: SqlError, whose
text names the place and no secret.
"""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from rehearse.errors import RehearseError
from rehearse.jobs.sql_targets import NAMES, Target, secrets_of
from rehearse.jobs.sql_values import Row

MAX_ROWS = 1000
_MODULES = {
    "duckdb": "sql_duckdb", "motherduck": "sql_duckdb", "postgres": "sql_postgres", "mysql": "sql_clients",
    "mssql": "sql_clients", "databricks": "sql_clients", "clickhouse": "sql_clients", "snowflake": "sql_cloud",
    "bigquery": "sql_cloud",
}  # fmt: skip


class SqlError(RehearseError):
    """The database refused, could not be reached, or cannot do what is asked."""

    exit_code = 1


class Unreachable(SqlError):
    """It is about the place, not about a statement: no such server or file, refused, locked, lost."""


@dataclass
class Result:
    """Of one statement. `rows`: the first MAX_ROWS, of `count` in all; for a statement that gives no rows, `count` is how
    many it changed, or None when nobody says."""

    rows: list[Row] = field(default_factory=list)
    count: int | None = None
    gives_rows: bool = False
    seconds: float = 0.0
    columns: tuple[str, ...] = ()
    """Their names, in lower case, where the client is asked for them."""


class Session:
    """`dialect`: what it speaks, in sqlglot's words. `run` may be called from one thread, `cancel` from another."""

    dialect = ""
    must_exist = False
    """Whether a database that is not there yet is an error, instead of being made."""

    def __init__(self, target: Target):
        self.target = target
        self.options: dict[str, Any] = target["options"]

    def run(self, sql: str) -> list[Result]:
        """Run one or more statements; a result for each. Rows are kept of the last one only. Raises SqlError."""
        raise NotImplementedError

    def cancel(self) -> None:
        """Stop what `run` is doing, as far as the client can. May raise anything."""

    def close(self) -> None:
        """May raise anything."""

    def names(self) -> tuple[set[str], set[str]]:
        """(databases, schemas), in lower case, that a translated name can mean."""
        return set(), set()

    def expect(self, sql: str) -> None:
        """Called with each translated statement before the first is run. Raises SqlError for what cannot be parsed."""

    def begin(self, dialect: str, statements: Sequence[str]) -> bool:
        """Begin a transaction where SQL of this dialect is one, and the session would not make it one by itself."""
        return False

    def defaults(self) -> tuple[str | None, str | None]:
        """(database, schema) of names that are written without them."""
        return self.options.get("database"), self.options.get("schema")


def connect(target: Target) -> Session:
    """Open a session. Raises SqlError, in bounded time."""
    module = importlib.import_module(f"rehearse.jobs.{_MODULES[target['engine']]}")
    try:
        session: Session = module.connect(target)
    except ImportError as e:
        raise SqlError(
            f"the client of {NAMES[target['engine']]} is not installed: {e}",
            "make install (the group `clients` of pyproject.toml)",
        ) from e
    return session


def patiently(target: Target, open_it: Callable[[], Any], is_passing: Callable[[Exception], bool]) -> Any:
    """Connect, again and again while the reason may pass by itself: a server that starts, or has no place for us.

    Gives up after the target's `connect_seconds`. Raises SqlError that names the place.
    """
    began = time.monotonic()
    deadline = began + target["connect_seconds"]
    pause, said = 0.1, False
    while True:
        try:
            return open_it()
        except ImportError:
            raise
        except Exception as e:
            why = scrub(target, str(e))
            if not is_passing(e) or time.monotonic() + pause > deadline:
                tried = f" (tried for {time.monotonic() - began:.1f} s)" if said else ""
                raise Unreachable(f"cannot connect to {target['where']}{tried}: {why}", _advice(target)) from None
            if not said:
                print(f"waiting up to {target['connect_seconds']:g} s for {target['where']}: {why}", flush=True)
                said = True
            time.sleep(pause)
            pause = min(pause * 1.5, 1.0)


def _advice(target: Target) -> str:
    return f"is it running, and are the fields of [connections.{target['connection']}] in rehearse.toml right?"


@contextmanager
def speaking(target: Target) -> Iterator[None]:
    """What the client says of a statement becomes a SqlError without secrets."""
    try:
        yield
    except (SqlError, ImportError):
        raise
    except Exception as e:
        kind = "" if "Error:" in str(e)[:40] else f"{type(e).__name__}: "  # DuckDB says it itself
        raise SqlError(scrub(target, f"{kind}{e}")) from e


def scrub(target: Target, text: str) -> str:
    """Without secrets, and on one line: some clients repeat the connection string when they fail."""
    for secret in secrets_of(target):
        for form in (secret, quote(secret, safe=""), secret.replace("}", "}}")):  # the last: ODBC's connection strings
            text = text.replace(form, "********")
    return " ".join(text.split())


def fetch(cursor: Any, keep: int = MAX_ROWS) -> tuple[list[Row], int]:
    """The first rows of a DB-API cursor, and how many there are; the others are counted without being kept."""
    rows = [tuple(row) for row in cursor.fetchmany(keep)]
    count = len(rows)
    while chunk := cursor.fetchmany(10_000):
        count += len(chunk)
    return rows, count


def last_only(results: Sequence[Result]) -> None:
    """Let go of the rows of all results but the last."""
    for result in results[:-1]:
        result.rows = []

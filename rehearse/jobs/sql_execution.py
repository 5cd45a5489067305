"""Running SQL through a session, whatever dialect it is written in, and how the work of a host ends."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from rehearse.jobs.sql_session import Result, Session, SqlError, Unreachable
from rehearse.jobs.sql_targets import NAMES, Target


@dataclass
class Outcome:
    status: str
    message: str | None = None
    outputs: dict[str, Any] = field(default_factory=dict)
    operations: list[dict[str, Any]] = field(default_factory=list)


Open = Callable[[Target], Any]
"""target -> a context manager that gives a Session."""


def execute(session: Session, sql: str) -> tuple[list[Result], str]:
    """Run SQL in the dialect of the session's target: as it is, or translated to what the session speaks.

    Gives the results and the SQL that really ran. Raises SqlError that names both dialects and the statement.
    """
    if "\0" in sql:
        raise SqlError(
            f"the SQL holds a NUL character (at {sql.index(chr(0)) + 1}), which no database takes", "remove it"
        )
    read, write = session.target["dialect"], session.dialect
    if read == write:
        return session.run(sql), sql
    from rehearse.jobs.sql_dialects import translate

    statements = translate(sql, read, write, *session.names())
    for statement in statements:
        for note in statement.notes:
            print(note, flush=True)
        if statement.sql is not None:
            with _in_place_of(read, write, statement.original):
                session.expect(statement.sql)
    results: list[Result] = []
    atomic = session.begin(read, [each.sql for each in statements if each.sql is not None])
    for statement in statements:
        if results:
            results[-1].rows = []
        if statement.sql is None:
            results.append(Result())
            continue
        with _in_place_of(read, write, statement.original):
            results += session.run(statement.sql)
    if atomic:
        session.run("commit")
    return results, ";\n".join(statement.sql or "" for statement in statements)


@contextmanager
def _in_place_of(read: str, write: str, statement: str) -> Iterator[None]:
    try:
        yield
    except Unreachable:
        raise
    except SqlError as e:
        shown = " ".join(statement.split())
        shown = shown if len(shown) <= 300 else f"{shown[:300]}..."
        raise SqlError(f"{NAMES[write]}, in place of {NAMES[read]}: {e} In: {shown}", e.hint) from e

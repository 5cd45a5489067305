"""The SQLite file behind a stand-in: create, fill, apply one day's changes, and open for reading.

`PRAGMA user_version` holds the number of days of change plus one, in the same transaction as the rows. A file is filled
under another name and renamed when complete, so that a file that exists is a whole one.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

from sandbox.change import COUNTS, Table, changes, rows
from sandbox.timeline import LAST_HISTORY_DAY


class Columns(NamedTuple):
    """A table of the file: `types` by column name (the first is the key), and how a fact becomes a row."""

    types: dict[str, str]
    to_row: Callable[[Any], tuple[Any, ...]]
    indexes: tuple[str, ...] = ()


def load(path: Path, layout: dict[str, Columns], tables: dict[str, Table], day: int) -> None:
    """Make the file, with `day` days of change. The rows are streamed in one transaction."""
    part = path.with_suffix(".part")
    part.unlink(missing_ok=True)
    with closing(sqlite3.connect(part)) as connection:
        connection.executescript("pragma journal_mode = off; pragma synchronous = off; begin")
        for name, columns in layout.items():
            declared = ", ".join(
                f'"{column}"{" primary key" if at == 0 else ""}' for at, column in enumerate(columns.types)
            )  # without SQLite types: a value stays what it is, "80000001" remains a text
            connection.execute(f'create table "{name}" ({declared})')
            marks = ", ".join("?" * len(columns.types))
            connection.executemany(
                f'insert into "{name}" values ({marks})',
                map(columns.to_row, rows(tables[name], LAST_HISTORY_DAY + day)),
            )
            key = next(
                iter(columns.types)
            )  # at the end of each index: pages in its order never touch the rows they skip
            for column in columns.indexes:
                connection.execute(f'create index "{name}_{column}" on "{name}" ("{column}", "{key}")')
        connection.execute(f"pragma user_version = {day + 1}")
        connection.commit()
        connection.execute("pragma journal_mode = wal")  # readers go on while `change` writes
    part.chmod(0o600)
    part.rename(path)


def days(path: Path) -> int:
    with closing(read(path)) as connection:
        return int(connection.execute("pragma user_version").fetchone()[0]) - 1


def apply(path: Path, layout: dict[str, Columns], tables: dict[str, Table], day: int) -> dict[str, dict[str, int]]:
    """Apply change number `day` and say how many rows of each table it touched; nothing if the file has it already."""
    counts = {name: dict.fromkeys(COUNTS, 0) for name in layout}
    with closing(sqlite3.connect(path, timeout=30, isolation_level=None)) as connection:
        connection.execute("begin immediate")
        if connection.execute("pragma user_version").fetchone()[0] > day:
            connection.execute("rollback")
            return counts
        for name, columns in layout.items():
            key, marks = next(iter(columns.types)), ", ".join("?" * len(columns.types))

            def touched(name: str = name, gone: bool = False) -> Iterator[Any]:
                for change in changes(tables[name], LAST_HISTORY_DAY + day):
                    if gone == (change.kind == "deleted" and not change.soft):
                        counts[name][change.kind] += 1
                        yield change.row

            connection.executemany(f'replace into "{name}" values ({marks})', map(columns.to_row, touched()))
            dead = ((columns.to_row(row)[0],) for row in touched(gone=True))
            connection.executemany(f'delete from "{name}" where "{key}" = ?', dead)
        connection.execute(f"pragma user_version = {day + 1}")
        connection.execute("commit")
    return counts


def read(path: Path) -> sqlite3.Connection:
    """A connection that cannot write; usable from the thread that opened it."""
    return sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=30)

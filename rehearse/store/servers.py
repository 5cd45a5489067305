"""Who serves from a store. With SQLite one at a time; on PostgreSQL any number share the work."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from rehearse.store.database import Database, Row

ONLY_ONE = "serve"


def register(database: Database, row: Row, is_alive: Callable[[Row], bool], silence: timedelta) -> Row | None:
    """Put the row of a new server there; the row of the one that is there already, if nothing was put.

    `row`: {"id", "pid", "started", "host", "since", "address", "heartbeat_at"}. `is_alive(row)`: whether the process
    of another row is.
    """
    with database.transaction():
        if not database.is_sqlite:
            database.execute("SELECT pg_advisory_xact_lock(727171)")
        for other in database.rows("SELECT * FROM servers WHERE id = ?", (row["id"],)):
            if is_alive(other):
                return other
        oldest = (datetime.now(UTC) - silence).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        database.execute("DELETE FROM servers WHERE id = ? OR heartbeat_at < ?", (row["id"], oldest))
        database.execute(
            "INSERT INTO servers (id, pid, started, host, since, address, heartbeat_at) VALUES (?, ?, ?, ?, ?, ?, ?)",
            [row[name] for name in ("id", "pid", "started", "host", "since", "address", "heartbeat_at")],
        )
    return None


def beat(database: Database, row: Row, now: str) -> bool:
    """This server is alive. False: another one has taken its place."""
    with database.transaction():
        sql = "UPDATE servers SET heartbeat_at = ?, address = ? WHERE id = ? AND pid = ? AND started = ? AND host = ?"
        values = (now, row["address"], row["id"], row["pid"], row["started"], row["host"])
        return bool(database.execute(sql, values))


def leave(database: Database, row: Row) -> None:
    with database.transaction():
        sql = "DELETE FROM servers WHERE id = ? AND pid = ? AND started = ?"
        database.execute(sql, (row["id"], row["pid"], row["started"]))


def listed(database: Database) -> list[Row]:
    return database.rows("SELECT * FROM servers ORDER BY since")

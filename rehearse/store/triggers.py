"""How far triggers have come, and what their slots, windows and events came to."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from rehearse.store.database import Database, Row
from rehearse.store.ids import id_of
from rehearse.store.records import decoded, timestamp

_OPEN = "ended_at IS NULL"
SCHEDULE, SENSOR, EVENTS, ALERTS = "schedule", "sensor", "events", "alerts"


@dataclass(frozen=True)
class Firing:
    """`due`: the slot, the opening of the window, or the end of the run that set it off. `outcome`: a word."""

    trigger_id: str
    pipeline: str
    due: datetime
    outcome: str
    run_id: str | None = None
    message: str | None = None
    about: str = ""
    """What tells two firings of the same moment apart."""


def load(database: Database, trigger_id: str) -> Row | None:
    """{"seen_until": text, "state": value}; None for a trigger that is new."""
    rows = database.rows("SELECT * FROM triggers WHERE id = ?", (trigger_id,))
    return decoded(rows[0]) if rows else None


def save(
    database: Database,
    trigger_id: str,
    about: tuple[str, str, str],
    seen_until: datetime,
    state: Any = None,
    firings: Sequence[Firing] = (),
) -> None:
    """In one transaction. `about`: pipeline, kind and name. What a firing came to is not changed by a later one, except that
    what waited, was paused or failed has started after all."""
    now = timestamp(datetime.now(UTC))
    with database.transaction():
        database.execute(
            "INSERT INTO triggers (id, pipeline, kind, name, seen_until, state, updated_at) VALUES (?, ?, ?, ?, ?, ?, ?) "
            "ON CONFLICT (id) DO UPDATE SET name = excluded.name, seen_until = excluded.seen_until, state = excluded.state, "
            "updated_at = excluded.updated_at",
            (trigger_id, *about, timestamp(seen_until), json.dumps(state), now),
        )
        for firing in firings:
            due = timestamp(firing.due)
            firing_id = id_of("firing", firing.trigger_id, due, firing.about)
            database.execute(
                "INSERT INTO firings (id, trigger_id, pipeline, due_at, outcome, run_id, message, created_at) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET outcome = excluded.outcome, "
                "run_id = excluded.run_id, message = excluded.message WHERE firings.outcome IN ('waiting', 'failed', 'paused')",
                (
                    firing_id, firing.trigger_id, firing.pipeline, due, firing.outcome,
                    firing.run_id, firing.message, now,
                ),
            )  # fmt: skip


def firings(database: Database, limit: int, pipeline: str | None = None) -> list[Row]:
    """The newest first, with the kind and name of their trigger."""
    where, values = ("WHERE f.pipeline = ? ", [pipeline]) if pipeline else ("", [])
    sql = (
        "SELECT f.*, t.kind, t.name FROM firings f LEFT JOIN triggers t ON t.id = f.trigger_id "
        f"{where}ORDER BY f.due_at DESC, f.id LIMIT ?"
    )
    return database.rows(sql, (*values, limit))


def active_runs(database: Database, key_prefix: str) -> list[str]:
    """Runs that have not ended, of which the key begins so."""
    sql = f"SELECT id FROM runs WHERE {_OPEN} AND substr(accept_key, 1, ?) = ?"
    return [row["id"] for row in database.rows(sql, (len(key_prefix), key_prefix))]


def ended_since(database: Database, since: str) -> list[Mapping[str, Any]]:
    """Runs that ended at or after that time, in that order."""
    sql = (
        "SELECT id, pipeline, pipeline_id, name, status, environment, branch, message, created_at, started_at, ended_at, "
        "triggered_by, accept_key FROM runs WHERE ended_at >= ? ORDER BY ended_at, id"
    )
    return [decoded(row) for row in database.rows(sql, (since,))]

"""Events that others have posted for sensors. Kept for seven days."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from rehearse.store.database import Database, Row
from rehearse.store.records import decoded, timestamp

KEPT = timedelta(days=7)


def put(database: Database, event_id: str, kind: str, event: Mapping[str, Any], now: str) -> None:
    """Store an event, and forget those that are too old."""
    oldest = timestamp(datetime.fromisoformat(now) - KEPT)
    with database.transaction():
        database.execute("DELETE FROM sensor_events WHERE created_at < ?", (oldest,))
        database.execute(
            "INSERT INTO sensor_events (id, type, event, created_at) VALUES (?, ?, ?, ?)",
            (event_id, kind, json.dumps(event), now),
        )


def latest(database: Database, kind: str, since: str) -> Row | None:
    """The newest event of a type that came at or after that time."""
    sql = "SELECT * FROM sensor_events WHERE type = ? AND created_at >= ? ORDER BY created_at DESC, id DESC LIMIT 1"
    rows = database.rows(sql, (kind, since))
    return decoded(rows[0]) if rows else None

"""The state of dbt-orchestra, one row per model and integration."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from rehearse.store.database import Database
from rehearse.store.records import decoded


def load(database: Database, integration: str) -> dict[str, dict[str, Any]]:
    """key -> {"last_updated": text, "checksum": text, "sources": {source: text}}."""
    rows = database.rows("SELECT * FROM dbt_state WHERE integration = ? ORDER BY key", (integration,))
    return {
        row["key"]: {name: row[name] for name in ("last_updated", "checksum", "sources")} for row in map(decoded, rows)
    }


def save(database: Database, integration: str, items: Mapping[str, Mapping[str, Any]]) -> None:
    """Insert or replace these keys."""
    with database.transaction():
        database.execute_many(
            "INSERT INTO dbt_state (integration, key, last_updated, checksum, sources) VALUES (?, ?, ?, ?, ?) "
            "ON CONFLICT (integration, key) DO UPDATE SET last_updated = excluded.last_updated, "
            "checksum = excluded.checksum, sources = excluded.sources",
            [
                (integration, key, item["last_updated"], item["checksum"], json.dumps(item.get("sources") or {}))
                for key, item in items.items()
            ],
        )

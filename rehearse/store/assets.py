"""Assets as the API has them: those that runs wrote, and those that others registered."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from rehearse.store.database import Database, Row
from rehearse.store.listing import Tests
from rehearse.store.records import decoded, timestamp

SORTABLE = {
    "asset_name": "name", "asset_type": "coalesce(type, '')", "integration": "integration",
    "created_in_integration": "created_at", "last_updated_in_integration": "coalesce(updated_at, '')",
}  # fmt: skip


def page(database: Database, tests: Tests, order: str, limit: int, offset: int) -> tuple[list[Row], int]:
    """`order`: of SORTABLE, with its direction."""
    rows = database.rows(
        f"SELECT * FROM assets{tests.where} ORDER BY {order}, id LIMIT ? OFFSET ?", (*tests.values, limit, offset)
    )
    total = database.rows(f"SELECT count(*) AS n FROM assets{tests.where}", tests.values)[0]["n"]
    return [decoded(row) for row in rows], int(total)


def find(database: Database, wanted: str) -> Row | None:
    """By id or by name, which is its external id."""
    rows = database.rows(
        "SELECT * FROM assets WHERE id = ? OR name = ? ORDER BY CASE WHEN id = ? THEN 0 ELSE 1 END, id LIMIT 1",
        (wanted.lower(), wanted, wanted.lower()),
    )
    return decoded(rows[0]) if rows else None


def insert(database: Database, row: Mapping[str, Any]) -> bool:
    """False when there is one with that name already."""
    with database.transaction():
        if database.rows("SELECT 1 AS x FROM assets WHERE name = ?", (row["name"],)):
            return False
        database.execute(
            "INSERT INTO assets (id, integration, name, type, created_at, updated_at, details) VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                row["id"], row["integration"], row["name"], row["type"], row["created_at"], row["updated_at"],
                json.dumps(row["details"]),
            ),
        )  # fmt: skip
    return True


def change(database: Database, asset_id: str, details: Mapping[str, Any]) -> None:
    now = timestamp(datetime.now(UTC))
    with database.transaction():
        database.execute(
            "UPDATE assets SET details = ?, updated_at = ? WHERE id = ?", (json.dumps(details), now, asset_id)
        )


def delete(database: Database, asset_id: str) -> None:
    """With its dependencies. Operations that wrote it keep their record."""
    with database.transaction():
        database.execute(
            "DELETE FROM asset_dependencies WHERE upstream_id = ? OR downstream_id = ?", (asset_id, asset_id)
        )
        database.execute("UPDATE operations SET asset_id = NULL WHERE asset_id = ?", (asset_id,))
        database.execute("DELETE FROM assets WHERE id = ?", (asset_id,))


def connect(database: Database, edges: Sequence[tuple[str, str]]) -> list[str]:
    """Add (upstream name, downstream name), all or none; the names that are not known, if any."""
    names = {name for edge in edges for name in edge}
    now = timestamp(datetime.now(UTC))
    with database.transaction():
        found = database.rows(f"SELECT id, name FROM assets WHERE name IN ({', '.join('?' * len(names))})", list(names))
        ids = {row["name"]: row["id"] for row in found}
        if unknown := sorted(names - ids.keys()):
            return unknown
        for upstream, downstream in edges:
            database.execute(
                "INSERT INTO asset_dependencies (upstream_id, downstream_id, updated_at) VALUES (?, ?, ?) "
                "ON CONFLICT (upstream_id, downstream_id) DO UPDATE SET updated_at = excluded.updated_at",
                (ids[upstream], ids[downstream], now),
            )
    return []


def upstream_names(database: Database, asset_ids: Sequence[str]) -> dict[str, list[str]]:
    return _neighbours(database, asset_ids, "downstream_id", "upstream_id")


def downstream_names(database: Database, asset_ids: Sequence[str]) -> dict[str, list[str]]:
    return _neighbours(database, asset_ids, "upstream_id", "downstream_id")


def last_writers(database: Database, asset_ids: Sequence[str]) -> dict[str, Row]:
    """asset -> its newest operation: {"status", "ended_at"}, and the newest successful one: {"succeeded_at"}."""
    sql = (
        "SELECT asset_id, status, max(inserted_at) AS at FROM operations "
        f"WHERE asset_id IN ({', '.join('?' * len(asset_ids))}) GROUP BY asset_id, status"
    )
    found: dict[str, Row] = {}
    for row in database.rows(sql, list(asset_ids)) if asset_ids else ():
        known = found.setdefault(row["asset_id"], {"status": None, "at": "", "succeeded_at": None})
        if row["status"] in ("SUCCEEDED", "WARNING", "REUSED"):
            known["succeeded_at"] = max(filter(None, (known["succeeded_at"], row["at"])))
        if row["at"] is not None and row["at"] > known["at"]:
            known.update(status=row["status"], at=row["at"])
    return found


def _neighbours(database: Database, asset_ids: Sequence[str], here: str, there: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    wanted = list(dict.fromkeys(asset_ids))
    sql = (
        f"SELECT d.{here} AS id, a.name FROM asset_dependencies d JOIN assets a ON a.id = d.{there} "
        f"WHERE d.{here} IN ({', '.join('?' * len(wanted))}) ORDER BY a.name"
    )
    for row in database.rows(sql, wanted) if wanted else ():
        found.setdefault(row["id"], []).append(row["name"])
    return found

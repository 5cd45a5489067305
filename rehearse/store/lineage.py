"""Operations, the assets that they wrote, and which assets those were made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from rehearse.store.database import Database, Row
from rehearse.store.ids import id_of


def record(database: Database, operations: Sequence[Mapping[str, Any]]) -> None:
    """Inside a transaction. An operation: {"type", "name", "status", "message", "rows", "started_at", "ended_at", "asset":
    {"integration", "name", "type"} or None, "upstream": [names of assets], "run_id", "task_run_id", "attempt"}.

    An upstream asset is of the same integration unless one with that name is known; it becomes known by being named.
    """
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    for number, operation in enumerate(operations):
        asset = operation.get("asset")
        asset_id = (
            _asset(database, asset["integration"], asset["name"], asset.get("type"), now, written=True)
            if asset
            else None
        )
        for name in operation.get("upstream") or () if asset_id else ():
            assert asset is not None
            upstream_id = _known(database, name) or _asset(
                database, asset["integration"], name, None, now, written=False
            )
            if upstream_id != asset_id:
                database.execute(
                    "INSERT INTO asset_dependencies (upstream_id, downstream_id, updated_at) VALUES (?, ?, ?) "
                    "ON CONFLICT (upstream_id, downstream_id) DO UPDATE SET updated_at = excluded.updated_at",
                    (upstream_id, asset_id, now),
                )
        key = (operation["task_run_id"], operation["attempt"], number, operation["type"], operation["name"])
        database.execute(
            "INSERT INTO operations (id, run_id, task_run_id, attempt, type, name, status, message, rows, asset_id, started_at, "
            "ended_at, inserted_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING",
            (
                id_of("operation", *key), operation["run_id"], operation["task_run_id"], operation["attempt"],
                operation["type"], operation["name"], operation.get("status") or "SUCCEEDED", operation.get("message"),
                operation.get("rows"), asset_id, operation.get("started_at"), operation.get("ended_at"), now,
            ),
        )  # fmt: skip


def operations(database: Database, run_id: str) -> list[Row]:
    """With the name of their asset, in the order of their start."""
    return database.rows(
        "SELECT o.*, a.name AS asset, a.integration AS asset_integration "
        "FROM operations o LEFT JOIN assets a ON a.id = o.asset_id "
        "WHERE o.run_id = ? ORDER BY o.started_at, o.name",
        (run_id,),
    )


def assets(database: Database) -> list[Row]:
    return database.rows("SELECT * FROM assets ORDER BY integration, name")


def dependencies(database: Database) -> list[Row]:
    return database.rows(
        "SELECT d.*, u.name AS upstream, t.name AS downstream FROM asset_dependencies d JOIN assets u ON u.id = d.upstream_id "
        "JOIN assets t ON t.id = d.downstream_id ORDER BY t.name, u.name"
    )


def _known(database: Database, name: str) -> str | None:
    rows = database.rows("SELECT id FROM assets WHERE name = ? ORDER BY updated_at DESC LIMIT 1", (name,))
    return rows[0]["id"] if rows else None


def _asset(database: Database, integration: str, name: str, kind: str | None, now: str, *, written: bool) -> str:
    asset_id = id_of("asset", integration, name)
    database.execute(
        "INSERT INTO assets (id, integration, name, type, created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?) "
        "ON CONFLICT (integration, name) DO UPDATE SET type = coalesce(excluded.type, assets.type), "
        "updated_at = coalesce(excluded.updated_at, assets.updated_at)",
        (asset_id, integration, name, kind, now, now if written else None),
    )
    return asset_id

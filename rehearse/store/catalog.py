"""Pipelines and environments that were created over the API, and what `serve` remembers of those in files: pauses."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from rehearse.store.database import Database, Row
from rehearse.store.records import decoded, timestamp

FILE = "FILE"
"""The storage of a pipeline that is a file of the repository, and has a row because it was paused or imported."""


def pipelines(database: Database) -> list[Row]:
    """With `definition` and `published`, the texts of the latest and of the published version; None for a file."""
    sql = (
        "SELECT p.*, v.definition, w.definition AS published FROM pipelines p "
        "LEFT JOIN pipeline_versions v ON v.pipeline_id = p.id AND v.number = p.latest_version "
        "LEFT JOIN pipeline_versions w ON w.pipeline_id = p.id AND w.number = p.published_version ORDER BY p.alias"
    )
    return database.rows(sql)


def version(database: Database, pipeline_id: str, number: int) -> str | None:
    """The text of one version."""
    sql = "SELECT definition FROM pipeline_versions WHERE pipeline_id = ? AND number = ?"
    rows = database.rows(sql, (pipeline_id, number))
    return rows[0]["definition"] if rows else None


def put_pipeline(database: Database, row: Mapping[str, Any]) -> bool:
    """Insert a pipeline; False when its alias is taken."""
    names = [name for name in row if name not in ("definition", "published", "message")]
    with database.transaction():
        sql = (
            f"INSERT INTO pipelines ({', '.join(names)}) VALUES ({', '.join('?' * len(names))}) ON CONFLICT DO NOTHING"
        )
        if not database.execute(sql, [row[name] for name in names]):
            return False
        if row.get("definition") is not None:
            _put_version(database, row["id"], 1, row["definition"], row.get("message"))
    return True


def add_version(
    database: Database, pipeline_id: str, name: str, text: str, published: bool, message: str | None
) -> int:
    """Returns its number, one more than the latest."""
    with database.transaction():
        lock = "" if database.is_sqlite else " FOR UPDATE"
        rows = database.rows(f"SELECT latest_version FROM pipelines WHERE id = ?{lock}", (pipeline_id,))
        number = int(rows[0]["latest_version"] or 0) + 1
        _put_version(database, pipeline_id, number, text, message)
        publish = ", published_version = latest_version + 1" if published else ""
        sql = f"UPDATE pipelines SET name = ?, updated_at = ?, latest_version = ?{publish} WHERE id = ?"
        database.execute(sql, (name, timestamp(datetime.now(UTC)), number, pipeline_id))
    return number


def change_pipeline(database: Database, pipeline_id: str, **columns: Any) -> None:
    names = ", ".join(f"{name} = ?" for name in columns)
    with database.transaction():
        sql = f"UPDATE pipelines SET {names}, updated_at = ? WHERE id = ?"
        database.execute(sql, (*columns.values(), timestamp(datetime.now(UTC)), pipeline_id))


def delete_pipeline(database: Database, pipeline_id: str) -> None:
    with database.transaction():
        database.execute("DELETE FROM pipeline_versions WHERE pipeline_id = ?", (pipeline_id,))
        database.execute("DELETE FROM pipelines WHERE id = ?", (pipeline_id,))


def environments(database: Database) -> list[Row]:
    """`variables`: name -> {"type", "value"}."""
    return [decoded(row) for row in database.rows("SELECT * FROM environments ORDER BY created_at, id")]


def put_environment(database: Database, row: Mapping[str, Any]) -> bool:
    """Insert or replace; a default one is the only one. False when another one has the name."""
    with database.transaction():
        if database.rows("SELECT 1 AS x FROM environments WHERE name = ? AND id <> ?", (row["name"], row["id"])):
            return False
        if row["is_default"]:
            database.execute("UPDATE environments SET is_default = 0")
        database.execute(
            "INSERT INTO environments (id, name, variables, is_default, created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?) "
            "ON CONFLICT (id) DO UPDATE SET name = excluded.name, variables = excluded.variables, "
            "is_default = excluded.is_default, updated_at = excluded.updated_at",
            (
                row["id"], row["name"], json.dumps(row["variables"]), int(row["is_default"]), row["created_at"],
                row["updated_at"],
            ),
        )  # fmt: skip
    return True


def delete_environment(database: Database, environment_id: str) -> None:
    with database.transaction():
        database.execute("DELETE FROM environments WHERE id = ?", (environment_id,))


def _put_version(database: Database, pipeline_id: str, number: int, text: str, message: str | None) -> None:
    database.execute(
        "INSERT INTO pipeline_versions (pipeline_id, number, definition, message, created_at) VALUES (?, ?, ?, ?, ?)",
        (pipeline_id, number, text, message, timestamp(datetime.now(UTC))),
    )

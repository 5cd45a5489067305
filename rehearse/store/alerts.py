"""Alerts that are to be sent, or were; and anomalies that were found."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from rehearse.store.database import Database, Row
from rehearse.store.records import decoded, timestamp

PENDING, SENT, LOCAL, FAILED = "PENDING", "SENT", "LOCAL", "FAILED"
CLAIM = timedelta(minutes=2)
"""After that an alert that somebody began to send, and whose end nobody recorded, is sent again."""


def put(database: Database, rows: Sequence[Mapping[str, Any]]) -> int:
    """Those that are new. A row: {"id", "run_id", "task_run_id", "name", "integration", "destination", "connection", "body",
    "created_at"}. Returns how many there were."""
    new = 0
    with database.transaction():
        for row in rows:
            new += database.execute(
                "INSERT INTO alerts (id, run_id, task_run_id, name, integration, destination, connection, body, status, attempt, "
                "next_at, created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, 'PENDING', 0, ?, ?) ON CONFLICT (id) DO NOTHING",
                (
                    row["id"], row["run_id"], row["task_run_id"], row["name"], row["integration"], row["destination"],
                    row["connection"], json.dumps(row["body"]), row["created_at"], row["created_at"],
                ),
            )  # fmt: skip
    return new


def claim_due(database: Database, now: datetime, run_id: str | None = None) -> list[Row]:
    """Alerts whose time has come, for us to send: nobody else gets them for a while. Of one run, if it is named."""
    of_run, more = (" AND run_id = ?", [run_id]) if run_id else ("", [])
    sql = f"SELECT * FROM alerts WHERE status = 'PENDING' AND next_at <= ?{of_run} ORDER BY created_at, id LIMIT 100"
    claimed = []
    for row in database.rows(sql, (timestamp(now), *more)):
        with database.transaction():
            taken = database.execute(
                "UPDATE alerts SET attempt = attempt + 1, next_at = ? WHERE id = ? AND status = 'PENDING' AND next_at = ?",
                (timestamp(now + CLAIM), row["id"], row["next_at"]),
            )
        if taken:
            claimed.append(decoded(row) | {"attempt": row["attempt"] + 1})
    return claimed


def note(
    database: Database, alert_id: str, status: str, message: str | None, next_at: datetime | None, now: datetime
) -> None:
    sent = timestamp(now) if status in (SENT, LOCAL) else None
    with database.transaction():
        database.execute(
            "UPDATE alerts SET status = ?, message = ?, next_at = ?, sent_at = ? WHERE id = ?",
            (status, message, timestamp(next_at), sent, alert_id),
        )


def next_due(database: Database) -> datetime | None:
    rows = database.rows("SELECT min(next_at) AS moment FROM alerts WHERE status = 'PENDING'")
    return datetime.fromisoformat(rows[0]["moment"]) if rows and rows[0]["moment"] else None


def of_run(database: Database, run_id: str) -> list[Row]:
    return [
        decoded(row)
        for row in database.rows("SELECT * FROM alerts WHERE run_id = ? ORDER BY created_at, id", (run_id,))
    ]


def put_anomalies(database: Database, rows: Sequence[Mapping[str, Any]]) -> None:
    """A row: {"id", "run_id", "task_run_id", "type", "data", "created_at"}. Those that are known stay as they are."""
    with database.transaction():
        database.execute_many(
            "INSERT INTO anomalies (id, run_id, task_run_id, type, data, created_at) VALUES (?, ?, ?, ?, ?, ?) "
            "ON CONFLICT (id) DO NOTHING",
            [
                (row["id"], row["run_id"], row["task_run_id"], row["type"], json.dumps(row["data"]), row["created_at"])
                for row in rows
            ],
        )


def baseline_runs(database: Database, run: Mapping[str, Any], since: str, most: int) -> list[Row]:
    """Earlier good runs of the same pipeline, environment and branch, the newest first."""
    return database.rows(
        "SELECT id, started_at, ended_at FROM runs WHERE pipeline = ? AND environment = ? AND coalesce(branch, '') = ? "
        "AND created_at >= ? AND created_at < ? AND status IN ('SUCCEEDED', 'WARNING') AND started_at IS NOT NULL "
        "ORDER BY created_at DESC LIMIT ?",
        (run["pipeline"], run["environment"], run["branch"] or "", since, run["created_at"], most),
    )


def of_runs(database: Database, table: str, run_ids: Sequence[str]) -> list[Row]:
    """Rows of task_runs or operations of these runs, those that began and ended."""
    assert table in ("task_runs", "operations")
    columns = "task_id AS name, NULL AS type" if table == "task_runs" else "name, type"
    sql = (
        f"SELECT id, run_id, {columns}, status, started_at, ended_at FROM {table} "
        f"WHERE run_id IN ({', '.join('?' * len(run_ids))}) AND started_at IS NOT NULL AND ended_at IS NOT NULL"
    )
    return database.rows(sql, list(run_ids)) if run_ids else []

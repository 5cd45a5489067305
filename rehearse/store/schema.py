"""The tables, and how an older store becomes one of this version: with a backup, all or nothing."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from pathlib import Path

from rehearse.errors import StoreError, UsageError
from rehearse.store.database import SCHEMA, Database

VERSION = 4
# Column -> type. What SQLite and PostgreSQL both have: TEXT (also for JSON and for times in UTC), INTEGER.
TABLES: dict[str, dict[str, str]] = {
    "runs": {
        "id": "TEXT PRIMARY KEY", "pipeline": "TEXT NOT NULL", "name": "TEXT NOT NULL", "file": "TEXT NOT NULL",
        "status": "TEXT NOT NULL", "environment": "TEXT NOT NULL", "branch": "TEXT", "inputs": "TEXT NOT NULL",
        "definition": "TEXT NOT NULL", "folder": "TEXT NOT NULL", "trigger": "TEXT NOT NULL", "previous_run": "TEXT",
        "selection": "TEXT", "parent_task_run": "TEXT", "max_active": "INTEGER", "message": "TEXT", "executor": "TEXT",
        "created_at": "TEXT NOT NULL", "started_at": "TEXT", "ended_at": "TEXT", "engine_pid": "INTEGER",
        "engine_started": "TEXT", "engine_host": "TEXT", "engine_since": "TEXT", "heartbeat_at": "TEXT",
        "fence": "INTEGER NOT NULL", "pipeline_id": "TEXT", "triggered_by": "TEXT", "accept_key": "TEXT", "ci_run_id": "TEXT",
        "commit_sha": "TEXT", "version": "INTEGER",
    },
    "task_runs": {
        "id": "TEXT PRIMARY KEY", "run_id": "TEXT NOT NULL REFERENCES runs (id)", "position": "BIGINT NOT NULL",
        "group_id": "TEXT NOT NULL", "task_id": "TEXT NOT NULL", "item": "TEXT", "name": "TEXT NOT NULL",
        "integration": "TEXT NOT NULL", "job": "TEXT NOT NULL", "connection": "TEXT", "status": "TEXT NOT NULL",
        "attempt": "INTEGER NOT NULL", "retry_at": "TEXT", "wait_until": "TEXT", "child_run": "TEXT",
        "simulated": "INTEGER NOT NULL", "carried": "TEXT", "message": "TEXT", "parameters": "TEXT NOT NULL",
        "outputs": "TEXT NOT NULL", "created_at": "TEXT", "started_at": "TEXT", "ended_at": "TEXT", "depends_on": "TEXT",
    },
    "attempts": {
        "task_run_id": "TEXT NOT NULL REFERENCES task_runs (id)", "number": "INTEGER NOT NULL", "run_id": "TEXT NOT NULL",
        "status": "TEXT NOT NULL", "message": "TEXT", "executor": "TEXT NOT NULL", "folder": "TEXT NOT NULL",
        "started_at": "TEXT", "ended_at": "TEXT",
    },
    "operations": {
        "id": "TEXT PRIMARY KEY", "run_id": "TEXT NOT NULL", "task_run_id": "TEXT NOT NULL", "attempt": "INTEGER NOT NULL",
        "type": "TEXT NOT NULL", "name": "TEXT NOT NULL", "status": "TEXT NOT NULL", "message": "TEXT", "rows": "INTEGER",
        "asset_id": "TEXT", "started_at": "TEXT", "ended_at": "TEXT", "inserted_at": "TEXT",
    },
    "assets": {
        "id": "TEXT PRIMARY KEY", "integration": "TEXT NOT NULL", "name": "TEXT NOT NULL", "type": "TEXT",
        "created_at": "TEXT NOT NULL", "updated_at": "TEXT", "details": "TEXT",
    },
    "asset_dependencies": {"upstream_id": "TEXT NOT NULL", "downstream_id": "TEXT NOT NULL", "updated_at": "TEXT NOT NULL"},
    "requests": {
        "id": "TEXT PRIMARY KEY", "run_id": "TEXT NOT NULL", "kind": "TEXT NOT NULL", "task_run_id": "TEXT",
        "argument": "TEXT", "requested_by": "TEXT NOT NULL", "created_at": "TEXT NOT NULL", "handled_at": "TEXT",
        "answer": "TEXT",
    },
    # What `serve` keeps. A pipeline of a file has a row when it was paused, or was created from git over the API.
    "pipelines": {
        "id": "TEXT PRIMARY KEY", "alias": "TEXT NOT NULL UNIQUE", "has_alias": "INTEGER NOT NULL", "name": "TEXT NOT NULL",
        "storage": "TEXT NOT NULL", "repository": "TEXT", "default_branch": "TEXT", "working_branch": "TEXT",
        "yaml_path": "TEXT", "paused": "INTEGER NOT NULL", "latest_version": "INTEGER", "published_version": "INTEGER",
        "created_at": "TEXT NOT NULL", "updated_at": "TEXT NOT NULL",
    },
    "pipeline_versions": {
        "pipeline_id": "TEXT NOT NULL", "number": "INTEGER NOT NULL", "definition": "TEXT NOT NULL", "message": "TEXT",
        "created_at": "TEXT NOT NULL",
    },
    "environments": {
        "id": "TEXT PRIMARY KEY", "name": "TEXT NOT NULL UNIQUE", "variables": "TEXT NOT NULL", "is_default": "INTEGER NOT NULL",
        "created_at": "TEXT NOT NULL", "updated_at": "TEXT NOT NULL",
    },
    "dbt_state": {
        "integration": "TEXT NOT NULL", "key": "TEXT NOT NULL", "last_updated": "TEXT NOT NULL", "checksum": "TEXT NOT NULL",
        "sources": "TEXT NOT NULL",
    },
    "sensor_events": {
        "id": "TEXT PRIMARY KEY", "type": "TEXT NOT NULL", "event": "TEXT NOT NULL", "created_at": "TEXT NOT NULL",
    },
    # How far a schedule or a sensor has come, and which window of it is open.
    "triggers": {
        "id": "TEXT PRIMARY KEY", "pipeline": "TEXT NOT NULL", "kind": "TEXT NOT NULL", "name": "TEXT NOT NULL",
        "seen_until": "TEXT", "state": "TEXT", "updated_at": "TEXT NOT NULL",
    },
    # What a slot, window or event came to: the run that it started, or why it did not. Never silent.
    "firings": {
        "id": "TEXT PRIMARY KEY", "trigger_id": "TEXT NOT NULL", "pipeline": "TEXT NOT NULL", "due_at": "TEXT NOT NULL",
        "outcome": "TEXT NOT NULL", "run_id": "TEXT", "message": "TEXT", "created_at": "TEXT NOT NULL",
    },
    "alerts": {
        "id": "TEXT PRIMARY KEY", "run_id": "TEXT", "task_run_id": "TEXT", "name": "TEXT NOT NULL",
        "integration": "TEXT NOT NULL", "destination": "TEXT", "connection": "TEXT", "body": "TEXT NOT NULL",
        "status": "TEXT NOT NULL", "attempt": "INTEGER NOT NULL", "next_at": "TEXT", "message": "TEXT",
        "created_at": "TEXT NOT NULL", "sent_at": "TEXT",
    },
    "anomalies": {
        "id": "TEXT PRIMARY KEY", "run_id": "TEXT NOT NULL", "task_run_id": "TEXT", "type": "TEXT NOT NULL",
        "data": "TEXT NOT NULL", "created_at": "TEXT NOT NULL",
    },
    "servers": {
        "id": "TEXT PRIMARY KEY", "pid": "INTEGER NOT NULL", "started": "TEXT NOT NULL", "host": "TEXT NOT NULL",
        "since": "TEXT NOT NULL", "address": "TEXT", "heartbeat_at": "TEXT NOT NULL",
    },
}  # fmt: skip
KEYS = {
    "attempts": ("task_run_id", "number"),
    "asset_dependencies": ("upstream_id", "downstream_id"),
    "assets": ("integration", "name"),
    "pipeline_versions": ("pipeline_id", "number"),
    "dbt_state": ("integration", "key"),
}
"""What identifies a row, where that is not the id."""
JSON = {
    "argument", "body", "data", "depends_on", "details", "event", "inputs", "outputs", "parameters", "selection", "sources",
    "state", "triggered_by", "variables",
}  # fmt: skip
_INDEXES = {
    "runs_by_pipeline": "runs (pipeline, created_at)", "runs_by_status": "runs (status)",
    "task_runs_by_run": "task_runs (run_id, position)", "attempts_by_run": "attempts (run_id)",
    "operations_by_run": "operations (run_id)", "requests_by_run": "requests (run_id, handled_at)",
    "runs_by_end": "runs (ended_at)", "runs_by_pipeline_id": "runs (pipeline_id, created_at)",
    "runs_by_time": "runs (created_at, id)", "task_runs_by_time": "task_runs (created_at, id)",
    "task_runs_with_child": "task_runs (run_id) WHERE child_run IS NOT NULL",
    "operations_by_time": "operations (inserted_at, id)", "operations_by_task_run": "operations (task_run_id)",
    "sensor_events_by_type": "sensor_events (type, created_at)", "firings_by_trigger": "firings (trigger_id, due_at)",
    "alerts_by_status": "alerts (status, next_at)", "anomalies_by_run": "anomalies (run_id)",
}  # fmt: skip


def prepare(database: Database, root: Path) -> None:
    """Make the tables, or bring them to this version. Raises UsageError when they are of a newer one."""
    found = _version(database)
    if found == VERSION:
        return
    if found > VERSION:
        raise UsageError(
            f"{database.place} was written by a newer rehearse (version {found}, not {VERSION})",
            "update rehearse, or move that store away",
        )
    if found:
        _back_up(database, found)
    with database.transaction():
        if not database.is_sqlite:
            database.execute("SELECT pg_advisory_xact_lock(727170)")
        found = _version(database)  # somebody may have been faster
        if found == VERSION:
            return
        if found == 1:
            for table in ("runs", "task_runs"):
                database.execute(f"ALTER TABLE {table} RENAME TO {table}_1")
            for index in ("ix_runs_pipeline", "ix_task_runs_run_id"):
                database.execute(f"DROP INDEX IF EXISTS {index}")
        elif found:
            _add_columns(database)
        _create(database)
        if found == 1:
            _from_version_1(database, root)
        _set_version(database)


def _create(database: Database) -> None:
    for table, columns in TABLES.items():
        lines = [f"{_quoted(name)} {kind}" for name, kind in columns.items()]
        if table in KEYS:
            lines.append(f"UNIQUE ({', '.join(KEYS[table])})")
        database.execute(f"CREATE TABLE IF NOT EXISTS {table} ({', '.join(lines)})")
    for index, place in _INDEXES.items():
        database.execute(f"CREATE INDEX IF NOT EXISTS {index} ON {place}")
    database.execute("CREATE INDEX IF NOT EXISTS runs_open ON runs (created_at) WHERE ended_at IS NULL")
    # Whatever asks for a run with the same key again gets the run that is there: it starts once.
    database.execute("CREATE UNIQUE INDEX IF NOT EXISTS runs_by_accept_key ON runs (accept_key)")


def _add_columns(database: Database) -> None:
    """Later versions have only added to earlier ones: what a table lacks can be empty."""
    for table, columns in TABLES.items():
        if found := _columns(database, table):
            for name in columns.keys() - found:
                database.execute(f"ALTER TABLE {table} ADD COLUMN {_quoted(name)} {columns[name]}")


def _columns(database: Database, table: str) -> set[str]:
    """None at all when there is no such table."""
    if database.is_sqlite:
        return {row["name"] for row in database.rows(f"PRAGMA table_info({table})")}
    sql = "SELECT column_name FROM information_schema.columns WHERE table_schema = ? AND table_name = ?"
    return {row["column_name"] for row in database.rows(sql, (SCHEMA, table))}


def _from_version_1(database: Database, root: Path) -> None:
    """Version 1 had no attempts, owners or operations, and absolute folders."""
    prefix = f"{root}/"
    database.execute(
        'INSERT INTO runs (id, pipeline, name, file, status, environment, inputs, definition, folder, "trigger", created_at, '
        "ended_at, fence) SELECT id, pipeline, name, file, status, environment, inputs, definition, "
        "CASE WHEN substr(folder, 1, ?) = ? THEN substr(folder, ?) ELSE folder END, 'MANUAL', created_at, ended_at, 1 "
        "FROM runs_1",
        (len(prefix), prefix, len(prefix) + 1),
    )
    database.execute(
        "INSERT INTO task_runs (id, run_id, position, group_id, task_id, item, name, integration, job, status, attempt, "
        "simulated, message, parameters, outputs, started_at, ended_at) "
        "SELECT id, run_id, 0, group_id, task_id, item, name, integration, job, status, attempt, "
        "simulated, message, '{}', outputs, started_at, ended_at FROM task_runs_1"
    )
    # Runs of version 1 cannot be gone on with: it kept too little of them.
    for table in ("task_runs", "runs"):
        database.execute(
            f"UPDATE {table} SET status = 'FAILED', message = 'interrupted: its rehearse died' "
            "WHERE status NOT IN ('SUCCEEDED', 'WARNING', 'FAILED', 'CANCELLED', 'SKIPPED')"
        )
    for table in ("task_runs_1", "runs_1"):
        database.execute(f"DROP TABLE {table}")


def _back_up(database: Database, version: int) -> None:
    """The store as it was: a file beside it, or a schema of its own."""
    if database.is_sqlite:
        target = Path(f"{database.place}.v{version}.bak")
        temporary = target.with_suffix(f".{os.getpid()}.tmp")
        temporary.unlink(missing_ok=True)
        database.execute("VACUUM INTO ?", (str(temporary),))
        with sqlite3.connect(temporary) as copy:
            copied = copy.execute("PRAGMA user_version").fetchone()[0]
        copy.close()
        if copied == version:  # else somebody was faster with backup and migration
            with contextlib.suppress(FileExistsError):
                os.link(temporary, target)
        temporary.unlink()
        return
    backup = f"{SCHEMA}_backup_v{version}"
    with database.transaction():
        database.execute(f"CREATE SCHEMA IF NOT EXISTS {backup}")
        for row in database.rows("SELECT table_name FROM information_schema.tables WHERE table_schema = ?", (SCHEMA,)):
            name = row["table_name"]
            database.execute(f"CREATE TABLE IF NOT EXISTS {backup}.{name} AS TABLE {SCHEMA}.{name}")


def _version(database: Database) -> int:
    if database.is_sqlite:
        return int(database.rows("PRAGMA user_version")[0]["user_version"])
    exists = database.rows("SELECT to_regclass(?) IS NOT NULL AS found", (f"{SCHEMA}.version",))[0]["found"]
    return int(database.rows("SELECT number FROM version")[0]["number"]) if exists else 0


def _set_version(database: Database) -> None:
    if database.is_sqlite:
        database.execute(f"PRAGMA user_version={VERSION}")
        return
    database.execute("CREATE TABLE IF NOT EXISTS version (number INTEGER NOT NULL)")
    database.execute("DELETE FROM version")
    database.execute("INSERT INTO version VALUES (?)", (VERSION,))


def ensure_schema(database: Database) -> None:
    """PostgreSQL: the schema in which everything is. Raises StoreError with what the user lacks."""
    if not database.is_sqlite:
        try:
            database.execute(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}")
        except StoreError as e:
            if not database.rows("SELECT 1 AS x FROM information_schema.schemata WHERE schema_name = ?", (SCHEMA,)):
                raise StoreError(str(e), f"let somebody run: CREATE SCHEMA {SCHEMA} AUTHORIZATION <the user>") from e


def _quoted(name: str) -> str:
    return f'"{name}"' if name in ("trigger", "rows") else name

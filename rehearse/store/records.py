"""The run store. One writer, the engine's main thread; committed and synced before anything depends on it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from rehearse.errors import UsageError

SCHEMA_VERSION = 1
BUSY_SECONDS = 30  # how long to wait for another process that writes

_metadata = sa.MetaData()
_RUNS = sa.Table(
    "runs",
    _metadata,
    sa.Column("id", sa.String, primary_key=True),
    sa.Column("pipeline", sa.String, nullable=False, index=True),
    sa.Column("name", sa.String, nullable=False),
    sa.Column("file", sa.String, nullable=False),
    sa.Column("status", sa.String, nullable=False),
    sa.Column("environment", sa.String, nullable=False),
    sa.Column("inputs", sa.JSON, nullable=False),
    sa.Column("definition", sa.Text, nullable=False),  # the YAML as it was when the run was created
    sa.Column("folder", sa.String, nullable=False),
    sa.Column("created_at", sa.String, nullable=False),
    sa.Column("ended_at", sa.String),
)
_TASK_RUNS = sa.Table(
    "task_runs",
    _metadata,
    sa.Column("id", sa.String, primary_key=True),
    sa.Column("run_id", sa.ForeignKey("runs.id"), nullable=False, index=True),
    sa.Column("group_id", sa.String, nullable=False),
    sa.Column("task_id", sa.String, nullable=False),
    sa.Column("item", sa.String),
    sa.Column("name", sa.String, nullable=False),
    sa.Column("integration", sa.String, nullable=False),
    sa.Column("job", sa.String, nullable=False),
    sa.Column("status", sa.String, nullable=False),
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("simulated", sa.Boolean, nullable=False),
    sa.Column("message", sa.Text),
    sa.Column("outputs", sa.JSON, nullable=False),
    sa.Column("started_at", sa.String),
    sa.Column("ended_at", sa.String),
)


class Store:
    """`path`: the SQLite file, created with its folder when it is missing."""

    def __init__(self, path: Path):
        path.parent.mkdir(parents=True, exist_ok=True)
        self._engine = sa.create_engine(f"sqlite:///{path}", connect_args={"timeout": BUSY_SECONDS})
        sa.event.listen(self._engine, "connect", _configure)
        with self._engine.begin() as connection:
            version: int = connection.exec_driver_sql("PRAGMA user_version").scalar_one()
            if version > SCHEMA_VERSION:
                raise UsageError(f"{path} was written by a newer rehearse (version {version}, not {SCHEMA_VERSION})",
                                 "update rehearse, or move that file away")  # fmt: skip
            _metadata.create_all(connection)
            connection.exec_driver_sql(f"PRAGMA user_version={SCHEMA_VERSION}")

    def create_run(self, **values: Any) -> None:
        with self._engine.begin() as connection:
            connection.execute(_RUNS.insert().values(**values))

    def end_run(self, run_id: str, status: str, ended_at: datetime) -> None:
        with self._engine.begin() as connection:
            update = _RUNS.update().where(_RUNS.c.id == run_id)
            connection.execute(update.values(status=status, ended_at=timestamp(ended_at)))

    def put_tasks(self, rows: list[dict[str, Any]]) -> None:
        """Insert or replace task runs, all in one transaction."""
        if rows:
            with self._engine.begin() as connection:
                connection.execute(_TASK_RUNS.insert().prefix_with("OR REPLACE"), rows)

    def runs(self, limit: int = 20) -> list[dict[str, Any]]:
        """The newest runs first."""
        query = sa.select(_RUNS).order_by(_RUNS.c.created_at.desc(), _RUNS.c.id).limit(limit)
        with self._engine.connect() as connection:
            return [dict(row) for row in connection.execute(query).mappings()]

    def task_runs(self, run_id: str) -> list[dict[str, Any]]:
        query = sa.select(_TASK_RUNS).where(_TASK_RUNS.c.run_id == run_id).order_by(_TASK_RUNS.c.started_at)
        with self._engine.connect() as connection:
            return [dict(row) for row in connection.execute(query).mappings()]

    def close(self) -> None:
        self._engine.dispose()


def timestamp(moment: datetime | None) -> str | None:
    """UTC text with microseconds and `Z`, which also sorts by time."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ") if moment else None


def _configure(connection: Any, _record: Any) -> None:
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA foreign_keys=ON")

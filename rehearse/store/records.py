"""The run store: what has been committed here survives whatever dies.

One engine drives a run; the fence of its row proves which. An engine that was taken for dead and lost the run can write
nothing more.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

from rehearse.errors import RehearseError, UsageError
from rehearse.language.statuses import TERMINAL
from rehearse.store import lineage, schema
from rehearse.store.database import Database, Row, connect
from rehearse.store.schema import JSON, KEYS, TABLES

VARIABLE = "REHEARSE_STORE"
_OPEN = f"ended_at IS NULL AND status NOT IN ({', '.join(repr(status) for status in TERMINAL)})"
_LISTED = 3


class Fenced(RehearseError):
    """Another engine drives this run."""


@dataclass(frozen=True)
class Owner:
    """The engine that drives a run. `started`: when its process started, as `processes.start_time` tells it."""

    pid: int | None
    started: str | None
    host: str | None
    since: str | None


NOBODY = Owner(None, None, None, None)
"""Of a run that was accepted, and waits for an engine."""


@dataclass(frozen=True)
class CreatedRun:
    """`refused_by`: so many runs of the pipeline were active already that the run was stored as SKIPPED; else 0.

    `run_id`: another one than asked for when there was a run with the same `accept_key`; then nothing was stored.
    """

    run_id: str
    fence: int
    refused_by: int


def has_store(root: Path) -> bool:
    """Whether anything may have run here. Creates nothing."""
    return VARIABLE in os.environ or _file(root).exists()


def open_store(root: Path, url: str | None = None) -> Store:
    """The store of a repository: REHEARSE_STORE, else SQLite under `.rehearse/`. Raises StoreError, UsageError."""
    database = connect(url or os.environ.get(VARIABLE) or f"sqlite:///{_file(root)}")
    try:
        schema.ensure_schema(database)
        schema.prepare(database, root)
    except BaseException:
        database.close()
        raise
    return Store(database)


def _file(root: Path) -> Path:
    return root / ".rehearse" / "rehearse.db"


class Store:
    """For one thread. Every method raises StoreError when the database cannot be used."""

    def __init__(self, database: Database):
        self._database = database
        self.place = database.place
        self.is_sqlite = database.is_sqlite
        self._is_leader = False

    @property
    def database(self) -> Database:
        """For what else is kept here: see the modules beside this one."""
        return self._database

    # Written by the engine

    def create_run(
        self, run: Mapping[str, Any], tasks: Sequence[Row], owner: Owner, max_active: int | None
    ) -> CreatedRun:
        """Record a run with its tasks, unless `max_active` runs of its pipeline, environment and branch are active."""
        key = (run["pipeline"], run["environment"], run.get("branch"))
        with self._database.transaction():
            if run.get("accept_key") is not None:
                if not self._database.is_sqlite:
                    self._database.execute("SELECT pg_advisory_xact_lock(hashtext(?))", (run["accept_key"],))
                if found := self.run_with_key(run["accept_key"]):
                    return CreatedRun(found["id"], found["fence"], 0)
            if not self._database.is_sqlite:  # two that count at the same time would both find room
                self._database.execute("SELECT pg_advisory_xact_lock(hashtext(?))", (json.dumps(key),))
            active = 0
            if max_active:
                same = "pipeline = ? AND environment = ? AND coalesce(branch, '') = ?"
                sql = f"SELECT count(*) AS n FROM runs WHERE {same} AND {_OPEN}"
                active = self._database.rows(sql, (*key[:2], key[2] or ""))[0]["n"]
            refused = active if max_active and active >= max_active else 0
            end: Row = {}
            if refused:
                why = f"{refused} run(s) of {run['pipeline']} are active, and max_active is {max_active}"
                end = {"status": "SKIPPED", "ended_at": run["created_at"], "message": why}
            self._put("runs", [{**run, **_owner(owner), **end, "fence": 1}])
            self._put("task_runs", [{**task, **end} for task in tasks])
        return CreatedRun(run["id"], 1, refused)

    def commit(
        self, run_id: str, fence: int, *, run: Mapping[str, Any] | None = None, tasks: Sequence[Row] = (),
        attempts: Sequence[Row] = (), operations: Sequence[Row] = (),
    ) -> None:  # fmt: skip
        """Everything in one transaction: columns of the run, whole rows of the others. Raises Fenced."""
        with self._database.transaction():
            self._check_fence(run_id, fence)
            if run:
                names = ", ".join(f"{name} = ?" for name in run)
                self._database.execute(f"UPDATE runs SET {names} WHERE id = ?", (*_encoded(run), run_id))
            self._put("task_runs", tasks)
            self._put("attempts", attempts)
            if operations:
                lineage.record(self._database, operations)

    def heartbeat(self, runs: Iterable[tuple[str, int]], at: str | None) -> None:
        """The engine of these (run, fence) is alive."""
        values = [(at, run_id, fence) for run_id, fence in runs]
        with self._database.transaction():
            self._database.execute_many("UPDATE runs SET heartbeat_at = ? WHERE id = ? AND fence = ?", values)

    def take_over(self, run_id: str, seen_fence: int, owner: Owner) -> int | None:
        """Become the owner of a run whose fence still is the one that was seen: the new fence, None if somebody was faster."""
        values = _owner(owner) | {"fence": seen_fence + 1, "heartbeat_at": None}
        names = ", ".join(f"{name} = ?" for name in values)
        sql = f"UPDATE runs SET {names} WHERE id = ? AND fence = ?"
        with self._database.transaction():
            changed = self._database.execute(sql, (*values.values(), run_id, seen_fence))
        return seen_fence + 1 if changed else None

    def _check_fence(self, run_id: str, fence: int) -> None:
        lock = "" if self._database.is_sqlite else " FOR UPDATE"
        rows = self._database.rows(
            f"SELECT fence, engine_pid, engine_host, engine_since FROM runs WHERE id = ?{lock}", (run_id,)
        )
        if not rows or rows[0]["fence"] != fence:
            by = rows[0] if rows else {}
            raise Fenced(f"run {run_id[:8]} is driven by process {by.get('engine_pid')} on {by.get('engine_host')} "
                         f"since {by.get('engine_since')} now: this rehearse lets go of it")  # fmt: skip

    # Requests: what other processes want of the engine that drives a run

    def request(
        self, run_id: str, kind: str, task_run_id: str | None = None, argument: Mapping[str, Any] | None = None,
        by: str = "somebody",
    ) -> str:  # fmt: skip
        """`kind`: cancel, approve or reject. Returns the id of the request."""
        row = {
            "id": str(uuid4()), "run_id": run_id, "kind": kind, "task_run_id": task_run_id, "argument": argument,
            "requested_by": by, "created_at": timestamp(datetime.now(UTC)),
        }  # fmt: skip
        with self._database.transaction():
            self._put("requests", [row])
        return str(row["id"])

    def requests(self, run_ids: Sequence[str]) -> list[Row]:
        """Those of these runs that nobody has handled, oldest first."""
        rows = self._database.rows("SELECT * FROM requests WHERE handled_at IS NULL ORDER BY created_at")
        wanted = set(run_ids)
        return [decoded(row) for row in rows if row["run_id"] in wanted]

    def has_request(self, run_id: str, kind: str) -> bool:
        """Whether that was asked of a run before."""
        sql = "SELECT 1 AS x FROM requests WHERE run_id = ? AND kind = ? LIMIT 1"
        return bool(self._database.rows(sql, (run_id, kind)))

    def handled(self, request_id: str, answer: str) -> None:
        with self._database.transaction():
            sql = "UPDATE requests SET handled_at = ?, answer = ? WHERE id = ?"
            self._database.execute(sql, (timestamp(datetime.now(UTC)), answer, request_id))

    def answer(self, request_id: str) -> str | None:
        """What became of a request; None while nobody has handled it."""
        rows = self._database.rows("SELECT answer FROM requests WHERE id = ?", (request_id,))
        return rows[0]["answer"] if rows else None

    def leads(self) -> bool:
        """Whether this connection is the one that does what only one may do. It is until it closes, or its process dies."""
        if self.is_sqlite or self._is_leader:
            return True
        rows = self._database.rows("SELECT pg_try_advisory_lock(727172) AS found")
        self._is_leader = bool(rows[0]["found"])
        return self._is_leader

    def changed(self) -> bool:
        """Cheap: whether somebody else may have written since this was asked last."""
        return self._database.changed()

    # Read by all

    def unfinished(self) -> list[Row]:
        return [
            decoded(row) for row in self._database.rows(f"SELECT * FROM runs WHERE {_OPEN} ORDER BY created_at, id")
        ]

    def unowned(self) -> list[Row]:
        """Runs that were accepted, and wait for an engine."""
        sql = f"SELECT * FROM runs WHERE {_OPEN} AND engine_pid IS NULL ORDER BY created_at, id"
        return [decoded(row) for row in self._database.rows(sql)]

    def find_run(self, run_id: str) -> Row | None:
        """The run with exactly this id."""
        rows = self._database.rows("SELECT * FROM runs WHERE id = ?", (run_id,))
        return decoded(rows[0]) if rows else None

    def run_with_key(self, key: str) -> Row | None:
        """The run that was accepted with that key."""
        rows = self._database.rows("SELECT * FROM runs WHERE accept_key = ?", (key,))
        return decoded(rows[0]) if rows else None

    def last_failed(self, pipeline: str, ci_run_id: str | None = None) -> Row | None:
        """The newest run of a pipeline, of that CI run if one is named; None unless it failed or was cancelled."""
        ci, values = (" AND ci_run_id = ?", (pipeline, ci_run_id)) if ci_run_id else ("", (pipeline,))
        sql = f"SELECT * FROM runs WHERE pipeline = ?{ci} ORDER BY created_at DESC, id LIMIT 1"
        rows = self._database.rows(sql, values)
        return decoded(rows[0]) if rows and rows[0]["status"] in ("FAILED", "CANCELLED") else None

    def run(self, wanted: str, pipeline: str | None = None) -> Row:
        """`latest`, an id, or the beginning of one; of a pipeline if that is given. Raises UsageError."""
        where, values = ("WHERE pipeline = ?", (pipeline,)) if pipeline else ("", ())
        order = "ORDER BY created_at DESC, id"
        if wanted == "latest":
            rows = self._database.rows(f"SELECT * FROM runs {where} {order} LIMIT 1", values)
        else:
            start = wanted.lower()
            more = "AND" if where else "WHERE"
            sql = f"SELECT * FROM runs {where} {more} substr(id, 1, ?) = ? {order} LIMIT ?"
            rows = self._database.rows(sql, (*values, len(start), start, _LISTED + 1))
        if len(rows) == 1:
            return decoded(rows[0])
        known = rows or self._database.rows(f"SELECT * FROM runs {where} {order} LIMIT ?", (*values, _LISTED))
        listed = "; ".join(f"{row['id']} {row['status']} {row['created_at'][:16]}Z" for row in known[:_LISTED])
        of = f" of {pipeline}" if pipeline else ""
        if rows:
            raise UsageError(f"several runs{of} begin with '{wanted}'", f"give more of the id: {listed}")
        hint = f"the newest runs: {listed}" if listed else "start one with: rehearse run FILE"
        raise UsageError(f"there is no run '{wanted}'{of}", hint)

    def runs(
        self, limit: int = 20, pipeline: str | None = None, status: str | None = None, before: str | None = None
    ) -> list[Row]:
        """The newest first. `before`: created earlier than this timestamp."""
        tests = {"pipeline = ?": pipeline, "status = ?": status, "created_at < ?": before}
        given = {test: value for test, value in tests.items() if value is not None}
        where = f"WHERE {' AND '.join(given)}" if given else ""
        sql = f"SELECT * FROM runs {where} ORDER BY created_at DESC, id LIMIT ?"
        return [decoded(row) for row in self._database.rows(sql, (*given.values(), limit))]

    def task_runs(self, run_id: str) -> list[Row]:
        """In the order of the plan; those of a matrix in the order in which they were recorded."""
        rows = self._database.rows(
            "SELECT * FROM task_runs WHERE run_id = ? ORDER BY position, created_at, id", (run_id,)
        )
        return [decoded(row) for row in rows]

    def find_task_run(self, task_run_id: str) -> Row | None:
        rows = self._database.rows("SELECT * FROM task_runs WHERE id = ?", (task_run_id,))
        return decoded(rows[0]) if rows else None

    def counts(self, run_ids: Sequence[str]) -> dict[str, dict[str, int]]:
        """run -> status -> how many of its task runs have it."""
        found: dict[str, dict[str, int]] = {run_id: {} for run_id in run_ids}
        marks = ", ".join("?" * len(run_ids))
        sql = f"SELECT run_id, status, count(*) AS n FROM task_runs WHERE run_id IN ({marks}) GROUP BY run_id, status"
        for row in self._database.rows(sql, list(run_ids)) if run_ids else ():
            found[row["run_id"]][row["status"]] = row["n"]
        return found

    def attempts(self, run_id: str) -> list[Row]:
        return self._database.rows("SELECT * FROM attempts WHERE run_id = ? ORDER BY started_at, number", (run_id,))

    def attempt_folder(self, task_run_id: str, number: int) -> str | None:
        sql = "SELECT folder FROM attempts WHERE task_run_id = ? AND number = ?"
        rows = self._database.rows(sql, (task_run_id, number))
        return rows[0]["folder"] if rows else None

    def operations(self, run_id: str) -> list[Row]:
        return lineage.operations(self._database, run_id)

    def assets(self) -> list[Row]:
        return lineage.assets(self._database)

    def asset_dependencies(self) -> list[Row]:
        return lineage.dependencies(self._database)

    def close(self) -> None:
        self._database.close()

    def _put(self, table: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Insert rows, or replace those with the same key."""
        if not rows:
            return
        names = [name for name in TABLES[table] if name in rows[0]]
        key = KEYS.get(table, ("id",))
        changes = ", ".join(f"{_name(name)} = excluded.{_name(name)}" for name in names if name not in key)
        sql = (
            f"INSERT INTO {table} ({', '.join(map(_name, names))}) VALUES ({', '.join('?' * len(names))}) "
            f"ON CONFLICT ({', '.join(key)}) DO UPDATE SET {changes}"
        )
        self._database.execute_many(sql, [_encoded({name: row[name] for name in names}) for row in rows])


def timestamp(moment: datetime | None) -> str | None:
    """UTC text with microseconds and `Z`, which also sorts by time."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ") if moment else None


def _owner(owner: Owner) -> Row:
    return {
        "engine_pid": owner.pid, "engine_started": owner.started, "engine_host": owner.host, "engine_since": owner.since,
    }  # fmt: skip


def _name(column: str) -> str:
    return f'"{column}"' if column == "trigger" else column


def _encoded(row: Mapping[str, Any]) -> list[Any]:
    return [_value(name, value) for name, value in row.items()]


def _value(name: str, value: Any) -> Any:
    if name in JSON:
        return None if value is None else json.dumps(value, default=str)
    return int(value) if isinstance(value, bool) else value.replace("\0", "\\0") if isinstance(value, str) else value


def decoded(row: Row) -> Row:
    """A row as it was put: JSON and truth values are what they were."""
    for name in JSON & row.keys():
        row[name] = json.loads(row[name]) if row[name] is not None else None
    if "simulated" in row:
        row["simulated"] = bool(row["simulated"])
    return row

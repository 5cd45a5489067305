"""Pages of rows, newest first, with how many there are in all. For lists over the API: an index serves each of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary

from rehearse.store.database import Database, Row
from rehearse.store.records import decoded

_RUN = (
    "id, pipeline, pipeline_id, name, file, status, environment, branch, commit_sha, version, trigger, triggered_by, message, "
    "created_at, started_at, ended_at, heartbeat_at, previous_run, ci_run_id"
).replace(" trigger,", ' "trigger",')
"""Without its definition and inputs, which are large."""
_TASK_RUN = (
    "t.id, t.run_id, t.task_id, t.name, t.integration, t.job, t.connection, t.status, t.attempt, t.message, t.parameters, "
    "t.outputs, t.created_at, t.started_at, t.ended_at, t.depends_on, t.simulated, 0 AS superseded, r.pipeline, r.pipeline_id"
)
_SUPERSEDED = (
    "t.id, t.run_id, t.task_id, t.name, t.integration, t.job, t.connection, a.status, a.number AS attempt, a.message, "
    "t.parameters, '{}' AS outputs, t.created_at, a.started_at, a.ended_at, t.depends_on, t.simulated, 1 AS superseded, "
    "r.pipeline, r.pipeline_id"
)


@dataclass
class Tests:
    """What rows must fulfil: conditions of SQL, joined by AND, and their values."""

    sql: list[str] = field(default_factory=list)
    values: list[Any] = field(default_factory=list)

    def equal(self, column: str, value: Any) -> None:
        if value is not None:
            self.sql.append(f"{column} = ?")
            self.values.append(value)

    def among(self, column: str, values: Iterable[Any] | None) -> None:
        """Nothing when no values are given."""
        found = list(values or ())
        if found:
            self.sql.append(f"{column} IN ({', '.join('?' * len(found))})")
            self.values += found

    def between(self, column: str, start: str | None, end: str | None) -> None:
        """Both inclusive."""
        for sign, moment in ((">=", start), ("<=", end)):
            if moment is not None:
                self.sql.append(f"{column} {sign} ?")
                self.values.append(moment)

    @property
    def where(self) -> str:
        return f" WHERE {' AND '.join(self.sql)}" if self.sql else ""


def runs(database: Database, tests: Tests, limit: int, offset: int) -> tuple[list[Row], int]:
    # What comes before the page is skipped in the index: a deep one costs as much as the first.
    page = f"SELECT id FROM runs{tests.where} ORDER BY created_at DESC, id DESC LIMIT ? OFFSET ?"
    sql = f"SELECT {_RUN} FROM runs WHERE id IN ({page}) ORDER BY created_at DESC, id DESC"
    rows = database.rows(sql, (*tests.values, limit, offset))
    return [decoded(row) for row in rows], _count(database, f"FROM runs{tests.where}", tests.values)


def task_runs(
    database: Database, tests: Tests, limit: int, offset: int, *, superseded: bool = False
) -> tuple[list[Row], int]:
    """`tests` name columns of the task run as t.x, of its run as r.x. `superseded`: attempts before the last one, too."""
    source = f"FROM task_runs t JOIN runs r ON r.id = t.run_id{tests.where}"
    sql, values = f"SELECT {_TASK_RUN} {source}", list(tests.values)
    names_run = any("r." in test for test in tests.sql)
    total = _count(database, source if names_run else f"FROM task_runs t{tests.where}", tests.values)
    if superseded:
        earlier = (
            "FROM attempts a JOIN task_runs t ON t.id = a.task_run_id AND a.number < t.attempt JOIN runs r ON r.id = t.run_id"
            f"{tests.where}"
        )
        sql, values = f"{sql} UNION ALL SELECT {_SUPERSEDED} {earlier}", [*values, *tests.values]
        total += _count(database, earlier, tests.values)
    rows = database.rows(
        f"SELECT * FROM ({sql}) x ORDER BY created_at DESC, id DESC, attempt DESC LIMIT ? OFFSET ?"
        if superseded
        else f"{sql} ORDER BY t.created_at DESC, t.id DESC LIMIT ? OFFSET ?",
        (*values, limit, offset),
    )
    return [decoded(row) for row in rows], total


def operations(database: Database, tests: Tests, limit: int, offset: int) -> tuple[list[Row], int]:
    """`tests` name columns as o.x and t.x, of its task run."""
    source = f"FROM operations o JOIN task_runs t ON t.id = o.task_run_id LEFT JOIN assets s ON s.id = o.asset_id{tests.where}"
    sql = (
        f"SELECT o.*, t.integration, t.job, s.name AS asset {source} "
        "ORDER BY o.inserted_at DESC, o.id DESC LIMIT ? OFFSET ?"
    )
    return database.rows(sql, (*tests.values, limit, offset)), _count(database, source, tests.values)


def children(database: Database, run_ids: Sequence[str]) -> dict[str, list[Row]]:
    """run -> the runs that its tasks started: {"id", "pipeline", "pipeline_id", "name"}."""
    found: dict[str, list[Row]] = {run_id: [] for run_id in run_ids}
    sql = (
        "SELECT t.run_id, r.id, r.pipeline, r.pipeline_id, r.name FROM task_runs t JOIN runs r ON r.id = t.child_run "
        f"WHERE t.child_run IS NOT NULL AND t.run_id IN ({', '.join('?' * len(run_ids))}) ORDER BY r.created_at, r.id"
    )
    for row in database.rows(sql, list(run_ids)) if run_ids else ():
        found[row["run_id"]].append(row)
    return found


def anomalies(database: Database, run_ids: Sequence[str]) -> list[Row]:
    sql = f"SELECT * FROM anomalies WHERE run_id IN ({', '.join('?' * len(run_ids))}) ORDER BY created_at, id"
    return [decoded(row) for row in database.rows(sql, list(run_ids))] if run_ids else []


def newest_runs(database: Database, pipelines: Iterable[str]) -> dict[str, Row]:
    """pipeline -> its newest run, of those that have one."""
    found = {}
    for pipeline in pipelines:
        rows = database.rows(
            f"SELECT {_RUN} FROM runs WHERE pipeline = ? ORDER BY created_at DESC, id DESC LIMIT 1", (pipeline,)
        )
        if rows:
            found[pipeline] = decoded(rows[0])
    return found


_MOST_COUNTS = 500


def _count(database: Database, source: str, values: Sequence[Any]) -> int:
    """Kept until somebody writes: who reads page after page asks for the same number each time."""
    version = database.version()
    known = _counts.setdefault(database, {})
    key = (source, tuple(values))
    if version is None or known.get(key, (0, None))[1] != version:
        if len(known) >= _MOST_COUNTS:
            known.clear()
        known[key] = (int(database.rows(f"SELECT count(*) AS n {source}", values)[0]["n"]), version)
    return known[key][0]


_counts: WeakKeyDictionary[Database, dict[tuple[str, tuple[Any, ...]], tuple[int, Any]]] = WeakKeyDictionary()

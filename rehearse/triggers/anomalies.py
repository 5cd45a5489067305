"""Durations that are far from those of earlier runs (section 1.5 of the language reference).

Baseline: the median of up to 100 good runs of the last 30 days, in the same environment and on the same branch; at least
ten. An anomaly never changes a status.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from statistics import median
from typing import Any

from rehearse.language.model import Anomaly, Pipeline
from rehearse.store import alerts as stored
from rehearse.store.database import Database
from rehearse.store.ids import id_of
from rehearse.store.records import timestamp

MOST_RUNS, LEAST_RUNS = 100, 10
PERIOD = timedelta(days=30)
ABOVE, BELOW = 20, 75
"""Per cent, when nothing is said."""
Row = Mapping[str, Any]
Found = tuple[Anomaly, Row | None, dict[str, Any]]
"""What was declared, the task run if it is one's, and the row for the store."""


def has_any(pipeline: Pipeline) -> bool:
    return bool(pipeline.anomalies) or any(
        task.anomalies for group in pipeline.groups().values() for task in group.tasks.values()
    )


def of_run(database: Database, pipeline: Pipeline, run: Row, tasks: Sequence[Row], now: str) -> list[Found]:
    """(what was declared, the task run if it is one's, the row for the store) of a run that has ended."""
    since = timestamp(datetime.fromisoformat(run["created_at"]) - PERIOD) or ""
    earlier = stored.baseline_runs(database, run, since, MOST_RUNS)
    if len(earlier) < LEAST_RUNS or run["status"] not in ("SUCCEEDED", "WARNING"):
        return []
    found: list[Found] = []
    for declared in pipeline.anomalies:
        past = [seconds for row in earlier if (seconds := duration(row)) is not None]
        found += _judge(declared, declared.type or "pipeline_duration_above_baseline", run, None, run, past, now)
    ids = [row["id"] for row in earlier]
    models = {
        task_id: task for group in pipeline.groups().values() for task_id, task in group.tasks.items() if task.anomalies
    }
    rows = {kind: stored.of_runs(database, kind, ids) if models else [] for kind in ("task_runs", "operations")}
    own = stored.of_runs(database, "operations", [run["id"]]) if models else []
    for task in tasks:
        model = models.get(task["task_id"])
        for declared in model.anomalies if model else ():
            kind = declared.type or "task_duration_above_baseline"
            if kind.startswith("operation_"):
                mine = [row for row in own if _matches(declared, row)]
                found += list(_operations(declared, kind, run, task, mine, rows["operations"], now))[
                    : declared.max_anomalies
                ]
            else:
                past = [
                    s
                    for row in rows["task_runs"]
                    if row["name"] == task["task_id"] and (s := duration(row)) is not None
                ]
                found += _judge(declared, kind, run, task, task, past, now)
    return found


def duration(row: Row) -> float | None:
    """Seconds; None for what did not begin or end."""
    if not row["started_at"] or not row["ended_at"]:
        return None
    return (datetime.fromisoformat(row["ended_at"]) - datetime.fromisoformat(row["started_at"])).total_seconds()


def limit(declared: Anomaly, kind: str, past: Sequence[float]) -> float | None:
    """The duration beyond which it is one; None when there is too little to compare with."""
    if len(past) < LEAST_RUNS:
        return None
    baseline = median(past)
    if baseline < (declared.min_baseline_seconds or 0):
        return None
    if "below" in kind:
        return baseline * (1 - (declared.percentage_below_baseline or BELOW) / 100)
    return baseline * (1 + (declared.percentage_above_baseline or ABOVE) / 100)


def _judge(
    declared: Anomaly, kind: str, run: Row, task: Row | None, row: Row, past: Sequence[float], now: str
) -> Iterator[Found]:
    observed, threshold = duration(row), limit(declared, kind, past)
    if observed is None or threshold is None or not (observed < threshold if "below" in kind else observed > threshold):
        return
    percentage = "percentage_below_baseline" if "below" in kind else "percentage_above_baseline"
    data = {
        "type": kind, percentage: getattr(declared, percentage) or (BELOW if "below" in kind else ABOVE),
        "threshold_seconds": round(threshold, 3), "compared_runs": len(past), "observed_seconds": round(observed, 3),
    }  # fmt: skip
    task_id = task["id"] if task else None
    yield declared, task, {
        "id": id_of("anomaly", run["id"], task_id, kind, row["id"]), "run_id": run["id"], "task_run_id": task_id, "type": kind,
        "data": data, "created_at": now,
    }  # fmt: skip


def _operations(
    declared: Anomaly, kind: str, run: Row, task: Row, mine: Iterable[Row], earlier: Sequence[Row], now: str
) -> Iterator[Found]:
    for row in mine:
        past = [s for other in earlier if other["name"] == row["name"] and (s := duration(other)) is not None]
        yield from _judge(declared, kind, run, task, row, past, now)


def _matches(declared: Anomaly, row: Row) -> bool:
    if declared.operation_types and row["type"] not in declared.operation_types:
        return False
    return not declared.operation_names or any(
        fnmatchcase(row["name"], pattern) for pattern in declared.operation_names
    )

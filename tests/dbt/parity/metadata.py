"""Raw tables of Orchestra's metadata on a day: what a loader of its API would leave, with every case the marts tell apart."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import duckdb
import pyarrow as pa

TEXT, WHOLE, TIME, NUMBER = "varchar", "bigint", "timestamptz", "double"
METADATA: dict[str, dict[str, str]] = {
    "raw_orchestra.pipeline_runs": {
        "id": TEXT, "pipeline_id": TEXT, "pipeline_name": TEXT, "env_name": TEXT, "run_status": TEXT, "branch": TEXT,
        "created_at": TIME, "started_at": TIME, "completed_at": TIME, "updated_at": TIME,
    },
    "raw_orchestra.task_runs": {
        "id": TEXT, "pipeline_run_id": TEXT, "pipeline_id": TEXT, "task_id": TEXT, "task_name": TEXT, "integration": TEXT,
        "integration_job": TEXT, "status": TEXT, "attempt_number": WHOLE, "number_of_attempts": WHOLE, "created_at": TIME,
        "started_at": TIME, "completed_at": TIME, "updated_at": TIME,
    },
    "raw_orchestra.operations": {
        "id": TEXT, "pipeline_run_id": TEXT, "task_run_id": TEXT, "operation_name": TEXT, "operation_type": TEXT,
        "operation_status": TEXT, "integration": TEXT, "operation_duration": NUMBER, "rows_affected": WHOLE,
        "final_cost_amount": NUMBER, "final_cost_currency": TEXT, "asset_external_id": TEXT, "inserted_at": TIME,
    },
    "raw_orchestra.assets": {
        "asset_id": TEXT, "external_id": TEXT, "asset_name": TEXT, "asset_type": TEXT, "status": TEXT, "integration": TEXT,
        "database_name": TEXT, "schema_name": TEXT, "last_successful_run": TIME, "last_updated_in_integration": TIME,
        "updated_at": TIME,
    },
}  # fmt: skip
START = datetime(2026, 6, 1, 23, 30, tzinfo=UTC)  # near midnight, where a wrong time zone moves a run to another day
STATUSES = ("SUCCEEDED", "SUCCEEDED", "WARNING", "FAILED", "SUCCEEDED", "CANCELLED", "SKIPPED")
MODELS = ("stg_orders", "fct_orders", "dim_customers")


def metadata_tables(day: int) -> dict[str, pa.Table]:
    """Three pipelines over 30 days and `day` more, two tasks each, the last run still going."""
    rows: dict[str, list[tuple[Any, ...]]] = {name: [] for name in METADATA}
    for number in range(3 * (30 + day)):
        pipeline, begun = number % 3, START + timedelta(hours=8 * number, seconds=number * 7 % 60)
        last, status = number == 3 * (30 + day) - 1, STATUSES[number % len(STATUSES)]
        ended = None if last else begun + timedelta(seconds=60 + number * 37 % 900)
        name = None if pipeline == 2 else f"Pipeline {pipeline}"
        run, started = f"run-{number:05d}", begun + timedelta(seconds=number % 9)
        rows["raw_orchestra.pipeline_runs"].append(
            (run, f"pipeline-{pipeline}", name, None if number % 5 == 0 else "Production", "RUNNING" if last else status,
             "main", begun, started, ended, ended or started)
        )  # fmt: skip
        for task, (integration, job) in enumerate(
            (("PYTHON", "PYTHON_EXECUTE_SCRIPT"), ("DBT_CORE", "DBT_CORE_EXECUTE"))
        ):
            task_run = f"{run}-{task}"
            rows["raw_orchestra.task_runs"].append(
                (task_run, run, f"pipeline-{pipeline}", f"task_{task}", f"Task {task}", integration, job,
                 "RUNNING" if last else status, 1 + number % 2, 1 + number % 2, begun, started, ended, ended or started)
            )  # fmt: skip
        for at, model in enumerate(MODELS):
            reused = "REUSED" if (number + at) % 4 == 0 else "SUCCEEDED"
            kind = "TEST" if (number + at) % 6 == 5 else "MATERIALISATION"
            cost = None if number % 3 == 0 else 0.014 * (1 + number % 11)
            rows["raw_orchestra.operations"].append(
                (f"{run}-op-{at}", run, f"{run}-1", model, kind, reused, "DBT_CORE", 1.234 * (1 + at), 100 * number, cost,
                 None if cost is None else "USD", f"analytics.marts.{model}", begun)
            )  # fmt: skip
    for at, model in enumerate(MODELS):
        changed = None if at == 2 else START + timedelta(days=30 + day, hours=-30 * at)
        rows["raw_orchestra.assets"].append(
            (f"asset-{at}", f"analytics.marts.{model}", model, "TABLE", "HEALTHY", "DBT_CORE", "analytics", "marts", changed,
             changed, START + timedelta(days=30 + day))
        )  # fmt: skip
    return {name: _typed(METADATA[name], content) for name, content in rows.items()}


def _typed(columns: dict[str, str], rows: list[tuple[Any, ...]]) -> pa.Table:
    incoming = pa.table({name: pa.array(values) for name, values in zip(columns, zip(*rows, strict=True), strict=True)})
    casts = ", ".join(f"cast({name} as {kind}) as {name}" for name, kind in columns.items())
    with duckdb.connect() as connection:
        connection.execute("set TimeZone = 'UTC'")
        connection.register("incoming", incoming)
        return connection.execute(f"select {casts} from incoming").to_arrow_table()

"""Operations of an attempt from what it left behind: what tasks say of themselves in their outputs, and dlt's load packages.

dbt and SQL hosts report theirs while they run. An operation is {"type", "name", "status", "message", "started_at",
"ended_at", "rows", "asset": {"integration", "name", "type"} or null, "upstream": [names]}.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

_DESTINATIONS = {
    "bigquery": "GCP_BIG_QUERY", "redshift": "AWS_REDSHIFT", "mssql": "SQL_SERVER", "fabric": "FABRIC_SYNAPSE",
    "synapse": "FABRIC_SYNAPSE", "filesystem": "AWS_S3", "ducklake": "DUCKDB",
}  # fmt: skip  # other destinations are called as their integration is


def collect(
    job: str, folder: Path, root: Path, started: str, ended: str, outputs: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """What an attempt that has ended did. `started` and `ended`: UTC texts. Cheap when there is nothing to find.

    A worker that sums itself up in an output is believed. Of another Python task, dlt's load packages are read: those in
    the folder that the task was given for them, else those that were completed meanwhile in .dlt/.pipelines.
    """
    if job != "PYTHON_EXECUTE_SCRIPT":
        return []
    if found := operations_of_outputs(outputs, started, ended):
        return found
    own, shared = folder / "dlt_data" / "pipelines", root / ".dlt" / ".pipelines"
    if own.is_dir():
        from rehearse.jobs.lineage_dlt import operations_of_dlt

        return operations_of_dlt(own)
    if shared.is_dir():
        from rehearse.jobs.lineage_dlt import operations_of_dlt

        return operations_of_dlt(shared, started, ended)
    return []


def operations_of_outputs(outputs: Mapping[str, Any], started: str, ended: str) -> list[dict[str, Any]]:
    """An operation for each output that is a worker's summary: an object with `source`, `object`, `table` and `rows`."""
    return [
        ingestion(
            name=f"{summary['source']}.{summary['object']}", table=summary["table"], status="SUCCEEDED",
            destination=str(summary.get("destination") or "unknown"), rows=summary["rows"], message=_message(summary),
            started=started, ended=ended, upstream=[f"{summary['source']}.{summary['object']}"],
        )
        for summary in outputs.values()
        if _is_summary(summary)
    ]  # fmt: skip


def ingestion(
    *, name: str, table: str, status: str, destination: str, rows: int | None, message: str | None, started: str | None,
    ended: str | None, upstream: list[str],
) -> dict[str, Any]:  # fmt: skip
    asset = {"integration": _DESTINATIONS.get(destination, destination.upper()), "name": table, "type": "TABLE"}
    return {
        "type": "INGESTION", "name": name, "status": status, "message": message, "started_at": started, "ended_at": ended,
        "rows": rows, "asset": asset, "upstream": upstream,
    }  # fmt: skip


def _is_summary(value: Any) -> bool:
    return (
        isinstance(value, Mapping)
        and all(isinstance(value.get(key), str) for key in ("source", "object", "table"))
        and isinstance(value.get("rows"), int)
    )


def _message(summary: Mapping[str, Any]) -> str | None:
    deleted, mode = summary.get("deleted"), summary.get("mode")
    parts = [str(mode)] if mode else []
    parts += [f"{deleted} deleted"] if deleted else []
    return ", ".join(parts) or None

"""Rows of the store as the platform shows them (section 6 of the API reference)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any

from rehearse.api.service import Service
from rehearse.store.ids import id_of, pipeline_id

_TRIGGERS = {
    "RESTART_FROM_FAILED": "RESTART_FROM_FAILED", "RESTART_ALL": "RESTART_ALL", "SCHEDULED": "SCHEDULED", "SENSOR": "SENSOR",
    "TRIGGER_EVENT": "TRIGGER_EVENT", "TRIGGER_PIPELINE": "TRIGGER_EVENT", "WEBHOOK": "WEBHOOK",
}  # fmt: skip
_MESSAGES = {
    "SUCCEEDED": "All tasks have succeeded.", "WARNING": "Pipeline ended with warnings.", "CANCELLED": "Pipeline was cancelled.",
    "FAILED": "Pipeline failed - a task is in failed state.", "CANCELLING": "Pipeline is being cancelled.",
}  # fmt: skip


@lru_cache(maxsize=1000)
def environment_id(name: str) -> str:
    return id_of("environment", name)


def pipeline_run(
    service: Service,
    row: Mapping[str, Any],
    children: Iterable[Mapping[str, Any]] = (),
    anomalies: Iterable[Mapping[str, Any]] = (),
    data: dict[str, Any] | None = None,
) -> dict[str, Any]:
    found = {a["id"]: {"type": a["type"], "data": a["data"]} for a in anomalies if a["task_run_id"] is None}
    return {
        "id": row["id"], "pipelineId": row["pipeline_id"] or pipeline_id(row["pipeline"]), "pipelineName": row["name"],
        "accountId": service.account_id, "envId": environment_id(row["environment"]), "envName": row["environment"],
        "runStatus": row["status"], "message": row["message"] or _MESSAGES.get(row["status"], ""),
        "triggeredBy": row["triggered_by"] or [{"triggerType": _TRIGGERS.get(row["trigger"], "MANUAL")}],
        "childPipelineRuns": [
            {
                "pipelineId": child["pipeline_id"] or pipeline_id(child["pipeline"]),
                "pipelineRunId": child["id"], "pipelineName": child["name"],
            }
            for child in children
        ],
        "pipelineVersionNumber": row["version"], "branch": row["branch"], "commit": row["commit_sha"], "gitLink": None,
        **_times(row), "hasAnomalies": bool(found), "anomalies": found or None, "data": data,
    }  # fmt: skip


def task_run(service: Service, row: Mapping[str, Any], anomalies: Iterable[Mapping[str, Any]] = ()) -> dict[str, Any]:
    found = {a["id"]: {"type": a["type"], "data": a["data"]} for a in anomalies if a["task_run_id"] == row["id"]}
    own_id = id_of("attempt", row["id"], row["attempt"]) if row["superseded"] else row["id"]
    return {
        "id": own_id, "pipelineRunId": row["run_id"], "accountId": service.account_id,
        "pipelineId": row["pipeline_id"] or pipeline_id(row["pipeline"]), "taskName": row["name"], "taskId": row["task_id"],
        "integration": row["integration"], "integrationJob": row["job"], "status": row["status"], "message": row["message"],
        "externalStatus": None, "externalMessage": "simulated" if row["simulated"] else None,
        "taskParameters": row["parameters"], "runParameters": {"outputs": row["outputs"]} if row["outputs"] else {},
        "connectionId": row["connection"], "computeResourceId": None, "platformLink": None,
        "numberOfAttempts": row["attempt"], "attemptNumber": row["attempt"], "matrixParent": False, "matrixParentId": None,
        **_times(row), "dependsOn": row["depends_on"], "anomalies": found or None,
    }  # fmt: skip


def operation(service: Service, row: Mapping[str, Any], upstream: list[str]) -> dict[str, Any]:
    empty = (
        "externalDetail cost credits creditsLabel currency rawCostAmount rawCostLabel rawCostUnits rawCostIntegration "
        "finalCostAmount finalCostCurrency meta tags canRerun"
    )
    return {
        "id": row["id"], "accountId": service.account_id, "pipelineRunId": row["run_id"], "taskRunId": row["task_run_id"],
        "insertedAt": moment(row["inserted_at"] or row["ended_at"] or row["started_at"]), "operationStatus": row["status"],
        "operationType": row["type"], "externalId": row["name"], "operationName": row["name"], "message": row["message"],
        "externalStatus": row["status"].lower(), "integration": row["integration"], "integrationJob": row["job"],
        "startedAt": moment(row["started_at"]), "completedAt": moment(row["ended_at"]), "dependencies": upstream,
        "operationDuration": _seconds(row["started_at"], row["ended_at"]), "rowsAffected": row["rows"],
        "assetExternalId": row["asset"], **dict.fromkeys(empty.split()),
    }  # fmt: skip


def moment(text: str | None) -> str | None:
    """A time of the store as clients get it: microseconds and +00:00 (question 26 of section 8)."""
    return f"{text[:-1]}+00:00" if text else None


def _times(row: Mapping[str, Any]) -> dict[str, str | None]:
    created, started, ended = row["created_at"], row["started_at"], row["ended_at"]
    updated = max(created or "", started or "", ended or "", row.get("heartbeat_at") or "")
    return {
        "createdAt": moment(created or started), "updatedAt": moment(updated),
        "startedAt": moment(started), "completedAt": moment(ended),
    }  # fmt: skip


def _seconds(start: str | None, end: str | None) -> float | None:
    if not start or not end:
        return None
    return (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds()

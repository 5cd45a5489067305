"""The webhook of the workspace: events of task runs, and of the outside world (section 4 of the API reference).

A task run that has a process has a webhook of its own, in its supervisor, which owns its outputs. Events that come here are
passed on to it.
"""

from __future__ import annotations

import http.client
import json
from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID, uuid4

from fastapi import APIRouter, Body
from fastapi.responses import JSONResponse

from rehearse.api.dependencies import Authorized, ServiceHere
from rehearse.api.models import Error, Strict
from rehearse.api.service import Service
from rehearse.engine.attempt_folder import TASK, read
from rehearse.language.statuses import TERMINAL
from rehearse.store import sensor_events
from rehearse.store.records import timestamp

router = APIRouter(dependencies=[Authorized])
_FORWARD_SECONDS = 5


class Refusal(Strict):
    """The webhook's own errors; `detail` is for clients that look there."""

    success: bool
    error: str
    code: str
    detail: str


_REFUSED: dict[int | str, dict[str, Any]] = {
    status: {"model": Refusal | Error, "description": said}
    for status, said in {
        404: "No such task run", 409: "The task run has ended, or does not run yet", 413: "Too large", 422: "Not an event",
    }.items()
}  # fmt: skip


@router.post("/", responses=_REFUSED)
@router.post("/webhook", responses=_REFUSED)
def receive(service: ServiceHere, event: Annotated[Any, Body()] = None) -> JSONResponse:
    """UPDATE_STATUS, SET_OUTPUT and LOG of a task run; SENSOR_EVENT for sensors, which is kept for 7 days."""
    if not isinstance(event, dict):
        return _failed(422, "the body is not a JSON object", "INVALID_BODY")
    if event.get("event_type") == "SENSOR_EVENT":
        return _store(service, event)
    if event.get("event_type") not in ("UPDATE_STATUS", "SET_OUTPUT", "LOG"):
        return _failed(422, "event_type is one of UPDATE_STATUS, SET_OUTPUT, LOG, SENSOR_EVENT", "INVALID_EVENT")
    return _forward(service, event)


def _store(service: Service, event: dict[str, Any]) -> JSONResponse:
    kind, content = event.get("sensor_event_type"), event.get("sensor_event")
    if not isinstance(kind, str) or not kind or "\0" in kind or not isinstance(content, dict):
        return _failed(422, "sensor_event_type must be text, and sensor_event an object", "INVALID_EVENT")
    now = datetime.now(UTC)
    sensor_events.put(service.store.database, str(uuid4()), kind[:500], content, timestamp(now) or "")
    service.wake()
    return JSONResponse({"message": "Event stored"})


def _forward(service: Service, event: dict[str, Any]) -> JSONResponse:
    try:
        task_run_id = str(UUID(str(event.get("task_run_id"))))
    except ValueError:
        return _failed(422, "task_run_id must be a UUID", "INVALID_TASK_RUN_ID")
    found = service.store.find_task_run(task_run_id)
    if found is None:
        return _failed(404, "Invalid task_run_id", "TASK_NOT_FOUND")
    if found["status"] in TERMINAL:
        return _failed(409, f"the task run has ended: {found['status']}", "TASK_ENDED")
    folder = service.store.attempt_folder(task_run_id, found["attempt"])
    task = read(str(service.root / folder), TASK) if folder else None
    webhook = (task or {}).get("webhook")
    if not webhook:
        return _failed(409, "the task run does not accept events now", "TASK_NOT_RUNNING")
    body = json.dumps(event | {"task_run_id": task_run_id}).encode()
    headers = {"Authorization": f"Bearer {webhook['token']}", "Content-Type": "application/json"}
    connection = http.client.HTTPConnection("127.0.0.1", int(webhook["port"]), timeout=_FORWARD_SECONDS)
    try:
        connection.request("POST", "/", body, headers)
        answer = connection.getresponse()
        status, content = answer.status, json.loads(answer.read())
        content.setdefault("detail", content.get("error", "")) if status >= 400 else None
    except (OSError, ValueError, http.client.HTTPException):
        return _failed(409, "the task run has just ended", "TASK_ENDED")
    finally:
        connection.close()
    if status in (401, 404):  # somebody else has that port now
        return _failed(409, "the task run has just ended", "TASK_ENDED")
    return JSONResponse(content, status)


def _failed(status: int, why: str, code: str) -> JSONResponse:
    return JSONResponse({"success": False, "error": why, "code": code, "detail": why}, status)

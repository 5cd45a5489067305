"""Which alerts a run sets off, and what they say. Pure (section 1.4 of the language reference; 4.2 of the API reference)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from rehearse.errors import ExpressionError
from rehearse.language.evaluation import Scope, to_text
from rehearse.language.model import Alert, Destination, Pipeline, Sensor, TaskModel
from rehearse.language.templates import parse_template, render_template
from rehearse.store.ids import id_of, pipeline_id

ANY = "ANY_COMPLETED"
Row = Mapping[str, Any]


def of_run(pipeline: Pipeline, run: Row, tasks: Iterable[Row], scope: Scope, now: str) -> list[dict[str, Any]]:
    """Rows for the store, of a run that has ended: those of the pipeline, and of its tasks, one for each item of a matrix."""
    found = list(_messages(pipeline.alerts, run, None, scope, now))
    models: dict[str, TaskModel] = {
        task_id: task for group in pipeline.groups().values() for task_id, task in group.tasks.items() if task.alerts
    }
    for row in tasks if models else ():
        if row["task_id"] in models and not row.get("carried"):
            found += _messages(models[row["task_id"]].alerts, run, row, scope, now)
    return found


def of_sensor(
    pipeline: str, name: str, key: str, sensor: Sensor, opened: datetime, scope: Scope, now: str
) -> list[dict[str, Any]]:
    """A window that closed, and nothing was found."""
    text = f"{name}: the sensor '{sensor.name}' of {opened:%Y-%m-%d %H:%M %Z} did not pass in time"
    found = []
    for alert in sensor.alerts:
        for destination in alert.destinations:
            identity = id_of("alert", "sensor", pipeline, key, opened.isoformat(), alert.name, _where(destination))
            body = _body(alert, destination, text, "FAILED", {}, scope)
            found.append(_row(identity, None, None, alert.name, destination, body, scope, now))
    return found


def of_anomaly(
    run: Row, task: Row | None, destinations: Sequence[Destination], anomaly: Row, scope: Scope, now: str
) -> list[dict[str, Any]]:
    data = anomaly["data"]
    what = f"{run['name']}" + (f" / {task['name']}" if task else "")
    text = (
        f"{what} took {data['observed_seconds']:g} s, {'more' if 'above' in anomaly['type'] else 'less'} than "
        f"{data['threshold_seconds']:g} s, the limit from {data['compared_runs']} earlier runs"
    )
    found = []
    for destination in destinations:
        identity = id_of("alert", anomaly["id"], _where(destination))
        body = _body(None, destination, text, "WARNING", {"anomaly": dict(data)}, scope)
        found.append(
            _row(identity, run["id"], task["id"] if task else None, anomaly["type"], destination, body, scope, now)
        )
    return found


def _messages(alerts: Iterable[Alert], run: Row, task: Row | None, scope: Scope, now: str) -> Iterator[dict[str, Any]]:
    row = task or run
    for alert in alerts:
        if row["status"] not in alert.statuses and ANY not in alert.statuses:
            continue
        for destination in alert.destinations:
            identity = id_of("alert", run["id"], task["id"] if task else "", alert.name, _where(destination))
            body = _body(alert, destination, _text(run, task), row["status"], _event(run, task), scope)
            yield _row(identity, run["id"], task["id"] if task else None, alert.name, destination, body, scope, now)


def _row(
    identity: str, run_id: str | None, task_run_id: str | None, name: str, destination: Destination, body: dict[str, Any],
    scope: Scope, now: str,
) -> dict[str, Any]:  # fmt: skip
    return {
        "id": identity, "run_id": run_id, "task_run_id": task_run_id, "name": name, "integration": destination.integration,
        "destination": _filled(destination.destination, scope), "connection": _filled(destination.connection_id, scope),
        "body": body, "created_at": now,
    }  # fmt: skip


def _text(run: Row, task: Row | None) -> str:
    what = (
        f"{run['name']} / {task['name']}{'[' + task['item'] + ']' if task and task.get('item') else ''}"
        if task
        else run["name"]
    )
    row = task or run
    message = f": {row['message'].splitlines()[0][:500]}" if row["message"] else ""
    return f"{what} {row['status']} (run {run['id'][:8]}, {run['environment']}){message}"


def _event(run: Row, task: Row | None) -> dict[str, Any]:
    """The default body of a WEBHOOK."""
    row = task or run
    detail = {
        "pipeline_id": run["pipeline_id"] or pipeline_id(run["pipeline"]), "pipeline_run_id": run["id"], "status": row["status"],
        "message": row["message"], "started_at": row["started_at"], "completed_at": row["ended_at"],
    }  # fmt: skip
    if task is None:
        return {"event_type": "PIPELINE_RUN_COMPLETED", "detail": detail}
    more = {"task_id": task["task_id"], "task_name": task["name"], "task_run_id": task["id"]}
    return {"event_type": "TASK_RUN_COMPLETED", "detail": detail | more}


def _body(
    alert: Alert | None, destination: Destination, text: str, status: str, event: dict[str, Any], scope: Scope
) -> dict[str, Any]:
    """{"text", "status", "event", "parameters"}: what every sender takes its part of."""
    custom = _filled(alert.custom_message, scope) if alert else None
    parameters = destination.parameters or {}
    return {
        "text": f"{text}\n{custom}" if custom else text, "status": status, "event": event,
        "parameters": {name: _deep(value, scope) for name, value in parameters.items()},
    }  # fmt: skip


def _deep(value: Any, scope: Scope) -> Any:
    if isinstance(value, dict):
        return {key: _deep(item, scope) for key, item in value.items()}
    if isinstance(value, list):
        return [_deep(item, scope) for item in value]
    return _filled(value, scope) if isinstance(value, str) else value


def _filled(text: str | None, scope: Scope) -> str | None:
    """With its expressions filled in. One that fails stays as it is: the alert goes out all the same."""
    if text is None or "${{" not in text:
        return text
    try:
        return to_text(render_template(parse_template(text), scope))
    except ExpressionError:
        return text


def _where(destination: Destination) -> str:
    return f"{destination.integration}/{destination.destination}/{destination.connection_id}"

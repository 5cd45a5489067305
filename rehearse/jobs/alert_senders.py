"""Sending one alert where its connection leads: Slack, Teams, e-mail, PagerDuty, Datadog, a webhook.

What is not bound, or bound `local`, goes into `.rehearse/outbox.jsonl`, which shows what would be sent. PagerDuty: `token` is
the integration key. Datadog: `token` is the API key. `base_url` of both leads elsewhere than to their cloud. WEBHOOK: as HTTP
connections. EMAIL: as for AWS_SES_SEND_EMAIL.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from rehearse.bindings.config import Bindings, Connection
from rehearse.errors import BindingError
from rehearse.jobs.calls import needed
from rehearse.jobs.egress import Egress, confined
from rehearse.jobs.http_exchange import exchange
from rehearse.jobs.http_request import authentication, checked_url
from rehearse.jobs.message_senders import channel, email, put_into_outbox, send_email, send_slack, send_teams

PAGER_DUTY, DATADOG = "https://events.pagerduty.com", "https://api.datadoghq.com"
_SEVERITY = {"FAILED": "error", "WARNING": "warning", "CANCELLED": "warning"}
_KINDS = {"SLACK": "slack", "MICROSOFT_TEAMS": "teams", "EMAIL": "email"}


def send(root: Path, bindings: Bindings, alert: Mapping[str, Any], hidden: list[str]) -> tuple[bool, str]:
    """Whether it was really sent, and what happened. `alert`: a row of the store; its body has no secrets any more.

    Raises CallFailed, BindingError, JobError.
    """
    connection = bindings.connection(alert["integration"], alert["connection"] or None)
    if connection is None or connection.mode != "remote":
        shown = {
            name: alert[name] for name in ("name", "integration", "destination", "connection", "run_id", "task_run_id")
        }
        path = put_into_outbox(root, "alert", shown | {"body": alert["body"]}, hidden)
        why = "no connection is bound" if connection is None else f"the connection is {connection.mode}"
        return False, f"not sent, because {why}: see {path.parent.name}/{path.name}"
    if alert["integration"] in _KINDS:
        return True, _message(_KINDS[alert["integration"]], connection, alert)
    return True, _post(connection, alert)


def _message(kind: str, connection: Connection, alert: Mapping[str, Any]) -> str:
    how, egress, _ = channel(kind, connection)
    text = alert["body"]["text"]
    with confined(egress):
        if kind == "slack":
            return send_slack(how, {"channel": alert["destination"], "text": text}, egress)
        if kind == "teams":
            return send_teams(how, {"text": text}, egress)
        to = [alert["destination"]]
        subject = text.splitlines()[0][:200]
        made = email(how.get("sender") or "rehearse@localhost", to, [], subject, text, None)
        return send_email(how, made, to)


def _post(connection: Connection, alert: Mapping[str, Any]) -> str:
    body, text = alert["body"], alert["body"]["text"]
    headers: dict[str, str] = {}
    content: Any
    if alert["integration"] == "PAGER_DUTY":
        url = f"{_base(connection, PAGER_DUTY)}/v2/enqueue"
        content = {
            "routing_key": needed(connection, "token", "${PAGER_DUTY_KEY}"), "event_action": "trigger", "dedup_key": alert["id"],
            "payload": {
                "summary": text.splitlines()[0][:1024], "source": "orchestra", "custom_details": body["event"],
                "severity": _SEVERITY.get(body["status"], "info"),
            },
        }  # fmt: skip
    elif alert["integration"] == "DATADOG":
        url = f"{_base(connection, DATADOG)}/api/v1/events"
        headers = {"DD-API-KEY": needed(connection, "token", "${DATADOG_KEY}")}
        priority = body["parameters"].get("priority")
        content = {
            "title": text.splitlines()[0][:100], "text": text, "priority": "normal", "aggregation_key": alert["run_id"],
            "alert_type": {"FAILED": "error", "WARNING": "warning", "SUCCEEDED": "success"}.get(body["status"], "info"),
            "tags": ["source:orchestra", f"status:{body['status']}", *([f"priority:P{priority}"] if priority else [])],
        }  # fmt: skip
    elif alert["integration"] == "WEBHOOK":
        path = alert["destination"] or ""
        url = checked_url(connection, "base_url").rstrip("/") + (f"/{path.lstrip('/')}" if path else "")
        headers, _ = authentication(connection)
        content = body["parameters"].get("body") or body["event"]
    else:
        raise BindingError(f"alerts cannot be sent to {alert['integration']}")
    egress = Egress.of(connection, urlsplit(url).hostname or "")
    data = content.encode() if isinstance(content, str) else json.dumps(content).encode()
    with confined(egress):
        answer = exchange("POST", url, {"Content-Type": "application/json", **headers}, data, egress)
    if not 200 <= answer.status < 300:
        raise answer.failed(hidden=tuple(headers.values()))
    return f"sent: {answer.status}"


def _base(connection: Connection, default: str) -> str:
    return checked_url(connection, "base_url").rstrip("/") if connection.get("base_url") else default

"""SEND_SLACK_MESSAGE, SEND_MICROSOFT_TEAMS_MESSAGE (section 9.10) and AWS_SES_SEND_EMAIL.

A `local` connection sends nothing: the message goes to the log and to `.rehearse/outbox.jsonl`. A `remote` one has, for Slack,
the `url` of an incoming webhook, or a `token` (and `base_url`); for Teams the `url` of a webhook; for e-mail what SES needs (see
`aws_client`), or `host`, `port`, `user`, `password`, `security` (starttls, tls, none) of an SMTP server; and `sender`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from email.utils import getaddresses
from pathlib import Path
from typing import Any

from rehearse.bindings.config import Connection
from rehearse.errors import BindingError
from rehearse.jobs.base import Attempt, JobError, Launch
from rehearse.jobs.calls import Outcome, first, launch, parse_json, required
from rehearse.jobs.egress import Egress
from rehearse.jobs.message_senders import channel, email, put_into_outbox, send_email, send_slack, send_teams

_KINDS = {"SEND_SLACK_MESSAGE": "slack", "SEND_MICROSOFT_TEAMS_MESSAGE": "teams", "AWS_SES_SEND_EMAIL": "email"}


def prepare(job: str, parameters: Mapping[str, Any], connection: Connection | None, attempt: Attempt) -> Launch:
    connection = required(connection, job)
    kind = _KINDS[job]
    make = {"slack": _slack, "teams": _teams, "email": _email}[kind]
    if connection.mode == "local":
        message = make(job, parameters, _if_known(connection, "sender") or "rehearse@localhost")
        request = {"kind": kind, "how": None, "root": str(attempt.root), "message": message}
        hidden = [_if_known(connection, name) for name in ("url", "token", "password")]
        return launch("messages", request, None, connection, attempt, *hidden)
    how, egress, secrets = channel(kind, connection)
    message = make(job, parameters, how.get("sender"))
    return launch("messages", {"kind": kind, "how": how, "message": message}, egress, connection, attempt, *secrets)


def perform(request: dict[str, Any]) -> Outcome:
    message, how = request["message"], request["how"]
    if how is None:
        print(json.dumps(message, indent=2, ensure_ascii=False), flush=True)
        path = put_into_outbox(Path(request["root"]), request["kind"], message, request["hidden"])
        return Outcome(message=f"not sent, because the connection is local: see {path.parent.name}/{path.name}")
    if request["kind"] == "email":
        made = email(*(message[name] for name in ("from", "to", "cc", "subject", "text", "html")))
        return Outcome(message=send_email(how, made, message["to"] + message["cc"] + message["bcc"]))
    send = send_slack if request["kind"] == "slack" else send_teams
    return Outcome(message=send(how, message, Egress(**request["egress"])))


def _if_known(connection: Connection, name: str) -> str | None:
    """A field of a connection that is not used for real: nothing is amiss when a variable of it is missing."""
    try:
        return connection.get(name)
    except BindingError:
        return None


def _slack(job: str, parameters: Mapping[str, Any], sender: str | None) -> dict[str, Any]:
    message: dict[str, Any] = {"channel": str(parameters.get("channel_name") or "")}
    if not message["channel"].strip():
        raise JobError(f"{job} needs the parameter 'channel_name'")
    if parameters.get("text") is not None:
        message["text"] = str(parameters["text"])
    for name in ("blocks", "attachments"):
        value = parse_json(job, name, parameters.get(name))
        if value is not None and not isinstance(value, list):
            raise JobError(f"the parameter '{name}' of {job} must be a list", '[{"type": "section", ...}]')
        if value is not None:
            message[name] = value
    if len(message) == 1:
        raise JobError(f"{job} needs one of the parameters 'text', 'blocks' and 'attachments'", "write text: ...")
    return message


def _teams(job: str, parameters: Mapping[str, Any], sender: str | None) -> dict[str, Any]:
    content = parse_json(job, "content", parameters.get("content"))
    if not isinstance(content, Mapping) or not content:
        raise JobError(f"the parameter 'content' of {job} must be a mapping", "an adaptive card, or {text: ...}")
    return dict(content)


def _email(job: str, parameters: Mapping[str, Any], sender: str | None) -> dict[str, Any]:
    """The parameters of this job are not documented (question 21), so the likely names are understood."""
    who = first(parameters, "from", "from_address", "source", "sender") or sender
    if not who:
        raise JobError(
            f"{job} has no sender", "give the connection a 'sender', or the task the parameter 'from_address'"
        )
    message: dict[str, Any] = {"from": str(who)}
    message["to"] = _addresses(first(parameters, "to", "to_addresses", "recipients", "destination"))
    message["cc"] = _addresses(first(parameters, "cc", "cc_addresses"))
    message["bcc"] = _addresses(first(parameters, "bcc", "bcc_addresses"))
    if not message["to"]:
        raise JobError(f"{job} has no recipient", "give it the parameter 'to_addresses', a list")
    message["subject"] = str(parameters.get("subject") or "")
    message["text"] = first(parameters, "body", "text", "body_text", "message")
    message["html"] = first(parameters, "html", "body_html")
    if message["text"] is None and message["html"] is None:
        raise JobError(f"{job} has nothing to say", "give it the parameter 'body' or 'body_html'")
    for name in ("text", "html"):
        message[name] = None if message[name] is None else str(message[name])
    try:
        email(*(message[name] for name in ("from", "to", "cc", "subject", "text", "html"))).as_bytes()
    except (ValueError, LookupError) as e:
        raise JobError(f"{job}: this is no e-mail: {e}", "addresses and subject are one line each") from e
    return message


def _addresses(value: Any) -> list[str]:
    """A list, or a text with commas. Raises JobError for what is no address."""
    entries = value if isinstance(value, list) else [] if value is None else [value]
    found = []
    for text in map(str, entries):
        if not text.isprintable():
            raise JobError(f"{text!r:.100} is no e-mail address: it has more than one line")
        for _, address in getaddresses([text]):
            if address.count("@") != 1 or any(map(str.isspace, address)):
                raise JobError(f"{text!r:.100} is no e-mail address")
            found.append(address)
    return found

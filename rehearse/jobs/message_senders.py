"""Sending one message: Slack, Microsoft Teams, e-mail by SMTP or SES, and the outbox that stands for all of them.

Each takes what to say and a channel: what is known of the connection (see `channel`). They raise CallFailed, and are run where
`egress` lets them: in a task's own process, or inside `egress.confined`.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable, Mapping
from email.message import EmailMessage
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from rehearse.bindings.config import Connection
from rehearse.errors import BindingError
from rehearse.jobs import aws_client
from rehearse.jobs.calls import CallFailed, excerpt, hide, needed
from rehearse.jobs.egress import Egress
from rehearse.jobs.http_exchange import Answer, exchange
from rehearse.jobs.http_request import checked_url

SLACK_API = "https://slack.com/api"
_SECURITY = ("starttls", "tls", "none")
_SMTP_SECONDS = 20
_SLACK_ADVICE = {
    "not_in_channel": "invite the app into the channel: /invite @app",
    "channel_not_found": "is it spelt as in Slack? private channels need the app invited",
    "invalid_auth": "the token is not, or no longer, valid",
    "missing_scope": "the app needs the scope chat:write",
}


def channel(kind: str, connection: Connection) -> tuple[dict[str, Any], Egress, tuple[str | None, ...]]:
    """What a sender needs to know of a remote connection, where it may connect, and what must not be seen of it.

    `kind`: slack, teams or email. Raises BindingError, and JobError without a client library.
    """
    if kind == "email" and not connection.get("host"):
        how, egress = aws_client.access(connection)
        return (
            how | {"kind": "ses", "sender": connection.get("sender")},
            egress,
            _values(how, *aws_client.SECRET_FIELDS),
        )
    if kind == "email":
        return _smtp_channel(connection)
    if kind == "slack" and not connection.get("url"):
        token = needed(connection, "token", "${SLACK_TOKEN}")
        base = checked_url(connection, "base_url") if connection.get("base_url") else SLACK_API
        how = {"kind": "slack", "base_url": base.rstrip("/"), "token": token}
        return how, Egress.of(connection, urlsplit(base).hostname or ""), (token,)
    url = checked_url(connection, "url", with_query=True)
    return {"kind": kind, "url": url}, Egress.of(connection, urlsplit(url).hostname or ""), (url, _path(url))


def send_slack(how: Mapping[str, Any], message: Mapping[str, Any], egress: Egress) -> str:
    """`message`: channel, and text, blocks or attachments, as chat.postMessage has them. Returns what happened.

    An incoming webhook posts to the channel that it was made for, whatever the message says.
    """
    if "url" in how:
        answer = _post(how["url"], {}, {k: v for k, v in message.items() if k != "channel"}, egress)
        return f"sent to the webhook's channel: {excerpt(answer.text, 20)}"
    headers = {"Authorization": f"Bearer {how['token']}"}
    answer = _post(f"{how['base_url']}/chat.postMessage", headers, message, egress)
    try:
        said = answer.value()
        is_ok, error = bool(said["ok"]), str(said.get("error"))
    except (ValueError, RecursionError, TypeError, KeyError):
        raise answer.failed(", which is not what Slack says", (how["token"],)) from None
    if not is_ok:
        raise CallFailed(f"Slack did not post to {message['channel']}: {excerpt(error)}", _SLACK_ADVICE.get(error))
    return f"sent to {message['channel']}"


def send_teams(how: Mapping[str, Any], content: Mapping[str, Any], egress: Egress) -> str:
    """`content`: an adaptive card, {"text": ...}, or a whole message. Returns what happened."""
    _post(how["url"], {}, teams_message(content), egress, failure="failed with error")  # said with status 200
    return "sent to the webhook's channel"


def teams_message(content: Mapping[str, Any]) -> dict[str, Any]:
    """What a Teams webhook takes: a message with a card in it. Workflows, unlike the older connectors, take nothing else."""
    if content.get("type") == "message" or "@type" in content:
        return dict(content)
    card: Mapping[str, Any] = content
    if content.get("type") != "AdaptiveCard":
        line = {"type": "TextBlock", "text": str(content.get("text", "")), "wrap": True}
        card = {"type": "AdaptiveCard", "version": "1.4", "body": [line]}
    kind = "application/vnd.microsoft.card.adaptive"
    return {"type": "message", "attachments": [{"contentType": kind, "content": dict(card)}]}


def email(sender: str, to: list[str], cc: list[str], subject: str, text: str | None, html: str | None) -> EmailMessage:
    """Raises ValueError for a line break in a header, which would bring others with it."""
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = sender, ", ".join(to), subject
    if cc:
        message["Cc"] = ", ".join(cc)
    message.set_content(text if text is not None or html is not None else "")
    if html is not None:
        if text is None:
            message.set_content(html, subtype="html")
        else:
            message.add_alternative(html, subtype="html")
    return message


def send_email(how: Mapping[str, Any], message: EmailMessage, recipients: list[str]) -> str:
    """By SMTP or SES, as the connection says. Returns what happened."""
    if how["kind"] == "ses":
        try:
            ses = aws_client.client("ses", dict(how), attempts=1)
            answer = ses.send_raw_email(Destinations=recipients, RawMessage={"Data": message.as_bytes()})
        except Exception as e:  # of botocore, urllib3 and sockets
            raise aws_client.failure("SES did not send the e-mail", e) from e
        return f"sent to {len(recipients)} recipient(s): {answer['MessageId']}"
    return _send_smtp(how, message, recipients)


def put_into_outbox(root: Path, kind: str, message: Mapping[str, Any], hidden: Iterable[str] = ()) -> Path:
    """Append what would be sent to `.rehearse/outbox.jsonl` as one line, without secrets. Returns the file."""
    path = root / ".rehearse" / "outbox.jsonl"
    path.parent.mkdir(exist_ok=True)
    at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    line = hide(json.dumps({"at": at, "kind": kind, "message": message}, ensure_ascii=False), hidden)
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        os.write(file, line.encode() + b"\n")  # at once, so that lines of several tasks do not mix
    finally:
        os.close(file)
    return path


def _post(
    url: str, headers: dict[str, str], body: Mapping[str, Any], egress: Egress, failure: str | None = None
) -> Answer:
    """Raises CallFailed for any status but 2xx, for HTML, and when `failure` stands in the answer. The path of a webhook (it
    has no headers) is its secret, so it is never shown."""
    sent = {"Content-Type": "application/json; charset=utf-8", **headers}
    try:
        answer = exchange("POST", url, sent, json.dumps(body).encode(), egress)
        is_page = answer.text.lstrip().startswith("<")  # of a proxy that wants us to sign in, say
        if is_page or not 200 <= answer.status < 300 or (failure and failure in answer.text):
            why = ", which is a page for people" if is_page else ""
            raise answer.failed(why, hidden=(url, *headers.values()))
    except CallFailed as e:
        is_secret = not headers and len(_path(url)) > 1
        raise CallFailed(str(e).replace(_path(url), "/...") if is_secret else str(e), e.hint) from e.__cause__
    return answer


def _path(url: str) -> str:
    parts = urlsplit(url)
    return parts.path + (f"?{parts.query}" if parts.query else "")


def _values(how: Mapping[str, Any], *names: str) -> tuple[str | None, ...]:
    return tuple(how[name] for name in names)


def _smtp_channel(connection: Connection) -> tuple[dict[str, Any], Egress, tuple[str | None, ...]]:
    security = (connection.get("security") or "starttls").lower()
    if security not in _SECURITY:
        raise BindingError(
            f"connection '{connection.id}': security '{security}' is not known", f"one of {', '.join(_SECURITY)}"
        )
    host, port = needed(connection, "host", "smtp.example.com"), connection.get("port")
    if port is not None and not (port.isascii() and port.isdecimal() and 0 < int(port) < 65536):
        raise BindingError(f"connection '{connection.id}': port '{port}' is no port")
    user, password = connection.get("user"), connection.get("password")
    if password and security == "none" and host not in ("localhost", "127.0.0.1", "::1"):
        raise BindingError(
            f"connection '{connection.id}' would send its password in the clear", 'security = "starttls" or "tls"'
        )
    default = {"starttls": 587, "tls": 465, "none": 25}[security]
    how = {
        "kind": "smtp",
        "host": host,
        "port": int(port or default),
        "security": security,
        "user": user,
        "password": password,
        "sender": connection.get("sender") or user,
    }
    return how, Egress.of(connection, host), (password,)


def _send_smtp(how: Mapping[str, Any], message: EmailMessage, recipients: list[str]) -> str:
    import smtplib
    import ssl

    where = f"{how['host']}:{how['port']}"
    try:
        if how["security"] == "tls":
            context = ssl.create_default_context()
            smtp: smtplib.SMTP = smtplib.SMTP_SSL(how["host"], how["port"], timeout=_SMTP_SECONDS, context=context)
        else:
            smtp = smtplib.SMTP(how["host"], how["port"], timeout=_SMTP_SECONDS)
        with smtp:
            if how["security"] == "starttls":
                smtp.starttls(context=ssl.create_default_context())
            if how["password"]:
                smtp.login(how["user"] or "", how["password"])
            refused = smtp.send_message(message, to_addrs=recipients)
    except (OSError, smtplib.SMTPException) as e:
        raise CallFailed(f"{where}: {type(e).__name__}: {' '.join(str(e).split())}") from e
    if refused:
        raise CallFailed(f"{where} took the e-mail, but not for {', '.join(sorted(refused))}")
    return f"sent to {len(recipients)} recipient(s) by {where}"

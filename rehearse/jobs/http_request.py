"""HTTP_REQUEST and HTTP_REQUEST_ASYNC (section 9.9).

Connection: `base_url`; `auth_type` NONE, BASIC (`user`, `password`), BEARER (`token`) or HEADER (`header_name`,
`header_value`); `allow_private`. Without `auth_type` it follows from the fields.
"""

from __future__ import annotations

import json
import os
import re
import time
from base64 import b64encode
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from rehearse.bindings.config import Connection
from rehearse.errors import BindingError
from rehearse.jobs.base import Attempt, JobError, Launch
from rehearse.jobs.calls import Outcome, excerpt, fitting, launch, needed, parse_json, required
from rehearse.jobs.egress import Egress
from rehearse.jobs.http_exchange import SECONDS, Answer, exchange, shown_url

_METHODS = ("GET", "POST", "PUT")
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
# What the connection itself needs, or what tells where one message ends and the next begins.
_OURS = {"host", "content-length", "transfer-encoding", "connection", "keep-alive", "te", "trailer", "upgrade", "expect",
         "proxy-authorization", "orchestra_task_run_id", "orchestra_webhook_url"}  # fmt: skip
_FIRST_POLL, _POLL = 0.01, 0.1


def prepare(job: str, parameters: Mapping[str, Any], connection: Connection | None, attempt: Attempt) -> Launch:
    connection = required(connection, job)
    base_url = checked_url(connection, "base_url")
    method = str(parameters.get("method"))
    if method not in _METHODS:
        raise JobError(f"the method {method!r} is none of {', '.join(_METHODS)}")
    body = parameters.get("body")
    if body is None and method != "GET":
        raise JobError(f"{job} needs a body when the method is {method}", "write '{}' if there is nothing to send")
    if body is not None:
        parse_json(job, "body", body)
    custom = _custom_headers(job, parameters.get("custom_headers"))
    own, hidden = authentication(connection)
    headers = _merged({"Content-Type": "application/json"} if body is not None else {}, own, custom)
    is_async = job == "HTTP_REQUEST_ASYNC"
    if is_async:
        headers["orchestra_task_run_id"] = attempt.task_run_id
    request = {
        "method": method,
        "url": join(base_url, str(parameters.get("path") or "")),
        "headers": headers,
        "body": body if body is None or isinstance(body, str) else json.dumps(body),
        "seconds": SECONDS,
        "set_outputs": bool(parameters.get("set_outputs")),
        "events": str(attempt.folder / "events.jsonl") if is_async else None,
    }
    host = urlsplit(base_url).hostname or ""
    return launch("http_request", request, Egress.of(connection, host), connection, attempt, *hidden)


def perform(request: dict[str, Any]) -> Outcome:
    headers = dict(request["headers"])
    if request["events"] and "ORCHESTRA_WEBHOOK_URL" in os.environ:
        headers["orchestra_webhook_url"] = os.environ["ORCHESTRA_WEBHOOK_URL"]
    print(f"{request['method']} {shown_url(request['url'])}", flush=True)
    body = request["body"].encode() if request["body"] is not None else None
    egress = Egress(**request["egress"])
    answer = exchange(request["method"], request["url"], headers, body, egress, request["seconds"])
    if not 200 <= answer.status < 300:
        raise answer.failed(hidden=tuple(request["hidden"]))
    print(f"{answer.status}, {len(answer.body):,} bytes", flush=True)
    outputs = {}
    value = _value(answer, tuple(request["hidden"]))
    if request["set_outputs"]:
        outputs = {"status_code": answer.status} | fitting("response_body", value, "the answer")
    if request["events"]:
        status, message = _final_status(Path(request["events"]))
        return Outcome(status, message, outputs)
    return Outcome(outputs=outputs)


def join(base_url: str, path: str) -> str:
    """The path appended to the base URL. Raises JobError for one that could lead anywhere else.

    A `#` is a character like others: what comes after it would not be sent.
    """
    if _CONTROL.search(path):
        raise JobError(f"the path has a line break or another control character: {path!r:.200}")
    before_query = path.partition("?")[0]
    if any(unquote(part) in (".", "..") for part in re.split(r"[/\\]", unquote(before_query))):
        raise JobError(f"the path has a '.' or '..' in it, and leads out of base_url: {path:.200}")
    if path and not path.startswith(("/", "?")):
        path = f"/{path}"  # or it would go on with the name of the host
    return base_url.rstrip("/") + path.replace("#", "%23") if path else base_url


def checked_url(connection: Connection, name: str, *, with_query: bool = False) -> str:
    """A URL of the connection. Raises BindingError for another scheme, or what does not belong into it."""
    url = needed(connection, name, "https://api.example.com/v1")
    where = f"'{name}' of connection '{connection.id}'"
    try:
        parts = urlsplit(url)
        fits = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        fits = False
    if not fits or _CONTROL.search(url) or " " in url:
        raise BindingError(f"{where} is no URL of http or https", f'for example: {name} = "https://api.example.com/v1"')
    if parts.username is not None:
        raise BindingError(f"{where} has a user in it", "use auth_type, user and password")
    if parts.fragment or (parts.query and not with_query):
        raise BindingError(f"{where} has a '?' or '#' in it", "the query belongs to the path of the task")
    return url


def _custom_headers(job: str, text: Any) -> dict[str, str]:
    """Raises JobError for what is no header: nothing may bring a second header, or a second request, with it."""
    given = parse_json(job, "custom_headers", text) if text not in (None, "") else {}
    if not isinstance(given, dict):
        raise JobError("custom_headers must be a JSON object of texts", '{"X-Reason": "load"}')
    headers = {}
    for name, value in given.items():
        if isinstance(value, bool):
            value = "true" if value else "false"
        if not isinstance(value, (str, int, float)):
            raise JobError(f"the header {name!r:.50} of custom_headers must be a text")
        headers[name] = _header("custom_headers", name, str(value))
    return headers


def _header(where: str, name: str, value: str) -> str:
    if not _TOKEN.fullmatch(name):
        raise JobError(f"{where}: {name!r:.100} cannot be the name of a header")
    if name.lower() in _OURS:
        raise JobError(f"{where}: the header {name} is set by rehearse itself")
    if _CONTROL.search(value) or value != value.strip():
        raise JobError(f"{where}: the header {name} has a line break, or a blank at an end")
    return value


def authentication(connection: Connection) -> tuple[dict[str, str], list[str]]:
    """The header that the connection adds, and what must not be seen of it."""
    kind = (connection.get("auth_type") or _implied_auth(connection)).upper()
    if kind == "NONE":
        return {}, []
    if kind == "BASIC":
        password = connection.get("password") or ""
        pair = b64encode(f"{needed(connection, 'user', 'loader')}:{password}".encode()).decode()
        return {"Authorization": f"Basic {pair}"}, [password, pair]
    if kind == "BEARER":
        token = needed(connection, "token", "${API_TOKEN}")
        return {"Authorization": f"Bearer {_header('token', 'Authorization', token)}"}, [token]
    if kind == "HEADER":
        name, value = needed(connection, "header_name", "X-Api-Key"), needed(connection, "header_value", "${API_KEY}")
        return {name: _header("header_value", name, value)}, [value]
    raise BindingError(
        f"connection '{connection.id}': auth_type '{kind}' is not known", "one of NONE, BASIC, BEARER, HEADER"
    )


def _implied_auth(connection: Connection) -> str:
    for field, kind in (("header_name", "HEADER"), ("token", "BEARER"), ("user", "BASIC")):
        if connection.get(field):
            return kind
    return "NONE"


def _merged(*layers: dict[str, str]) -> dict[str, str]:
    """Later layers win, whatever the case of the names."""
    found: dict[str, tuple[str, str]] = {}
    for layer in layers:
        found |= {name.lower(): (name, value) for name, value in layer.items()}
    return dict(found.values())


def _value(answer: Answer, hidden: tuple[str, ...]) -> Any:
    """Parsed JSON, else the text. Raises CallFailed for an answer that says that it is JSON and is not."""
    try:
        return answer.value()
    except (ValueError, RecursionError):
        if answer.says_json and answer.body:
            raise answer.failed(", and says that it is JSON, which it is not", hidden) from None
        return answer.text


def _final_status(path: Path) -> tuple[str, str | None]:
    """Wait, without an end, until the receiver has reported a final status; the supervisor writes down what it gets."""
    print("waiting for UPDATE_STATUS", flush=True)
    for event in _events(path):
        if event.get("event_type") != "UPDATE_STATUS":
            continue
        status, message = str(event.get("status")), event.get("message") or None
        if status != "RUNNING":
            return status, message
        print(f"RUNNING: {excerpt(message)}" if message else "RUNNING", flush=True)
    raise AssertionError("events do not end")


def _events(path: Path) -> Iterator[dict[str, Any]]:
    """The events of a file that grows, one JSON object a line."""
    read, held, pause = 0, b"", _FIRST_POLL
    while True:
        try:
            size = path.stat().st_size
        except FileNotFoundError:
            size = 0
        if size > read:
            with path.open("rb") as file:
                file.seek(read)
                data = file.read()
            read += len(data)
            *lines, held = (held + data).split(b"\n")
            for line in filter(None, lines):
                yield json.loads(line)
        time.sleep(pause)
        pause = min(_POLL, 2 * pause)

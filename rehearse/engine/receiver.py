"""The webhook of one task: what `orchestra-sdk` and curl post to, as on the platform. Runs inside the task's supervisor.

Events: SET_OUTPUT, UPDATE_STATUS, LOG (section 9.4 of the language reference). Loopback only; the token is the task's own.
It outlives the engine, as its task does. Only the standard library.
"""

from __future__ import annotations

import hmac
import json
import os
import re
import socket
import threading
from typing import Any

from rehearse.engine.attempt_folder import EVENTS
from rehearse.engine.masking import Masker

OUTPUTS_LIMIT = 5_000_000
"""Bytes of JSON, of all outputs of a run (section 9.1)."""
LOG_LIMIT = 20_000_000
ADVICE = "the outputs of a run may have 5 MB; put the data into a file and pass its path"
_OUTPUT_NAME = re.compile(r"[A-Za-z0-9_-]{1,200}")
_STATUSES = ("RUNNING", "SUCCEEDED", "WARNING", "FAILED", "CANCELLED")


class Mailbox:
    """What a task said of itself so far. `size_limit`: bytes of JSON that its outputs may have together."""

    def __init__(self, folder: str, task_run_id: str, token: str, masker: Masker, size_limit: int = OUTPUTS_LIMIT):
        self.outputs: dict[str, Any] = {}
        self.operations: list[dict[str, Any]] = []
        self.status: str | None = None
        self.message: str | None = None
        self.rejected: str | None = None  # why an output was not kept
        self.token = token
        self._folder = folder
        self._task_run_id = task_run_id
        self._masker = masker
        self._limit = size_limit
        self._sizes: dict[str, int] = {}
        self._lock = threading.Lock()
        self._closed = False

    def post(self, event: Any) -> tuple[int, dict[str, Any]]:
        """One event of the webhook: HTTP status and answer."""
        if not isinstance(event, dict):
            return 422, _error("the body is not a JSON object", "INVALID_BODY")
        if str(event.get("task_run_id")).lower() != self._task_run_id:
            return 404, _error(f"no task is running with the id {event.get('task_run_id')}", "TASK_NOT_FOUND")
        kind = event.get("event_type")
        with self._lock:
            if self._closed:
                return 409, _error("the task has ended", "TASK_ENDED")
            if kind == "SET_OUTPUT":
                problem = self._set_output(event)
            elif kind == "UPDATE_STATUS":
                problem = self._update_status(event)
            elif kind == "LOG":
                problem = self._log(event)
            else:
                problem = 422, _error(f"unknown event_type {kind!r:.50}", "INVALID_EVENT")
        answer = {"success": True, "message": "Event processed", "task_run_id": self._task_run_id}
        return problem or (200, answer)

    def say(self, said: dict[str, Any]) -> None:
        """A line of the task's own program (`jobs.report`)."""
        with self._lock:
            self.status = said.get("status") or self.status
            if said.get("message"):
                self.message = self._masker.text(str(said["message"]))
            for name, value in (said.get("outputs") or {}).items():
                self._keep(str(name), self._masker.value(value))
            self.operations += self._masker.value(said.get("operations") or [])

    def close(self) -> None:
        with self._lock:
            self._closed = True

    def _set_output(self, event: dict[str, Any]) -> tuple[int, dict[str, Any]] | None:
        name = str(event.get("output_name"))
        if not _OUTPUT_NAME.fullmatch(name):
            return 422, _error("an output name has letters, digits, '_' and '-', at most 200", "INVALID_OUTPUT_NAME")
        value = self._masker.value(event.get("output_value"))
        if not self._keep(name, value):
            return 413, _error(ADVICE, "TOO_LARGE")
        self._append({"event_type": "SET_OUTPUT", "output_name": name, "output_value": value})
        return None

    def _keep(self, name: str, value: Any) -> bool:
        folded = name.lower()
        size = len(json.dumps(value, default=str))
        if sum(self._sizes.values()) - self._sizes.get(folded, 0) + size > self._limit:
            self.rejected = f"output '{name[:80]}' is too large: {ADVICE}"
            return False
        for known in [known for known in self.outputs if known.lower() == folded and known != name]:
            del self.outputs[known]  # names are matched whatever their case, and the last value wins
        self._sizes[folded] = size
        self.outputs[name] = value
        return True

    def _update_status(self, event: dict[str, Any]) -> tuple[int, dict[str, Any]] | None:
        status = event.get("status")
        if status not in _STATUSES:
            return 422, _error(f"status is one of {', '.join(_STATUSES)}", "INVALID_STATUS")
        message = self._masker.text(str(event.get("message") or "")) or None
        if status != "RUNNING":
            self.status, self.message = status, message or self.message
        self._append({"event_type": "UPDATE_STATUS", "status": status, "message": message})
        return None

    def _log(self, event: dict[str, Any]) -> tuple[int, dict[str, Any]] | None:
        """A whole log file in one call, kept beside the log of the task."""
        data = self._masker.text(str(event.get("data") or ""))
        if len(data) > LOG_LIMIT:
            return 413, _error("a log may have 20 MB; print it instead", "TOO_LARGE")
        safe = re.sub(r"[^\w.-]+|^\.+", "_", str(event.get("log_name") or "log"))[:80]
        folder = os.path.join(self._folder, "logs")
        os.makedirs(folder, exist_ok=True)
        with open(os.path.join(folder, safe), "w", encoding="utf-8", errors="replace") as file:
            file.write(data)
        return None

    def _append(self, event: dict[str, Any]) -> None:
        try:
            with open(os.path.join(self._folder, EVENTS), "a", encoding="utf-8") as file:
                file.write(json.dumps(event) + "\n")
        except OSError:
            pass  # a full disk: what counts is in memory, and in exit.json at the end


def listen() -> socket.socket:
    """A socket on loopback; `getsockname()[1]` is its port."""
    server = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    server.bind(("127.0.0.1", 0))
    server.listen(64)
    return server


def serve(connection: socket.socket, mailbox: Mailbox) -> None:
    """Answer the requests of one connection, in a thread of their own."""
    threading.Thread(target=_serve, args=(connection, mailbox), daemon=True).start()


def _serve(connection: socket.socket, mailbox: Mailbox) -> None:
    from http.server import BaseHTTPRequestHandler  # 40 ms that a task without outputs need not pay

    class Handler(BaseHTTPRequestHandler):
        timeout = 30

        def do_POST(self) -> None:
            expected = f"Bearer {mailbox.token}"
            if not hmac.compare_digest(self.headers.get("Authorization", "").encode(), expected.encode()):
                self._answer(401, {"detail": "Unauthorized"})
                return
            text = self.headers.get("Content-Length") or "0"
            if not (text.isascii() and text.isdecimal()):
                self._answer(400, _error("Content-Length is not a number", "INVALID_BODY"))
                return
            length, limit = int(text), LOG_LIMIT + 1_000_000
            if length > limit:
                self._discard(length)
                self._answer(413, _error(ADVICE, "TOO_LARGE"))
                return
            try:
                event = json.loads(self.rfile.read(length))
            except (ValueError, RecursionError):
                event = None
            self._answer(*mailbox.post(event))

        def _discard(self, length: int) -> None:
            """Read a body that is too large, within reason, so that its sender gets to read our answer."""
            left = min(length, 20 * OUTPUTS_LIMIT)
            while left > 0 and (chunk := self.rfile.read(min(left, 65536))):
                left -= len(chunk)

        def _answer(self, status: int, body: dict[str, Any]) -> None:
            data = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: Any) -> None:
            pass  # the engine reports what matters

    try:
        with connection:
            Handler(connection, ("127.0.0.1", 0), None)  # type: ignore[arg-type]
    except OSError:
        pass  # a client that goes away is no news


def _error(message: str, code: str) -> dict[str, Any]:
    return {"success": False, "error": message, "code": code}

"""The endpoint to which a running task posts its outputs, as `orchestra-sdk` and curl do on the platform.

Events: SET_OUTPUT, UPDATE_STATUS, LOG (section 9.4 of the language reference). Loopback only; the token is the run's own.
"""

from __future__ import annotations

import hmac
import json
import re
import secrets
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

MAX_BODY = 5_000_000
_OUTPUT_NAME = re.compile(r"[A-Za-z0-9_-]+")

Event = dict[str, Any]


class Webhook:
    """A server for one run. `handle(event)` is called in a server thread; it returns an error text or None."""

    def __init__(self, handle: Callable[[Event], str | None]):
        self.token = secrets.token_urlsafe(32)
        self._server = _Server(("127.0.0.1", 0), _handler(self.token, handle))
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        pass  # a client that goes away is no news


def _handler(token: str, handle: Callable[[Event], str | None]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = 30

        def do_POST(self) -> None:
            expected = f"Bearer {token}"
            if not hmac.compare_digest(self.headers.get("Authorization", "").encode(), expected.encode()):
                self._answer(401, {"detail": "Unauthorized"})
                return
            text = self.headers.get("Content-Length") or "0"
            if not text.isdecimal():
                self._answer(400, _error("Content-Length is not a number", "INVALID_BODY"))
                return
            length = int(text)
            if length > MAX_BODY:
                self._discard(length)
                self._answer(
                    413, _error("an output may have 5 MB; put the data into a file and pass its path", "TOO_LARGE")
                )
                return
            try:
                event = json.loads(self.rfile.read(length))
            except ValueError:
                event = None
            if not isinstance(event, dict):
                self._answer(422, _error("the body is not a JSON object", "INVALID_BODY"))
                return
            if event.get("event_type") == "SET_OUTPUT" and not _OUTPUT_NAME.fullmatch(str(event.get("output_name"))):
                self._answer(422, _error("an output name has letters, digits, '_' and '-'", "INVALID_OUTPUT_NAME"))
                return
            problem = handle(event)
            if problem:
                self._answer(404, _error(problem, "TASK_NOT_FOUND"))
            else:
                self._answer(
                    200, {"success": True, "message": "Event processed", "task_run_id": event.get("task_run_id")}
                )

        def _discard(self, length: int) -> None:
            """Read a body that is too large, within reason, so that its sender gets to read our answer."""
            left = min(length, 20 * MAX_BODY)
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

    return Handler


def _error(message: str, code: str) -> dict[str, Any]:
    return {"success": False, "error": message, "code": code}

"""Before any route: who may talk to us at all, and the switches for tests of clients (security rules 10 to 12)."""

from __future__ import annotations

import asyncio
import re
import time
from collections import deque
from fnmatch import fnmatchcase
from ipaddress import ip_address
from typing import Any

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from rehearse.api.service import Service

_PORT = re.compile(r":\d+$")
_MOST_KEYS = 1000


class Guard:
    """An ASGI middleware. A page of another site can reach 127.0.0.1: Host stops rebinding, Origin stops its writes."""

    def __init__(self, app: ASGIApp, service: Service):
        self._app = app
        self._service = service
        self._limiter = _Limiter(service.switches.rate)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        refusal = self._refuse(scope, headers)
        if self._service.switches.latency:
            await asyncio.sleep(self._service.switches.latency)
        await (refusal or self._app)(scope, receive, send)

    def _refuse(self, scope: Scope, headers: dict[str, str]) -> JSONResponse | None:
        host = _PORT.sub("", headers.get("host", "")).lower()
        if host not in self._service.hosts and not (self._service.exposed and _is_address(host)):
            return _answer(403, "Forbidden: this server does not go by that name")
        if scope["method"] not in ("GET", "HEAD", "OPTIONS"):
            origin = headers.get("origin")
            if origin not in (None, f"{scope['scheme']}://{headers.get('host')}"):
                return _answer(403, "Forbidden: a page of another site may not write here")
            if headers.get("sec-fetch-site") not in (None, "same-origin", "none"):
                return _answer(403, "Forbidden: a page of another site may not write here")
            kind = headers.get("content-type", "").split(";")[0].strip().lower()
            has_body = headers.get("content-length", "0") != "0" or "transfer-encoding" in headers
            if has_body and kind != "application/json" and not kind.endswith("+json"):
                return _answer(415, "Send JSON: content-type application/json")
        for method, pattern, status in self._service.switches.forced:
            if method in ("*", scope["method"]) and fnmatchcase(scope["path"], pattern):
                extra = {"Retry-After": "1"} if status in (429, 503) else {}
                return _answer(status, f"forced by --force {method} {pattern} {status}", extra)
        seconds = self._limiter.refuse(headers.get("authorization", ""))
        if seconds:
            return _answer(429, "Too many requests", {"Retry-After": str(seconds)})
        return None


class _Limiter:
    """At most `rate` requests per minute and key, counted over a sliding minute."""

    def __init__(self, rate: int):
        self._rate = rate
        self._seen: dict[str, deque[float]] = {}

    def refuse(self, key: str) -> int:
        """0, or after how many seconds to come again."""
        if not self._rate:
            return 0
        now = time.monotonic()
        if len(self._seen) > _MOST_KEYS:  # somebody makes them up
            self._seen.clear()
        seen = self._seen.setdefault(key, deque())
        while seen and seen[0] <= now - 60:
            seen.popleft()
        if len(seen) < self._rate:
            seen.append(now)
            return 0
        return max(1, int(seen[0] + 60 - now + 0.999))


def _is_address(host: str) -> bool:
    """A name could be anybody's and lead here; an address leads where it says."""
    try:
        ip_address(host.strip("[]"))
    except ValueError:
        return False
    return True


def _answer(status: int, detail: str, headers: dict[str, str] | None = None) -> JSONResponse:
    return JSONResponse({"detail": detail}, status, headers)


def add_guard(app: Any, service: Service) -> None:
    app.add_middleware(Guard, service=service)

"""A server whose answers go wrong in every way that the first part of a path names: `/status/503`, `/drip`, `/bomb`."""

from __future__ import annotations

import gzip
import json
import time
from http.server import BaseHTTPRequestHandler

import network_harness as net


def respond(handler: BaseHTTPRequestHandler, request: net.Request) -> None:
    route, _, rest = request.path.partition("?")[0].lstrip("/").partition("/")
    if route == "json":
        net.answer(handler, 200, '{"rows": [1, 2], "name": "é"}', Content_Type="application/json")
    elif route == "nan":
        net.answer(handler, 200, '{"rate": NaN, "top": [Infinity]}', Content_Type="application/json")
    elif route == "text":
        net.answer(handler, 201, "für".encode("latin-1"), Content_Type="text/plain; charset=latin-1")
    elif route == "status":
        net.answer(handler, int(rest), "no\x1b[31m way <b>" + "x" * 500, Retry_After="7")
    elif route == "echo":
        net.answer(handler, 500, json.dumps(request.headers), Content_Type="application/json")
    elif route == "html":
        net.answer(handler, 200, "<html><h1>Sign in</h1>", Content_Type="application/json; charset=utf-8")
    elif route == "gzip":
        data = b'"' + b"a" * 100_000 + b'"'
        net.answer(handler, 200, gzip.compress(data[:50]) + gzip.compress(data[50:]), Content_Encoding="gzip")
    elif route == "truncated":
        net.answer(handler, 200, gzip.compress(b'{"rows": 1}' * 1000)[:-20], Content_Encoding="gzip")
    elif route == "short":
        net.answer(handler, 200, "half", Content_Length="100")
        handler.close_connection = True
    elif route == "bomb":
        net.answer(handler, 200, gzip.compress(b"\0" * 200_000_000, 1), Content_Encoding="gzip")
    elif route == "brotli":
        net.answer(handler, 200, b"\x0b\x02", Content_Encoding="br")
    elif route == "big":
        net.answer(handler, 200, json.dumps("x" * int(rest)))
    elif route == "redirect":
        handler.send_response(int(rest or 302))
        handler.send_header("Location", request.path.partition("?to=")[2])
        handler.end_headers()
    elif route == "loop":
        handler.send_response(302)
        handler.send_header("Location", f"/loop/{int(rest or 0) + 1}")
        handler.end_headers()
    elif route == "drip":
        handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
        while True:
            handler.wfile.write(b"X-A: b\r\n")
            handler.wfile.flush()
            time.sleep(0.02)
    else:
        net.answer(handler, 200, "{}")

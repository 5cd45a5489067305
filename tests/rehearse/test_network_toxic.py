"""Fault 17 for the clients that are libraries (boto3, Azure's, smtplib) and for messages: a server that fails in one way."""

from __future__ import annotations

import gzip
import socketserver
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import network_harness as net
import pytest

from rehearse.bindings.config import load_bindings
from rehearse.language.model import SensorCheck
from rehearse.triggers.checks import look

SECRET = "swordfish-17"
REMOTE = {"mode": "remote", "allow_private": True}
KEYS = {"access_key_id": "swordfish-id", "secret_access_key": SECRET, "region": "us-east-1"}
MAIL = {"to": "amy@example.com", "subject": "x", "body": "x"}


def reset(handler: BaseHTTPRequestHandler) -> None:
    handler.close_connection = True
    handler.connection.close()


POISONS: dict[str, Callable[[Any], None]] = {
    "429": lambda handler: net.answer(handler, 429, b"slow down", Retry_After="0"),
    "503": lambda handler: net.answer(handler, 503, b"<h1>maintenance</h1>"),
    "reset": reset,
    "html": lambda handler: net.answer(handler, 200, b"<html>Please sign in</html>", Content_Type="text/html"),
    "truncated": lambda handler: net.answer(handler, 200, gzip.compress(b"<x/>" * 5000)[:-9], Content_Encoding="gzip"),
    "half": lambda handler: net.answer(handler, 200, b"<?xml", Content_Length="5000", Content_Type="application/xml"),
}
JOBS: dict[str, tuple[str, str, dict[str, Any], dict[str, Any]]] = {
    "s3 get": ("AWS_S3", "AWS_S3_GET_FILE", {"bucket_name": "b", "object_key": "k", "set_outputs": True}, KEYS),
    "s3 put": ("AWS_S3", "AWS_S3_PUT_FILE", {"bucket_name": "b", "object_key": "k", "contents": "x"}, KEYS),
    "ses": ("AWS_SES", "AWS_SES_SEND_EMAIL", MAIL, KEYS | {"sender": "a@example.com"}),
    "slack": ("SLACK", "SEND_SLACK_MESSAGE", {"channel_name": "#d", "text": "x"}, {"token": SECRET}),
    "teams": ("MICROSOFT_TEAMS", "SEND_MICROSOFT_TEAMS_MESSAGE", {"content": {"text": "x"}}, {}),
}


def failed_well(said: str, asked: int) -> None:
    """In bounded tries and one sentence, without a secret."""
    assert said and len(said) < 1000 and "\n" not in said and "\x1b" not in said
    assert "swordfish" not in said and "Traceback" not in said
    assert 1 <= asked <= 6, asked


@pytest.mark.parametrize(
    ("kind", "poison"),
    [(kind, poison) for kind in JOBS for poison in POISONS if kind != "s3 put" or poison in ("503", "html")],
)
def test_fault_17_jobs(tmp_path: Path, kind: str, poison: str) -> None:
    integration, job, parameters, fields = JOBS[kind]
    with net.web_server(lambda handler, request: POISONS[poison](handler)) as server:
        where = {"endpoint_url": server.url} if integration.startswith("AWS") else {"url": f"{server.url}/{SECRET}"}
        ended = net.Site(tmp_path, integration, **REMOTE, **where, **fields).run(job, parameters)
        asked = len(server.requests)
    assert (ended.code, ended.status, ended.outputs) == (1, "FAILED", {}), ended.log
    assert "Traceback" not in ended.log and SECRET not in ended.log
    failed_well(str(ended.message), asked)
    if kind in ("ses", "slack", "teams"):
        assert asked == 1  # a message must not be sent twice


SENSORS = {
    "AWS_S3_FILE": ("AWS_S3", {"bucket_name": "b"}, KEYS),
    "ADLS_FILE": ("AZURE_DATA_LAKE_STORAGE", {"container_name": "c"}, {"account_key": "c3dvcmRmaXNo"}),
}


@pytest.mark.parametrize("poison", POISONS)
@pytest.mark.parametrize("sensor", SENSORS)
def test_fault_17_sensors(tmp_path: Path, sensor: str, poison: str) -> None:
    """What could not be asked is an error, and never `nothing is there`."""
    integration, parameters, fields = SENSORS[sensor]
    with net.web_server(lambda handler, request: POISONS[poison](handler)) as server:
        where = {"endpoint_url": server.url} if sensor == "AWS_S3_FILE" else {"url": f"{server.url}/lumen"}
        net.Site(tmp_path, integration, **REMOTE, **where, **fields)
        check = SensorCheck(integration=integration, sensor_type=sensor, parameters=parameters)
        found = look("c", check, parameters, load_bindings(tmp_path), tmp_path, datetime(2026, 3, 1, tzinfo=UTC))
        asked = len(server.requests)
    assert found.is_error and not found.passed and not found.outputs, found
    failed_well(str(found.message), asked)


@pytest.mark.parametrize(
    "greeting", [b"", b"421 come back later\r\n", b"<html>Please sign in</html>\r\n", b"220 ok\r\n500 what?\r\n"]
)
def test_fault_17_mail(tmp_path: Path, greeting: bytes) -> None:
    class Toxic(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            calls.append(1)
            self.request.sendall(greeting)

    calls: list[int] = []
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Toxic) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        host, port = server.server_address[:2]
        fields = {"host": str(host), "port": str(port), "sender": "a@example.com", "security": "none"}
        ended = net.Site(tmp_path, "AWS_SES", **REMOTE, **fields).run("AWS_SES_SEND_EMAIL", MAIL)
        server.shutdown()
    assert (ended.code, ended.status) == (1, "FAILED"), ended.log
    failed_well(str(ended.message), len(calls))

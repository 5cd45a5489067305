"""Fault 17 for the clients of the ingestion worker: real sockets, answers that go wrong in every way."""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from ingestion.catalogue import Entry, SourceSettings
from ingestion.errors import SourceError
from ingestion.sources import EVERYTHING, files, rest, salesforce, sap
from test_ingest_units import METADATA
from urllib3.util.retry import Retry

REST = SourceSettings("api", "rest", {"data_selector": "d.results", "paginator": {"type": "single_page"}})
THINGS = Entry("sap", "things", "Things", ("Id",), "Changed", "merge", "compare_keys")
ACCOUNTS = Entry("salesforce", "accounts", "Account", ("Id",), "SystemModstamp", "merge", "deleted_feed")
DESCRIBE = {"fields": [{"name": "Id", "type": "id"}, {"name": "SystemModstamp", "type": "datetime"}]}
ROWS = {
    "done": True,
    "totalSize": 1,
    "records": [{"attributes": {}, "Id": "1", "SystemModstamp": "2026-01-01T00:00:00.000+0000"}],
}
GOOD = {
    "/services/oauth2/token": {"access_token": "t", "instance_url": "https://lumen.salesforce.com"}, "describe": DESCRIBE,
    "query": ROWS, "Things": {"d": {"results": [{"Id": "1"}]}},
}  # fmt: skip


class Toxic(ThreadingHTTPServer):
    """`poison(handler)` answers requests of `where` while `left` of them are due; then it is a good server."""

    def __init__(self) -> None:
        self.poison: Callable[[Any], None] = lambda handler: None
        self.left = 0
        self.where = ""
        self.asked = 0
        toxic = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                if toxic.left and toxic.where in self.path:
                    toxic.left -= 1
                    toxic.asked += 1
                    toxic.poison(self)
                    return
                if "$metadata" in self.path:
                    self.say(200, METADATA, "application/xml")
                    return
                body = next(value for name, value in GOOD.items() if name in self.path)
                self.say(200, json.dumps(body).encode(), "application/json")

            do_POST = do_GET

            def say(self, status: int, body: bytes, kind: str = "text/html", **headers: str) -> None:
                self.send_response(status)
                self.send_header("Content-Type", kind)
                for name, value in headers.items():
                    self.send_header(name.replace("_", "-"), value)
                if "Content_Length" not in headers:
                    self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        super().__init__(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


def reset(handler: Any) -> None:
    handler.close_connection = True
    handler.connection.close()


def half(handler: Any) -> None:
    handler.say(200, b'{"d": {"resu', "application/json", Content_Length="5000")
    handler.close_connection = True


POISONS: dict[str, Callable[[Any], None]] = {
    "429": lambda handler: handler.say(429, b"slow down", Retry_After="0"),
    "503": lambda handler: handler.say(503, b"<h1>maintenance</h1>"),
    "reset": reset,
    "half": half,
}
LASTING: dict[str, Callable[[Any], None]] = POISONS | {
    "html": lambda handler: handler.say(200, b"<html>Please sign in</html>", "application/json"),
    "truncated": lambda handler: handler.say(
        200, gzip.compress(b"{}" * 5000)[:-9], "application/json", Content_Encoding="gzip"
    ),
    "array": lambda handler: handler.say(200, b"[1, 2", "application/json"),
}


@pytest.fixture
def toxic(monkeypatch: pytest.MonkeyPatch) -> Iterator[Toxic]:
    server = Toxic()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    for name, value in (("URL", f"{server.url}/svc"), ("USERNAME", "u"), ("PASSWORD", "swordfish-1")):
        monkeypatch.setenv(f"SOURCES__SAP__{name}", value)
    for name, value in (
        ("DOMAIN", "lumen"),
        ("CONSUMER_KEY", "k"),
        ("CONSUMER_SECRET", "swordfish-2"),
        ("ENDPOINT", server.url),
    ):
        monkeypatch.setenv(f"SOURCES__SALESFORCE__{name}", value)
    monkeypatch.setenv("SOURCES__API__BASE_URL", server.url)
    monkeypatch.setattr(rest, "BACKOFF", 0.01)
    monkeypatch.setattr(sap, "PATIENCE", 1)
    retry = salesforce.RETRY
    quick = Retry(total=retry.total, connect=retry.connect, read=retry.read, backoff_factor=0.01, allowed_methods=None,
                  status_forcelist=retry.status_forcelist, retry_after_max=1)  # fmt: skip
    monkeypatch.setattr(salesforce, "RETRY", quick)
    yield server
    server.shutdown()
    server.server_close()


def read(system: str) -> list[dict[str, Any]]:
    """Everything of one object, with a client that is new."""
    source: Any
    if system == "rest":
        source, entry = rest.Rest(REST), replace(THINGS, source="api", cursor=None, pattern="replace", deletes="none")
    elif system == "sap":
        source, entry = sap.Sap(SourceSettings("sap", "sap")), THINGS
    else:
        source, entry = salesforce.Salesforce(SourceSettings("salesforce", "salesforce")), ACCOUNTS
    try:
        return [row for table in source.batches(entry, EVERYTHING) for row in table.to_pylist()]
    finally:
        source.close()


PLACES = [("rest", "Things"), ("sap", "Things"), ("salesforce", "oauth2"), ("salesforce", "query")]


@pytest.mark.parametrize(("system", "where"), PLACES)
@pytest.mark.parametrize("poison", ["429", "503"])
def test_fault_17_a_burst_is_survived(toxic: Toxic, system: str, where: str, poison: str) -> None:
    toxic.where, toxic.left, toxic.poison = where, 2, POISONS[poison]
    assert [row["Id"] for row in read(system)] == ["1"]
    assert toxic.asked == 2


@pytest.mark.parametrize("poison", LASTING)
def test_fault_17_files_of_s3(toxic: Toxic, monkeypatch: pytest.MonkeyPatch, poison: str) -> None:
    """Arrow's client: what could not be asked is an error, and never an empty folder."""
    toxic.where, toxic.left, toxic.poison = "/", 10_000, LASTING[poison]
    for name, value in (("URL", "s3://landing/in"), ("KEY", "k"), ("SECRET", "swordfish-3"), ("ENDPOINT", toxic.url)):
        monkeypatch.setenv(f"SOURCES__DROP__{name}", value)
    monkeypatch.setenv("SOURCES__DROP__REGION", "us-east-1")
    entry = Entry("drop", "orders", "orders/*.csv", (), "_modified", "append")
    with pytest.raises(SourceError) as caught:
        list(files.Files(SourceSettings("drop", "files")).batches(entry, EVERYTHING))
    said = f"{caught.value} {caught.value.why} {caught.value.hint}"
    assert "swordfish" not in said and len(said) < 1500
    assert toxic.asked < 60, toxic.asked


@pytest.mark.parametrize(("system", "where"), PLACES)
@pytest.mark.parametrize("poison", LASTING)
def test_fault_17_what_lasts_ends_in_one_sentence(toxic: Toxic, system: str, where: str, poison: str) -> None:
    """In bounded time and tries, without a secret and without half a table."""
    toxic.where, toxic.left, toxic.poison = where, 10_000, LASTING[poison]
    with pytest.raises(SourceError) as caught:
        read(system)
    said = f"{caught.value} {caught.value.why} {caught.value.hint}"
    assert "swordfish" not in said and len(said) < 1500
    assert toxic.asked < 60, toxic.asked
    toxic.left = 0
    assert [row["Id"] for row in read(system)] == ["1"]

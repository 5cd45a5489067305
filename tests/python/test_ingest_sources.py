"""Sources that are declared: files here, in S3 and over SFTP; JSON APIs; databases by SQLAlchemy. Real clients, real bytes."""

from __future__ import annotations

import gzip
import json
import os
import sqlite3
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from ingest_harness import Sandbox
from ingestion.catalogue import Entry, SourceSettings, find_entry
from ingestion.errors import ConfigError, SourceError, UsageError
from ingestion.load import Options, ingest
from ingestion.sources import EVERYTHING, Span, open_source, rest, salesforce

DROPS = Entry("drop", "orders", "orders/*.csv", ("_file", "_row"), "_modified", "append")
FILES = SourceSettings("drop", "files")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A drop zone; the warehouse is beside it."""
    monkeypatch.setenv("DUCKDB_PATH", str(tmp_path / "warehouse.duckdb"))
    monkeypatch.setenv("DLT_PIPELINES_DIR", str(tmp_path / "pipelines"))
    drop = tmp_path / "drop"
    (drop / "orders").mkdir(parents=True)
    monkeypatch.setenv("SOURCES__DROP__URL", str(drop))
    return drop


def query(folder: Path, sql: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(folder.parent / "warehouse.duckdb"), read_only=True) as connection:
        return connection.sql(sql).fetchall()


def put(folder: Path, name: str, data: bytes | str, day: int = 1) -> Path:
    path = folder / name
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    at = datetime(2026, 1, day, tzinfo=UTC).timestamp()
    os.utime(path, (at, at))
    return path


def read(entry: Entry, settings: SourceSettings, span: Span = EVERYTHING) -> list[dict[str, Any]]:
    source = open_source(settings)
    try:
        return [row for batch in source.batches(entry, span) for row in pa.table(batch).to_pylist()]
    finally:
        source.close()


def test_files_that_are_new_since_the_last_load(folder: Path) -> None:
    put(folder, "orders/a.csv", "id,note\n1,x\n2,\n", 1)
    done = ingest(DROPS, FILES)
    assert (done.mode, done.rows, done.cursor_to) == ("full", 2, "2026-01-01T00:00:00+00:00")
    assert ingest(DROPS, FILES).rows == 0
    put(folder, "orders/b.csv", "id,note,extra\n3,z,new\n", 2)
    done = ingest(DROPS, FILES)
    assert (done.mode, done.rows) == ("incremental", 1)
    rows = query(folder, "select id, note, extra, _file, _row from raw_drop.orders order by id")
    assert rows == [
        ("1", "x", None, "orders/a.csv", 1), ("2", None, None, "orders/a.csv", 2), ("3", "z", "new", "orders/b.csv", 1),
    ]  # fmt: skip


def test_declared_types_and_what_does_not_fit(folder: Path) -> None:
    put(folder, "orders/a.csv", "id,amount,day\n1,12.50,2026-01-31\n2,much,2026-02-30\n")
    entry = replace(DROPS, types={"id": "bigint", "amount": "decimal(12,2)", "day": "date"}, contract="quarantine")
    done = ingest(entry, FILES)
    assert (done.rows, done.quarantined) == (1, 1)
    assert query(folder, "select id, amount, day from raw_drop.orders") == [(1, Decimal("12.50"), date(2026, 1, 31))]
    assert query(folder, "select _reason from raw_drop.orders_quarantine") == [
        ("amount is no decimal(12,2); day is no date",)
    ]


def workbook(rows: list[list[Any]], sheet: str) -> bytes:
    import io

    from openpyxl import Workbook

    book = Workbook()
    book.active.title = "cover"
    other = book.create_sheet(sheet)
    for row in rows:
        other.append(row)
    data = io.BytesIO()
    book.save(data)
    return data.getvalue()


def parquet(rows: list[dict[str, Any]]) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist(rows), sink)
    return sink.getvalue().to_pybytes()


ROWS = [{"id": 1, "name": "Zoë", "price": 1.5}, {"id": 2, "name": None, "price": None}]
LINES = "\n".join(json.dumps(row) for row in ROWS) + "\n\n"


@pytest.mark.parametrize(
    ("name", "data", "options", "expected"),
    [
        ("a.csv", "id,name,price\r\n1,Zoë,1.5\r\n2,,\r\n", {}, [("1", "Zoë", "1.5"), ("2", None, None)]),
        ("a.csv", "\ufeffid,name,price\n1,Zoë,1.5\n", {}, [("1", "Zoë", "1.5")]),
        ("a.csv", 'exported\nid;name;price\n1;"Z;\n""ë""";1,5\n'.encode("latin-1"),
         {"delimiter": ";", "encoding": "latin-1", "skip_rows": 1}, [("1", 'Z;\n"ë"', "1,5")]),
        ("a.tsv", "id\tname\tprice\n1\tZoë\t1.5\n", {}, [("1", "Zoë", "1.5")]),
        ("a.csv.gz", gzip.compress("id,name,price\n1,Zoë,1.5\n".encode()), {}, [("1", "Zoë", "1.5")]),
        ("a.jsonl", LINES, {}, [(1, "Zoë", 1.5), (2, None, None)]),
        ("a.jsonl.gz", gzip.compress(LINES.encode()), {}, [(1, "Zoë", 1.5), (2, None, None)]),
        ("a.parquet", parquet(ROWS), {}, [(1, "Zoë", 1.5), (2, None, None)]),
        ("a.xlsx", workbook([["id", "name", "price"], [1, "Zoë", 1.5], [None, None, None], [2, None, None]], "data"),
         {"sheet": "data"}, [(1, "Zoë", 1.5), (2, None, None)]),
        ("a.txt", "id,name,price\n1,Zoë,1.5\n", {"format": "csv"}, [("1", "Zoë", "1.5")]),
    ],
    ids=["csv", "bom", "latin-1", "tsv", "csv.gz", "jsonl", "jsonl.gz", "parquet", "xlsx", "named"],
)  # fmt: skip
def test_every_format(folder: Path, name: str, data: Any, options: dict[str, Any], expected: list[Any]) -> None:
    put(folder, f"orders/{name}", data)
    rows = read(replace(DROPS, entity=f"orders/*{name[1:]}", read=options), FILES)
    assert [(row["id"], row["name"], row["price"]) for row in rows] == expected
    assert [row["_row"] for row in rows] == list(range(1, len(expected) + 1))


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("a.csv", "id,name\n1,x\n2\n", "Expected 2 columns"),
        ("a.jsonl", '{"id": 1}\n{"id": \n', "Expecting value"),
        ("a.parquet", "no parquet at all", "magic bytes"),
        ("a.xlsx", "no zip", "not a zip"),
        ("a.csv.gz", "no gzip", "Not a gzip"),
        ("a.jsonl", '{"id": 1}\n' * 10_000 + '{"id": "x"}\n', "'x'"),
    ],
)
def test_a_file_that_is_broken_is_named_and_nothing_is_loaded(folder: Path, name: str, data: str, said: str) -> None:
    put(folder, f"orders/{name}", data)
    with pytest.raises(SourceError) as caught:
        ingest(replace(DROPS, entity=f"orders/*{name[1:]}"), FILES)
    assert name in str(caught.value) and name in str(caught.value.where) and said in str(caught.value.why)


def test_files_that_are_not_there_and_options_that_are_none(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SourceError, match="no file of drop is like"):
        ingest(DROPS, FILES)
    for entry, said in (
        (replace(DROPS, entity="x.pdf"), "of which format"),
        (replace(DROPS, read={"delimeter": ";"}), "Did you mean delimiter"),
    ):
        with pytest.raises(UsageError, match=said):
            read(entry, FILES)
    monkeypatch.setenv("SOURCES__DROP__URL", "nonsense://x")
    with pytest.raises(ConfigError, match="drop cannot be opened"):
        read(DROPS, FILES)


def test_files_of_s3(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By Arrow's own client, against moto's server."""
    import boto3
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    try:
        endpoint = "http://{}:{}".format(*server.get_host_and_port())
        s3 = boto3.client("s3", "us-east-1", endpoint_url=endpoint, aws_access_key_id="k", aws_secret_access_key="s")
        s3.create_bucket(Bucket="landing")
        for name in ("in/orders/a.csv", "in/orders/b.csv", "in/other/c.csv"):
            s3.put_object(Bucket="landing", Key=name, Body=f"id\n{name}\n".encode())
        settings = {"URL": "s3://landing/in", "KEY": "k", "SECRET": "s", "ENDPOINT": endpoint, "REGION": "us-east-1"}
        for name, value in settings.items():
            monkeypatch.setenv(f"SOURCES__DROP__{name}", value)
        assert ingest(DROPS, FILES).rows == 2
        assert query(folder, "select _file from raw_drop.orders order by 1") == [("orders/a.csv",), ("orders/b.csv",)]
    finally:
        server.stop()


def test_files_over_sftp(
    folder: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    import asyncssh
    from ssh_harness import PASSWORD, ssh_server

    keys = [asyncssh.generate_private_key("ssh-ed25519") for _ in range(2)]
    with ssh_server(tmp_path_factory.mktemp("sftp"), *keys) as server:
        fields = server.fields()
        (server.files / "orders").mkdir()
        (server.files / "orders" / "a.csv").write_text("id\n7\n")
        url = f"sftp://{fields['host']}:{fields['port']}/"
        for name, value in {"URL": url, "USERNAME": fields["user"], "PASSWORD": PASSWORD}.items():
            monkeypatch.setenv(f"SOURCES__DROP__{name}", str(value))
        assert [row["id"] for row in read(DROPS, FILES)] == ["7"]


# JSON APIs


class Api(ThreadingHTTPServer):
    """Pages of two with a `next` link; knows `since`, and a token."""

    def __init__(self) -> None:
        self.asked: list[dict[str, list[str]]] = []
        self.rows = [{"id": n, "tags": ["a"], "seen": f"2026-01-0{n}T00:00:00Z"} for n in range(1, 6)]
        self.next = ""
        api = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                asked = parse_qs(urlsplit(self.path).query)
                api.asked.append(asked)
                if self.headers.get("Authorization") != "Bearer t0ken-t0ken":
                    self.say(401, {"error": "who are you?"})
                    return
                since, page = asked.get("since", [""])[0], int(asked.get("page", ["0"])[0])
                rows = [row for row in api.rows if row["seen"] >= since]
                more = page * 2 + 2 < len(rows)
                following = f"{api.next or api.url}/things?page={page + 1}" + (f"&since={since}" if since else "")
                self.say(200, {"data": rows[page * 2 : page * 2 + 2], "next": following if more else None})

            def say(self, status: int, content: Any) -> None:
                body = json.dumps(content).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        super().__init__(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


THINGS = Entry("api", "things", "things", ("id",), "seen", "merge", read={"from_param": "since"})
OPTIONS = {
    "auth": {"type": "bearer"},
    "data_selector": "data",
    "paginator": {"type": "json_link", "next_url_path": "next"},
}
API = SourceSettings("api", "rest", OPTIONS)


@pytest.fixture
def api(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Api]:
    server = Api()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("SOURCES__API__BASE_URL", server.url)
    monkeypatch.setenv("SOURCES__API__TOKEN", "t0ken-t0ken")
    monkeypatch.setattr(rest, "ATTEMPTS", 1)
    yield server
    server.shutdown()
    server.server_close()


def test_a_declared_api_is_paged_and_asked_for_what_is_new(api: Api, folder: Path) -> None:
    done = ingest(THINGS, API)
    assert (done.rows, done.cursor_to) == (5, "2026-01-05T00:00:00+00:00")
    api.rows += [{"id": 6, "tags": None, "seen": "2026-01-06T00:00:00Z"}]
    api.asked.clear()
    assert ingest(THINGS, API).rows == 1
    assert api.asked == [{"since": ["2026-01-05T00:00:00Z"]}]
    assert query(folder, "select id, tags from raw_api.things order by id")[-2:] == [(5, '["a"]'), (6, None)]


def test_an_api_that_knows_no_bound_still_loads_only_what_is_new(api: Api) -> None:
    entry = replace(THINGS, read={})
    ingest(entry, API)
    api.rows[0]["seen"] = "2026-01-09T00:00:00Z"
    assert ingest(entry, API).rows == 1


def test_a_wrong_key_and_a_next_link_that_leads_away(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SourceError) as lacking:
        read(replace(THINGS, key=("uid",)), API)
    assert (lacking.value.why, lacking.value.hint) == ("it lacks uid", "it has id, tags, seen")  # names, and no values
    api.next = "http://127.0.0.2:9"
    with pytest.raises(SourceError, match="another host"):
        read(THINGS, API)
    monkeypatch.setenv("SOURCES__API__TOKEN", "wr0ng-wr0ng")
    with pytest.raises(SourceError) as caught:
        read(THINGS, API)
    said = f"{caught.value} {caught.value.why} {caught.value.hint}"
    assert "HTTP 401" in said and "SOURCES__API__TOKEN" in said and "wr0ng" not in said
    monkeypatch.delenv("SOURCES__API__TOKEN")
    with pytest.raises(ConfigError, match="SOURCES__API__TOKEN missing"):
        read(THINGS, API)


# Databases


def test_types_of_a_database_arrive_as_they_are(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = folder.parent / "x.db"
    with sqlite3.connect(path) as connection:
        connection.execute(
            "create table t (id integer primary key, price numeric(12, 2), ratio float, is_open boolean, day date, at datetime, "
            "data blob, note varchar(20))"
        )
        connection.execute(
            "insert into t values (1, 12.5, 0.5, 1, '2026-01-31', '2026-01-31 10:00:00.000001', x'00ff', 'é')"
        )
        connection.execute("insert into t (id) values (2)")
    monkeypatch.setenv("SOURCES__X__CREDENTIALS", f"sqlite:///{path}")
    settings = SourceSettings("x", "sql")
    entry = Entry("x", "t", "t", ("id",), "at", "merge")
    first, second = read(entry, settings)
    assert first == {
        "id": 1, "price": Decimal("12.50"), "ratio": 0.5, "is_open": True, "day": date(2026, 1, 31),
        "at": datetime(2026, 1, 31, 10, 0, 0, 1, UTC), "data": b"\x00\xff", "note": "é",
    }  # fmt: skip
    assert second == {"id": 2} | dict.fromkeys(["price", "ratio", "is_open", "day", "at", "data", "note"])
    later = datetime(2026, 1, 31, 10, tzinfo=UTC) + timedelta(seconds=1)
    assert read(entry, settings, Span(later)) == []
    with pytest.raises(SourceError, match="not as the catalogue says"):
        read(replace(entry, entity="u"), settings)
    for url, said in (("no url", "it is no URL"), ("nosuch://x", "nosuch")):
        monkeypatch.setenv("SOURCES__X__CREDENTIALS", url)
        with pytest.raises(ConfigError) as caught:
            read(entry, settings)
        assert said in str(caught.value.why)


def test_options_of_an_invocation_reach_every_kind_of_source(api: Api, folder: Path) -> None:
    put(folder, "orders/a.csv", "id\n1\n2\n3\n")
    assert ingest(DROPS, FILES, options=Options(limit=2)).rows == 2
    done = ingest(replace(THINGS, read={}), API, options=Options(dry_run=True))
    assert (done.rows, done.dry_run) == (None, True)


# Salesforce, by pages of REST and by a bulk job


ACCOUNTS = replace(find_entry("salesforce", "accounts"), read={"bulk_from": 1})


def test_a_bulk_job_reads_what_the_pages_say(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in sandbox.env.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(salesforce, "BULK_ROWS", 50)
    settings = SourceSettings("salesforce", "salesforce")
    by_pages = read(replace(ACCOUNTS, read={}), settings)
    by_job = read(ACCOUNTS, settings)
    assert len(by_job) > 100 and {row["IsDeleted"] for row in by_job} == {True, False}
    assert by_job == by_pages
    since = max(row["SystemModstamp"] for row in by_pages)
    assert [row["SystemModstamp"] for row in read(ACCOUNTS, settings, Span(since))] == [since]
    source = open_source(settings)
    assert sum(batch.num_rows for batch in source.keys(ACCOUNTS)) == sum(not row["IsDeleted"] for row in by_pages)
    source.close()


@pytest.mark.parametrize(
    ("given", "missing"),
    [
        ({}, "CONSUMER_KEY, SOURCES__SALESFORCE__CONSUMER_SECRET, SOURCES__SALESFORCE__DOMAIN"),
        ({"username": "u", "password": "p"}, "SECURITY_TOKEN"),
        ({"session_id": "s"}, "INSTANCE_URL"),
    ],
)
def test_what_a_login_lacks(monkeypatch: pytest.MonkeyPatch, given: dict[str, str], missing: str) -> None:
    for name in salesforce.LOGIN:
        monkeypatch.delenv(f"SOURCES__SALESFORCE__{name.upper()}", raising=False)
    for name, value in given.items():
        monkeypatch.setenv(f"SOURCES__SALESFORCE__{name.upper()}", value)
    with pytest.raises(ConfigError, match=missing):
        open_source(SourceSettings("salesforce", "salesforce"))


def test_a_session_that_somebody_else_opened(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    import requests

    endpoint = sandbox.env["SOURCES__SALESFORCE__ENDPOINT"]
    login = {"grant_type": "client_credentials", "client_id": sandbox.env["SOURCES__SALESFORCE__CONSUMER_KEY"],
             "client_secret": sandbox.env["SOURCES__SALESFORCE__CONSUMER_SECRET"]}  # fmt: skip
    token = requests.post(f"{endpoint}/services/oauth2/token", data=login, timeout=10).json()
    for name in salesforce.LOGIN:
        monkeypatch.delenv(f"SOURCES__SALESFORCE__{name.upper()}", raising=False)
    given = {"SESSION_ID": token["access_token"], "INSTANCE_URL": token["instance_url"], "ENDPOINT": endpoint}
    for name, value in given.items():
        monkeypatch.setenv(f"SOURCES__SALESFORCE__{name}", value)
    assert len(read(replace(ACCOUNTS, read={}), SourceSettings("salesforce", "salesforce"))) > 100

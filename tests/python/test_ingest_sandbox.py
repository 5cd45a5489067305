"""Against the real systems of the sandbox: what arrives equals what is there, however often and in whatever mode."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import Any

import httpx
import psycopg
import pytest
from ingest_harness import OBJECTS, Result, Sandbox, Worker

KEYS = {
    ("postgres", "customers"): ("customer_id", "updated_at"),
    ("postgres", "products"): ("product_id", "updated_at"),
    ("postgres", "orders"): ("order_id", "updated_at"),
    ("postgres", "order_items"): ("order_id, line_number", "updated_at"),
    ("salesforce", "accounts"): ("id", "system_modstamp"),
    ("salesforce", "contacts"): ("id", "system_modstamp"),
    ("sap", "shipments"): ("delivery_document", "last_change_date_time"),
}


def in_source(sandbox: Sandbox, source: str, name: str) -> set[tuple[Any, ...]]:
    """(key..., cursor in whole milliseconds since 1970) of every row, read without any of the code under test."""
    if source == "postgres":
        key, cursor = KEYS[source, name]
        with psycopg.connect(sandbox.env["SOURCES__POSTGRES__CREDENTIALS"]) as connection:
            rows = connection.execute(f"select {key}, extract(epoch from {cursor}) from {name}").fetchall()
        return {(*row[:-1], int(row[-1] * 1000)) for row in rows}
    if source == "sap":
        return {
            (row["DeliveryDocument"], int(row["LastChangeDateTime"].removeprefix("/Date(").split("+")[0]))
            for row in sap_rows(sandbox)
        }
    return {
        (row["Id"], row["IsDeleted"], row["SystemModstamp"][:19])
        for row in salesforce_rows(sandbox, name.removesuffix("s").title())
    }


def in_warehouse(worker: Worker, source: str, name: str) -> set[tuple[Any, ...]]:
    key, cursor = KEYS[source, name]
    if source == "salesforce":
        cursor_text = f"strftime({cursor} at time zone 'UTC', '%Y-%m-%dT%H:%M:%S')"
        return set(worker.query(f"select {key}, is_deleted, {cursor_text} from raw_{source}.{name}"))
    return set(worker.query(f"select {key}, epoch_ms({cursor}) from raw_{source}.{name}"))


def sap_rows(sandbox: Sandbox) -> Iterator[dict[str, Any]]:
    env = sandbox.env
    auth = (env["SOURCES__SAP__USERNAME"], env["SOURCES__SAP__PASSWORD"])
    url = env["SOURCES__SAP__URL"] + "/A_OutbDeliveryHeader?$format=json"
    while url:
        data = httpx.get(url, auth=auth).raise_for_status().json()["d"]
        yield from data["results"]
        url = data.get("__next")


def salesforce_rows(sandbox: Sandbox, entity: str) -> Iterator[dict[str, Any]]:
    env = sandbox.env
    base = env["SOURCES__SALESFORCE__ENDPOINT"]
    auth = (env["SOURCES__SALESFORCE__CONSUMER_KEY"], env["SOURCES__SALESFORCE__CONSUMER_SECRET"])
    form = {"grant_type": "client_credentials"}
    token = httpx.post(f"{base}/services/oauth2/token", data=form, auth=auth).raise_for_status().json()["access_token"]
    query = f"SELECT Id, IsDeleted, SystemModstamp FROM {entity}"
    url = str(httpx.URL(f"{base}/services/data/v59.0/queryAll/", params={"q": query}))
    while url:
        page = httpx.get(url, headers={"Authorization": f"Bearer {token}"}).raise_for_status().json()
        yield from page["records"]
        url = base + page["nextRecordsUrl"] if not page["done"] else ""


def assert_equal(sandbox: Sandbox, worker: Worker) -> None:
    for source, name in OBJECTS:
        expected, actual = in_source(sandbox, source, name), in_warehouse(worker, source, name)
        assert expected, (source, name)
        assert len(worker.query(f"select 1 from raw_{source}.{name}")) == len(expected), (source, name)
        assert actual == expected, (source, name, sorted(actual ^ expected, key=str)[:5])


# In the order of a life: first load, nothing new, business goes on.


def test_seven_at_once_load_everything(
    sandbox: Sandbox, first_load: tuple[Worker, dict[tuple[str, str], Result]]
) -> None:
    worker, results = first_load
    for (source, name), result in results.items():
        summary = result.summary
        assert summary == {
            **summary, "schema_version": 1, "source": source, "object": name, "table": f"raw_{source}.{name}",
            "destination": "duckdb", "mode": "full", "deleted": 0, "cursor_from": None,
        }  # fmt: skip
        assert summary["rows"] == worker.query(f"select count(*) from raw_{source}.{name}")[0][0] > 0
        assert summary["cursor_to"] is not None
        assert result.stdout.count("\n") == 1
        assert len(result.stderr.splitlines()) <= 3, result.stderr
    assert_equal(sandbox, worker)


def test_types_survive_the_journey(first_load: tuple[Worker, Any]) -> None:
    worker, _ = first_load
    rows = worker.query("select table_schema, table_name, column_name, data_type from information_schema.columns")
    types = {(schema, table, column): kind for schema, table, column, kind in rows}
    assert types["raw_postgres", "orders", "total_amount"] == "DECIMAL(12,2)"
    assert types["raw_postgres", "products", "unit_price"] == "DECIMAL(10,2)"
    assert types["raw_sap", "shipments", "header_gross_weight"].startswith("DECIMAL(")
    for key in [
        ("raw_postgres", "orders", "updated_at"),
        ("raw_sap", "shipments", "creation_date"),
        ("raw_sap", "shipments", "last_change_date_time"),
        ("raw_salesforce", "accounts", "system_modstamp"),
    ]:
        assert types[key] == "TIMESTAMP WITH TIME ZONE", key
    assert types["raw_postgres", "order_items", "line_number"] == "INTEGER"
    assert types["raw_salesforce", "accounts", "is_deleted"] == "BOOLEAN"
    assert types["raw_sap", "shipments", "yy1_web_order_dlh"] == "VARCHAR"
    for source, name in OBJECTS:
        assert types[f"raw_{source}", name, "_dlt_load_id"] == "VARCHAR"
        assert ((f"raw_{source}", name, "_deleted") in types) == (source != "salesforce")
    total = worker.query("select sum(line_amount) - (select sum(total_amount) from raw_postgres.orders) "
                         "from raw_postgres.order_items")  # fmt: skip
    assert total[0][0] == 0


def test_the_same_again_writes_nothing(loaded: Worker) -> None:
    before = loaded.database.read_bytes()
    for result in loaded.all().values():
        assert (result.summary["mode"], result.summary["rows"], result.summary["deleted"]) == ("incremental", 0, 0)
        assert result.summary["cursor_from"] == result.summary["cursor_to"]
    assert loaded.database.read_bytes() == before


def test_options_come_from_flags_then_variables_then_params(loaded: Worker) -> None:
    by_variable = loaded(SOURCE="postgres", OBJECT="products", PARAMS='{"full_refresh": true}')
    assert by_variable.summary["mode"] == "full"
    text = loaded(SOURCE="postgres", OBJECT="products", FULL_REFRESH="True", DESTINATION="")
    assert text.summary["mode"] == "full"
    nothing = loaded(SOURCE="postgres", OBJECT="products", FULL_REFRESH="", PARAMS="")
    assert nothing.summary["mode"] == "incremental"
    flag = loaded("postgres", "products", "--no-full-refresh", SOURCE="sap", OBJECT="x", FULL_REFRESH="True")
    assert (flag.summary["object"], flag.summary["mode"]) == ("products", "incremental")
    schemas = {row[0] for row in loaded.query("select distinct table_schema from information_schema.tables")}
    assert {name for name in schemas if "_2" in name} == set(), "dlt took FULL_REFRESH for its development mode"


def test_another_destination_needs_no_duckdb(empty: Worker, sandbox: Sandbox) -> None:
    credentials = sandbox.env["SOURCES__POSTGRES__CREDENTIALS"]
    target = {"DESTINATION__POSTGRES__CREDENTIALS": credentials}
    try:
        assert empty("postgres", "products", "--destination", "postgres", **target).summary["mode"] == "full"
        assert empty("postgres", "products", DESTINATION="postgres", **target).summary["rows"] == 0
        assert not empty.database.exists()
    finally:
        with psycopg.connect(credentials, autocommit=True) as connection:
            connection.execute("drop schema if exists raw_postgres, raw_postgres_staging cascade")


def test_a_stopped_sap_fails_soon_and_says_how_to_start_it(loaded: Worker, sandbox: Sandbox) -> None:
    sandbox("down", "sap")
    try:
        result = loaded("sap", "shipments")
    finally:
        sandbox("up", "sap")
    assert (result.code, result.stdout) == (1, "")
    lines = result.stderr.splitlines()
    assert 2 <= len(lines) <= 4
    assert lines[0] == "error: sap.shipments: sap does not answer"
    assert "http://127.0.0.1:" in lines[1]
    assert "refused" in lines[2].lower()
    assert lines[3].endswith("python -m sandbox up sap")
    assert sandbox.env["SOURCES__SAP__PASSWORD"] not in result.stderr
    assert loaded("sap", "shipments").summary["rows"] == 0


@pytest.mark.parametrize("source", ["postgres", "salesforce", "sap"])
def test_wrong_credentials_fail_without_showing_them(loaded: Worker, sandbox: Sandbox, source: str) -> None:
    name = {"postgres": "orders", "salesforce": "accounts", "sap": "shipments"}[source]
    variable = {"postgres": "SOURCES__POSTGRES__CREDENTIALS", "salesforce": "SOURCES__SALESFORCE__CONSUMER_SECRET",
                "sap": "SOURCES__SAP__PASSWORD"}[source]  # fmt: skip
    wrong = "not-the-password-at-all"
    value = sandbox.env[variable]
    if source == "postgres":
        user, _, address = value.removeprefix("postgresql://").partition("@")
        wrong = f"postgresql://{user.split(':')[0]}:{wrong}@{address}"
    result = loaded(source, name, **{variable: wrong})
    assert (result.code, result.stdout) == (1, ""), result.stderr
    assert "not-the-password" not in result.stderr
    assert "Traceback" not in result.stderr
    assert 2 <= len(result.stderr.splitlines()) <= 4, result.stderr


def test_after_business_goes_on_the_tables_equal_the_systems(loaded: Worker, sandbox: Sandbox) -> None:
    before = {pair: in_source(sandbox, *pair) for pair in OBJECTS}
    sandbox("change", "--days", "2")
    after = {pair: in_source(sandbox, *pair) for pair in OBJECTS}
    results = loaded.all()
    for pair, result in results.items():
        width = len(KEYS[pair][0].split(","))
        gone = {row[:width] for row in before[pair]} - {row[:width] for row in after[pair]}
        assert result.summary["mode"] == "incremental"
        assert result.summary["rows"] == len(after[pair] - before[pair]), pair
        assert result.summary["deleted"] == (0 if pair[0] == "salesforce" else len(gone)), pair
    assert results["postgres", "orders"].summary["deleted"] > 0
    assert results["sap", "shipments"].summary["deleted"] > 0
    assert_equal(sandbox, loaded)
    for name in ("postgres.orders", "sap.shipments"):
        assert loaded.query(f"select count(*) from raw_{name} where _deleted") == [(0,)]
    incremental = sorted(loaded.query("select * exclude (_dlt_load_id) from raw_postgres.orders"))
    full = loaded("postgres", "orders", "--full-refresh").summary
    assert (full["mode"], full["cursor_from"], full["rows"]) == ("full", None, len(after["postgres", "orders"]))
    assert sorted(loaded.query("select * exclude (_dlt_load_id) from raw_postgres.orders")) == incremental
    assert loaded("postgres", "orders").summary["rows"] == 0


def test_inside_orchestra_the_summary_becomes_outputs(loaded: Worker) -> None:
    import threading
    from http.server import BaseHTTPRequestHandler, HTTPServer

    events: list[dict[str, Any]] = []

    class Webhook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            events.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: Any) -> None: ...

    server = HTTPServer(("127.0.0.1", 0), Webhook)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        result = loaded(
            "postgres", "products", ORCHESTRA_API_KEY="key",
            ORCHESTRA_TASK_RUN_ID="7c9e6679-7425-40de-944b-e07fc1f90ae7",
            ORCHESTRA_WEBHOOK_URL=f"http://127.0.0.1:{server.server_port}", NO_PROXY="127.0.0.1",
        )  # fmt: skip
    finally:
        server.shutdown()
    assert result.summary["object"] == "products"
    assert len(events) == 2, (events, result.stderr, os.environ.get("HTTP_PROXY"))
    assert "products" in json.dumps(events[0])

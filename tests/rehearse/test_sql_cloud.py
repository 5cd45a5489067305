"""BigQuery and ClickHouse through their real clients, against stand-ins; Snowflake against fakesnow where it is told.

Start it with `fakesnow -s -p 8085` (0.12.1 with `snowflake-connector-python<5`, in an environment of its own), then
REHEARSE_TEST_FAKESNOW=http://127.0.0.1:8085.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from sql_harness import Ended, Running, attempt, connection, prepare, run
from sql_servers import BigQueryHandler, ClickHouseHandler, Warehouse, serving

from rehearse.bindings.config import Connection

FAKESNOW = os.environ.get("REHEARSE_TEST_FAKESNOW")
Place = tuple[Warehouse, Connection]


@pytest.fixture
def bigquery(tmp_path: Path) -> Iterator[Place]:
    with serving(BigQueryHandler, "bigquery") as (warehouse, port):
        url = f"http://127.0.0.1:{port}"
        yield (
            warehouse,
            connection(
                "GCP_BIG_QUERY", tmp_path, "remote", project="acme", api_endpoint=url, dataset="main", location="EU"
            ),
        )


@pytest.fixture
def clickhouse(tmp_path: Path) -> Iterator[Place]:
    with serving(ClickHouseHandler, "clickhouse") as (warehouse, port):
        yield (
            warehouse,
            connection("CLICKHOUSE", tmp_path, "remote", host="127.0.0.1", port=port, user="u", password="p"),
        )


def ask(place: Place, job: str, sql: str, **parameters: Any) -> Ended:
    name = "query" if "_BQ_" in job else "statement"
    return run(job, place[1], attempt(place[1].root), **{name: sql}, **parameters)


def test_bigquery_gives_rows_and_counts_without_fetching_all(bigquery: Place) -> None:
    columns = "x, cast(x as string) s, 1.5 f, date '2026-01-02' d, cast(null as int64) n"
    sql = f"select {columns} from unnest(generate_array(1, 2500)) x order by x"
    ended = ask(bigquery, "GCP_BQ_RUN_QUERY_JOB", sql, set_outputs=True, enable_drive_scope=False)
    assert (ended.status, ended.message) == ("SUCCEEDED", "2500 row(s)"), ended
    assert len(ended.outputs["results"]) == 1000
    assert ended.outputs["results"][0] == [1, "1", 1.5, "2026-01-02", None]
    pages = [path for method, path, _ in bigquery[0].asked if method == "GET" and "/queries/" in path]
    assert len(pages) < 5, "two pages hold the first 1000 rows"


def test_bigquery_statements_overrides_and_errors(bigquery: Place) -> None:
    ended = ask(bigquery, "GCP_BQ_RUN_QUERY_JOB", "create table t (a int64)", location="us-east1")
    assert ended.status == "SUCCEEDED" and ended.operations[0]["asset"]["name"] == "acme.main.t"
    _, _, body = next(each for each in bigquery[0].asked if each[0] == "POST")
    assert body["configuration"]["query"]["defaultDataset"] == {"projectId": "acme", "datasetId": "main"}
    assert "us-east1" in str(body["jobReference"])
    ended = ask(bigquery, "GCP_BQ_RUN_QUERY_JOB", "insert into t values (1), (2)")
    assert (ended.message, ended.operations[0]["rows"]) == ("2 row(s) changed", 2)
    ended = ask(bigquery, "GCP_BQ_RUN_TEST", "select count(*) from t", error_threshold_expression="> 2")
    assert (ended.status, ended.message) == ("WARNING", "measured 2, which is > 0")
    ended = ask(bigquery, "GCP_BQ_RUN_QUERY_JOB", "select nothing from t")
    assert (ended.code, ended.status) == (1, "FAILED") and "nothing" in str(ended.message)


def test_bigquery_is_cancelled(bigquery: Place) -> None:
    warehouse, bound = bigquery
    running = Running(prepare("GCP_BQ_RUN_QUERY_JOB", {"query": "select slowly"}, bound, attempt(bound.root)))
    running.wait_for(lambda: any("/queries/" in path for _, path, _ in warehouse.asked))
    os.kill(running.process.pid, signal.SIGINT)
    assert running.end(5).code == 130
    assert any(path.endswith("/cancel") for _, path, _ in warehouse.asked)


def test_clickhouse(clickhouse: Place) -> None:
    ended = ask(
        clickhouse, "CLICKHOUSE_RUN_QUERY",
        "create table t (x Int64) engine = MergeTree order by x; insert into t select number from numbers_; select 1"
        .replace("select number from numbers_", "values (1), (2), (3)")
        + "; select x, ';' as s, null as n from t order by x", set_outputs=True,
    )  # fmt: skip
    assert (ended.status, ended.message) == ("SUCCEEDED", "3 row(s)"), ended
    assert ended.outputs == {"results": [[1, ";", None], [2, ";", None], [3, ";", None]]}
    assert [(o["asset"] or {}).get("name") for o in ended.operations] == ["default.t", "default.t", None, None]
    ended = ask(clickhouse, "CLICKHOUSE_RUN_TEST", "select * from t", error_threshold_expression="= 3")
    assert (ended.status, ended.message) == ("FAILED", "measured 3, which is = 3")
    ended = ask(clickhouse, "CLICKHOUSE_RUN_QUERY", "select nothing from t", database="main")
    assert ended.status == "FAILED" and "nothing" in str(ended.message)
    assert clickhouse[0].asked[-1][2]["database"] == "main"


def test_clickhouse_counts_rows_in_blocks(clickhouse: Place) -> None:
    sql = "select a.x * 50 + b.x as n from t a cross join t b order by n"
    values = ", ".join(f"({n})" for n in range(50))
    filled = f"create table t (x Int64) engine = Log; insert into t values {values}"
    ended = ask(clickhouse, "CLICKHOUSE_RUN_QUERY", f"{filled}; {sql}", set_outputs=True)
    assert ended.message == "2500 row(s)" and ended.outputs["results"] == [[n] for n in range(1000)]


def test_clickhouse_is_cancelled(clickhouse: Place) -> None:
    warehouse, bound = clickhouse
    running = Running(prepare("CLICKHOUSE_RUN_QUERY", {"statement": "select slowly"}, bound, attempt(bound.root)))
    running.wait_for(lambda: any("slowly" in sql for _, sql, _ in warehouse.asked))
    os.kill(running.process.pid, signal.SIGINT)
    assert running.end(5).code == 130
    query_id = next(query["query_id"] for _, sql, query in warehouse.asked if "slowly" in sql)
    assert any(sql.startswith("kill query") and query_id in sql for _, sql, _ in warehouse.asked)


@pytest.fixture
def snowflake(tmp_path: Path) -> Connection:
    if not FAKESNOW:
        pytest.skip("REHEARSE_TEST_FAKESNOW names no server")
    parts = urlsplit(FAKESNOW)
    bound = connection(
        "SNOWFLAKE", tmp_path, "remote", account="fakesnow", user="u", password="very-secret", host=parts.hostname,
        port=parts.port, protocol=parts.scheme, database="DB1", schema="PUBLIC",
    )  # fmt: skip
    ended = run("SNOWFLAKE_RUN_QUERY", bound, attempt(tmp_path), statement=(
        "create database if not exists db1; create schema if not exists db1.public; create or replace table t "
        "(id int primary key, name varchar(20) not null, d number(9,2))"))  # fmt: skip
    assert ended.status == "SUCCEEDED", ended
    return bound


def test_snowflake_queries_and_tests(snowflake: Connection) -> None:
    ended = run("SNOWFLAKE_RUN_QUERY", snowflake, attempt(snowflake.root), set_outputs=True, statement=(
        "insert into t select seq4(), 'a;b', 1.5 from table(generator(rowcount => 2500)); "
        "select * from t order by id"))  # fmt: skip
    assert ended.message == "2500 row(s)" and len(ended.outputs["results"]) == 1000
    assert ended.outputs["results"][0] == [0, "a;b", 1.5]
    assert ended.operations[0]["asset"] == {"integration": "SNOWFLAKE", "name": "DB1.PUBLIC.T", "type": "TABLE"}
    ended = run("SNOWFLAKE_RUN_TEST", snowflake, attempt(snowflake.root), statement="select count(*) from t",
                error_threshold_expression="> 2500", warn_threshold_expression="= 2500")  # fmt: skip
    assert ended.status == "WARNING"
    ended = run("SNOWFLAKE_RUN_QUERY", snowflake, attempt(snowflake.root), statement="select * from nowhere")
    assert ended.status == "FAILED" and "NOWHERE" in str(ended.message)


@pytest.mark.parametrize(
    ("column", "expected", "nullable", "key", "status"),
    [("id", "INTEGER", False, True, "SUCCEEDED"), ("name", "VARCHAR(20)", False, False, "SUCCEEDED"),
     ("d", "NUMBER(9,2)", True, False, "SUCCEEDED"), ("d", "NUMBER(9,3)", True, False, "FAILED"),
     ("id", "INTEGER", True, False, "FAILED"), ("nothing", "INTEGER", True, False, "FAILED")],
)  # fmt: skip
def test_snowflake_schema(
    snowflake: Connection, column: str, expected: str, nullable: bool, key: bool, status: str
) -> None:
    ended = run(
        "SNOWFLAKE_SCHEMA_VALIDATION", snowflake, attempt(snowflake.root), table_name="t", column_name=column,
        expected_type=expected, is_nullable=nullable, is_primary_key=key, is_unique=key,
    )  # fmt: skip
    assert ended.status == status, ended

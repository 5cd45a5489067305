"""DATA_RECONCILIATION_MANUAL_QUERY and _CURSOR_FIELD: the rules, and whole tasks on DuckDB."""

from __future__ import annotations

import datetime
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest
from sql_harness import Ended, attempt, connection, run

from rehearse.bindings.config import Connection
from rehearse.errors import BindingError
from rehearse.jobs.base import JobError
from rehearse.jobs.reconciliation_host import compare, cursor_query, distance
from rehearse.jobs.sql_session import SqlError

DAY = datetime.date(2026, 1, 2)
NOON = datetime.datetime(2026, 1, 2, 12)


@pytest.mark.parametrize(
    ("source", "destination", "error", "warn", "status"),
    [
        (10, 10, None, None, "SUCCEEDED"),
        (10, 12, None, None, "SUCCEEDED"),  # numbers without thresholds: reported only (question 9)
        (10, 12, "> 1", "> 0", "FAILED"),
        (12, 10, "> 1", None, "FAILED"),  # the absolute difference
        (10, 11, "> 1", "> 0", "WARNING"),
        (10, 10, "> 0", "= 0", "WARNING"),
        (Decimal("1.5"), 1, "> 0", None, "FAILED"),
        (1.5, Decimal("1.5"), "> 0", "> 0", "SUCCEEDED"),
        ("a", "a", "= 0", "= 0", "SUCCEEDED"),  # thresholds are for numbers
        ("a", "b", None, None, "FAILED"),
        ("1", 1, None, None, "FAILED"),
        (None, None, None, None, "SUCCEEDED"),
        (None, 0, None, None, "FAILED"),
        (True, True, None, None, "SUCCEEDED"),
        (DAY, DAY, None, None, "SUCCEEDED"),
        (DAY, NOON, None, None, "FAILED"),
    ],
)
def test_rules_of_comparing(source: Any, destination: Any, error: str | None, warn: str | None, status: str) -> None:
    assert compare(source, destination, error, warn)[0] == status


@pytest.mark.parametrize(
    ("a", "b", "apart"),
    [(1, 4, 3), (Decimal("0.5"), 1, Decimal("0.5")), (DAY, datetime.date(2026, 1, 5), 3), (NOON, DAY, 43_200),
     (NOON, NOON.replace(tzinfo=datetime.UTC), 0), ("a", "a", 0), ("a", "b", 1), (None, None, 0)],
)  # fmt: skip
def test_how_far_maxima_are_apart(a: Any, b: Any, apart: Any) -> None:
    assert distance(a, b) == apart


@pytest.mark.parametrize(
    ("integration", "table", "column", "cursor", "sql"),
    [
        ("SNOWFLAKE", "raw.t", "id", None, "SELECT COUNT(*), MAX(id) FROM raw.t"),
        ("SNOWFLAKE", 'raw."T x"', '"Id"', 5, 'SELECT COUNT(*), MAX("Id") FROM raw."T x" WHERE "Id" > 5'),
        ("SQL_SERVER", "[dbo].[order]", "[at]", NOON,
         "SELECT COUNT(*), MAX([at]) FROM [dbo].[order] WHERE [at] > CAST('2026-01-02 12:00:00' AS DATETIME2)"),
        ("DATABRICKS", "t", "d", DAY, "SELECT COUNT(*), MAX(d) FROM t WHERE d > CAST('2026-01-02' AS DATE)"),
        ("POSTGRES", "t", "n", Decimal("-1.5"), "SELECT COUNT(*), MAX(n) FROM t WHERE n > -1.5"),
        ("DUCKDB", "t", "s", "it's", "SELECT COUNT(*), MAX(s) FROM t WHERE s > 'it''s'"),
    ],
)  # fmt: skip
def test_the_query_of_a_cursor(integration: str, table: str, column: str, cursor: Any, sql: str) -> None:
    assert cursor_query(table, column, cursor, {"integration": integration}) == sql


@pytest.mark.parametrize(
    ("table", "column"),
    [("t; drop table t", "id"), ("(select 1)", "id"), ("t where 1 = 1", "id"), ("t", "id) from t --"), ("t", "a + b"), ("", "id"),
     ("t as u", "id"), ("t", "")],
)  # fmt: skip
def test_fault_29_a_name_that_is_more_than_a_name_is_refused(table: str, column: str) -> None:
    with pytest.raises(SqlError, match="name"):
        cursor_query(table, column, None, {"integration": "SNOWFLAKE"})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a", "b"):
        with duckdb.connect(str(tmp_path / f"{name}.duckdb")) as file:
            file.execute("create schema raw; create table raw.t as select i as id, 'n' || i as n, "
                         "timestamp '2026-01-02 00:00:00' + to_hours(i::int) as \"at\" from range(10) r(i)")  # fmt: skip
    return tmp_path


def bound(folder: Path) -> dict[tuple[str, str | None], Connection]:
    return {
        ("SNOWFLAKE", None): connection("SNOWFLAKE", folder, name="snow", path="a.duckdb"),
        ("SQL_SERVER", "erp"): connection("SQL_SERVER", folder, name="erp", path="b.duckdb"),
    }


SIDES = {"source_integration": "SNOWFLAKE", "destination_integration": "SQL_SERVER", "destination_connection_id": "erp"}


def by_query(folder: Path, source: str, destination: str, **more: Any) -> Ended:
    parameters = {**SIDES, "source_query": source, "destination_query": destination, **more}
    return run("DATA_RECONCILIATION_MANUAL_QUERY", None, attempt(folder, bound(folder)), **parameters)


def by_cursor(folder: Path, column: str = "id", **more: Any) -> Ended:
    parameters = {
        **SIDES, "source_table_name": "raw.t", "source_column_name": column, "destination_table_name": "t",
        "destination_schema": "raw", "destination_column_name": column, "detect_count_drift": True,
        "detect_max_drift": True, **more,
    }  # fmt: skip
    return run("DATA_RECONCILIATION_CURSOR_FIELD", None, attempt(folder, bound(folder)), **parameters)


def change(folder: Path, name: str, sql: str) -> None:
    with duckdb.connect(str(folder / f"{name}.duckdb")) as file:
        file.execute(sql)


def test_two_queries_in_two_dialects(folder: Path) -> None:
    ended = by_query(
        folder, "select 1; select count_if(id > 2) from raw.t", "select top 1 len('abcdef') from raw.t",
        error_threshold_expression="> 0",
    )  # fmt: skip
    assert (ended.status, ended.message) == ("FAILED", "source 7, destination 6: they differ by 1, which is > 0")
    assert ended.code == 1
    (operation,) = ended.operations
    assert (operation["type"], operation["status"], operation["name"]) == ("TEST", "FAILED", "SNOWFLAKE and SQL_SERVER")
    assert operation["upstream"] == ["a.raw.t", "b.raw.t"]
    ended = by_query(folder, "select count(*) from t", "select count(*) from raw.t", source_schema="RAW")
    assert (ended.status, ended.message) == ("SUCCEEDED", "source 10, destination 10: equal")


@pytest.mark.parametrize(
    ("sql", "said"),
    [("select id from raw.t", r"of the source must give one value, and gave 10 row\(s\) of 1"),
     ("select 1, 2", r"gave 1 row\(s\) of 2"), ("select 1 where false", r"gave 0 row\(s\)"), ("use role r", "gave 0"),
     ("select x from raw.t", "DuckDB, in place of Snowflake")],
)  # fmt: skip
def test_a_side_must_give_one_value(folder: Path, sql: str, said: str) -> None:
    ended = by_query(folder, sql, "select 1")
    assert ended.status == "FAILED"
    with pytest.raises(SqlError, match=said):
        raise SqlError(str(ended.message))


def test_drift_of_count_and_maximum(folder: Path) -> None:
    assert by_cursor(folder).message == ("rows: source 10, destination 10: drift 0; "
                                         "maximum: source 9, destination 9: drift 0")  # fmt: skip
    change(folder, "b", "delete from raw.t where id > 7")
    ended = by_cursor(folder)
    assert (ended.status, ended.code) == ("FAILED", 1) and "maximum: source 9, destination 7: drift 2" in str(
        ended.message
    )
    allowed = {"detect_count_drift_error_threshold_expression": "> 2", "detect_max_drift": False}
    assert by_cursor(folder, **allowed).status == "WARNING"
    assert by_cursor(folder, **allowed, detect_count_drift_warn_threshold_expression="> 2").status == "SUCCEEDED"
    ended = by_cursor(folder, "at", detect_count_drift=False)
    assert "drift 7200," in str(ended.message), "timestamps are apart by seconds"
    change(folder, "b", "delete from raw.t")
    assert "one side has no value" in str(by_cursor(folder, **{**allowed, "detect_max_drift": True}).message)


def kept(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(path.read_text()) for path in sorted((folder / ".rehearse" / "cursors").glob("*"))]


def test_only_what_is_after_the_cursor_is_compared(folder: Path) -> None:
    cached = {"query_from_cursor_field_cache": True}
    assert by_cursor(folder).status == "SUCCEEDED" and not (folder / ".rehearse").exists()
    assert by_cursor(folder, **cached).status == "SUCCEEDED"
    assert [(each["type"], each["value"]) for each in kept(folder)] == [("number", "9")]
    change(folder, "b", "delete from raw.t where id = 3")  # before the cursor: not looked at any more
    ended = by_cursor(folder, **cached)
    assert (ended.status, ended.message) == ("SUCCEEDED", "rows: source 0, destination 0: drift 0; "
                                             "maximum: source null, destination null: drift 0")  # fmt: skip
    assert "WHERE id > 9" in ended.log
    change(folder, "a", "insert into raw.t (id) values (10), (11)")
    assert by_cursor(folder, **cached).status == "FAILED"
    assert kept(folder)[0]["value"] == "9", "only a success moves it"
    change(folder, "b", "insert into raw.t (id) values (10), (11)")
    assert by_cursor(folder, **cached).message == ("rows: source 2, destination 2: drift 0; "
                                                   "maximum: source 11, destination 11: drift 0")  # fmt: skip
    assert kept(folder)[0]["value"] == "11"
    ended = by_cursor(folder, **cached, cursor_field_cache_override="2")
    assert ended.status == "FAILED" and "WHERE id > 2" in ended.log


def test_the_cursor_is_the_lower_maximum_and_keeps_its_type(folder: Path) -> None:
    change(folder, "a", "insert into raw.t (id, \"at\") values (10, '2026-03-04 05:06:07.5')")
    loose = {f"detect_{what}_drift_{level}_threshold_expression": "> 99999999" for what in ("count", "max")
             for level in ("error", "warn")}  # fmt: skip
    assert by_cursor(folder, "at", query_from_cursor_field_cache=True, **loose).status == "SUCCEEDED"
    assert [(each["type"], each["value"]) for each in kept(folder)] == [("timestamp", "2026-01-02T09:00:00")]
    ended = by_cursor(folder, "at", query_from_cursor_field_cache=True, **loose)
    assert "rows: source 1, destination 0" in str(ended.message) and ended.status == "FAILED"


def test_a_broken_cursor_says_what_to_do(folder: Path) -> None:
    by_cursor(folder, query_from_cursor_field_cache=True)
    (path,) = (folder / ".rehearse" / "cursors").glob("*")
    path.write_text("{")
    ended = by_cursor(folder, query_from_cursor_field_cache=True)
    assert ended.status == "FAILED" and f"delete it: rm '{path}'" in str(ended.message)


def test_what_a_task_lacks(folder: Path) -> None:
    with pytest.raises(
        BindingError, match="the source of DATA_RECONCILIATION_MANUAL_QUERY names no connection of DATABRICKS"
    ):
        by_query(folder, "select 1", "select 1", source_integration="DATABRICKS")
    with pytest.raises(JobError, match="wants SQL of SLACK, which is no SQL integration"):
        by_query(folder, "select 1", "select 1", source_integration="SLACK")
    with pytest.raises(JobError, match="nothing is compared"):
        by_cursor(folder, detect_max_drift=False, detect_count_drift=False)

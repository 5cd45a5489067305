"""SQL of other warehouses on DuckDB: the same, or an error that says so; never silently different."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sql_harness import connection

from rehearse.jobs.sql_dialects import translate
from rehearse.jobs.sql_execution import execute
from rehearse.jobs.sql_session import SqlError, connect
from rehearse.jobs.sql_targets import KINDS, target_of


def rows(folder: Path, integration: str, sql: str, **overrides: Any) -> list[Any]:
    """Of the last statement, on the DuckDB file of the folder."""
    bound = connection(integration, folder, path="w.duckdb")
    session = connect(target_of(integration, bound, folder, overrides, "test"))
    try:
        results, _ = execute(session, sql)
        return [row if len(row) > 1 else row[0] for row in results[-1].rows]
    finally:
        session.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rows(tmp_path, "DUCKDB", "create schema raw; create table raw.t as select i, i % 3 as k from range(10) r(i);"
                             "create table main.m as select 'top' as name")  # fmt: skip
    return tmp_path


@pytest.mark.parametrize(
    ("integration", "sql", "expected"),
    [
        ("SNOWFLAKE", "select iff(k = 0, 'a', 'b') x from raw.t qualify row_number() over (order by i) = 1", ["a"]),
        ("SNOWFLAKE", "select name from anywhere.public.m", ["top"]),
        ("SNOWFLAKE", "use role r; use warehouse w; use database d; use schema raw; select count(*) from t", [10]),
        ("SNOWFLAKE", "set n = 4; select count(*) from raw.t where i < $n", [4]),
        ("SNOWFLAKE", "alter session set query_tag = 'x'; select 1", [1]),
        ("SNOWFLAKE", "create or replace transient table raw.c cluster by (i) as select 7 i; grant select on raw.c to role r;"
                      "select i from raw.c", [7]),
        ("SNOWFLAKE", "create table raw.at (at int, q int); insert into raw.at values (1, 2); select max(at), a.q from raw.at a "
                      "group by a.q", [(1, 2)]),
        ("SNOWFLAKE", "select 7 / 2, 'abcd'::varchar(2)", [(3.5, "ab")]),
        ("SNOWFLAKE", "insert into raw.t select 10, 1", [1]),
        ("SQL_SERVER", "select top 1 name from dbo.m", ["top"]),
        ("SQL_SERVER", "select convert(varchar(10), cast('2026-01-02 03:04:05' as datetime2), 120)", ["2026-01-02"]),
        ("SQL_SERVER", "select convert(varchar(2), name), cast('abcd' as nvarchar(max)), len('abc') from dbo.m",
         [("to", "abcd", 3)]),
        ("SQL_SERVER", "select isnull(null, 5) into #x; select * from #x", [5]),
        ("FABRIC_SYNAPSE", "select convert(varchar(8), hashbytes('md5', 'a'), 2)", ["0CC175B9"]),
        ("GCP_BIG_QUERY", "select safe_cast('x' as int64), name from `my-project.main.m`", [(None, "top")]),
        ("GCP_BIG_QUERY", "create table raw.p partition by d cluster by k options(description='x') as select 1 k, "
                          "date '2026-01-02' d; select k from raw.p", [1]),
        ("DATABRICKS", "create table raw.d using delta as select 1 x; optimize raw.d; select x from raw.d", [1]),
        ("CLICKHOUSE", "create table default.c (x UInt32) engine = MergeTree order by x; insert into default.c values (3);"
                       "select x + 1 from default.c", [4]),
        ("MYSQL", "select ifnull(null, 1) from `raw`.`t` limit 2, 1", [1]),
        ("MYSQL", "use raw; select count(*) from t", [10]),
        ("POSTGRES", "select name::text from public.m where name ~ '^t'", ["top"]),
        ("AWS_REDSHIFT", "create table raw.r distkey(x) sortkey(x) as select 1 x; select nvl(null, x) from raw.r", [1]),
        ("DREMIO", "select name from main.m", ["top"]),
    ],
)  # fmt: skip
def test_it_means_the_same(folder: Path, integration: str, sql: str, expected: list[Any]) -> None:
    assert rows(folder, integration, sql) == expected


@pytest.mark.parametrize(
    ("integration", "sql", "said"),
    [
        ("SNOWFLAKE", "copy into t from @stage", "loading and unloading files is different"),
        ("SNOWFLAKE", "call p()", "there is no counterpart"),
        ("SNOWFLAKE", "create task t as select 1", "there is no counterpart"),
        ("SNOWFLAKE", "select $n", r"\$n is not set before"),
        ("SNOWFLAKE", "select to_char(d, 'YYYY') from t", "'format' is not supported"),
        ("SNOWFLAKE", "select * from t at(timestamp => '2026-01-01'::timestamp)", "DuckDB, in place of Snowflake"),
        ("SNOWFLAKE", "selec 1", "cannot be read"),
        ("SQL_SERVER", "exec p 1", "Unsupported Execute"),
        ("SQL_SERVER", "select hashbytes('md5', name) from dbo.m", "gives bytes"),
        ("SQL_SERVER", "declare @x int = 1; select @x", "DuckDB, in place of SQL Server"),
        ("CLICKHOUSE", "select count() from t final", "Unsupported expression type Final"),
        ("CLICKHOUSE", "create table t (x Int8) engine = ReplacingMergeTree order by x", "Unsupported property"),
        ("MYSQL", "replace into t values (1)", "there is no counterpart"),
        ("POSTGRES", "do $$ begin perform 1; end $$", "there is no counterpart"),
        ("POSTGRES", "copy t from '/x.csv' with (format csv)", "loading and unloading"),
        ("AWS_REDSHIFT", "unload ('select 1') to 's3://b'", "there is no counterpart"),
    ],
)
def test_what_cannot_be_done_names_the_statement_and_both_dialects(
    folder: Path, integration: str, sql: str, said: str
) -> None:
    with pytest.raises(SqlError, match=said) as caught:
        rows(folder, integration, sql)
    names = {"SNOWFLAKE": "Snowflake", "SQL_SERVER": "SQL Server", "CLICKHOUSE": "ClickHouse", "MYSQL": "MySQL",
             "POSTGRES": "PostgreSQL", "AWS_REDSHIFT": "Redshift"}  # fmt: skip
    assert names[integration] in str(caught.value) and "DuckDB" in str(caught.value)
    assert sql.split("::")[0].split()[-1].strip("()'").lower() in str(caught.value).lower()


def test_nothing_is_run_when_a_later_statement_cannot_be(folder: Path) -> None:
    for bad in ("call p()", "selec 1", "create stage s"):
        with pytest.raises(SqlError):
            rows(folder, "SNOWFLAKE", f"delete from raw.t; {bad}")
    assert rows(folder, "DUCKDB", "select count(*) from raw.t") == [10]


def test_several_statements_are_one_transaction_where_they_are_one_on_the_warehouse(folder: Path) -> None:
    broken = "delete from raw.t; select 1 / 0 from nowhere"
    with pytest.raises(SqlError, match="nowhere"):
        rows(folder, "POSTGRES", broken)
    assert rows(folder, "DUCKDB", "select count(*) from raw.t") == [10]
    with pytest.raises(SqlError, match="nowhere"):
        rows(folder, "SNOWFLAKE", broken)  # there each statement is committed by itself
    assert rows(folder, "DUCKDB", "select count(*) from raw.t") == [0]


def test_what_is_left_out_is_said(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows(folder, "SNOWFLAKE", "use role r; create transient table d.raw.x as select name from d.public.m")
    assert capsys.readouterr().out.splitlines() == [
        "left out, there are no roles and warehouses here: USE ROLE r",
        "this file is the only database: d is left out",
        "schema public is main here",
        "left out: TRANSIENT",
    ]


def test_schema_and_database_of_the_task(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert rows(folder, "SNOWFLAKE", "select count(*) from t", schema="RAW", database="PROD", role="r") == [10]
    assert "this file is the only database: PROD is left out" in capsys.readouterr().out
    assert rows(folder, "SNOWFLAKE", "select name from m", schema="public") == ["top"]
    assert rows(folder, "MYSQL", "select count(*) from t", database="raw") == [10]
    with pytest.raises(SqlError, match=r"there is no schema 'STAGING' in DuckDB file w.duckdb") as caught:
        rows(folder, "SNOWFLAKE", "select 1", schema="STAGING")
    assert caught.value.hint == "it has main, raw"


def test_postgres_can_stand_in_too() -> None:
    (said,) = translate("select iff(a, 1, 2) from t limit 1", "snowflake", "postgres")
    assert said.sql == "SELECT CASE WHEN a THEN 1 ELSE 2 END FROM t LIMIT 1"


def test_every_integration_names_a_dialect_of_sqlglot() -> None:
    from sqlglot import Dialect

    assert {kind.dialect for kind in KINDS.values()} <= set(Dialect.classes)

"""SNOWFLAKE_SCHEMA_VALIDATION on DuckDB, and how types are compared."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import pytest
from sql_harness import Ended, attempt, connection, run

from rehearse.jobs.base import JobError
from rehearse.jobs.schema_validation_host import fits, read_type
from rehearse.jobs.sql_session import SqlError


@pytest.mark.parametrize(
    ("expected", "actual", "same"),
    [
        ("NUMBER(38,0)", "INTEGER", True), ("INTEGER", "NUMBER(38, 0)", True), ("BIGINT", "SMALLINT", True),
        ("INTEGER", "NUMBER(10,0)", False), ("NUMBER", "NUMBER(10,2)", True), ("decimal", "NUMBER(10,2)", True),
        ("NUMERIC(10)", "NUMBER(10,0)", True), ("NUMBER(10,2)", "NUMBER(10,3)", False), ("VARCHAR", "TEXT", True),
        ("string", "VARCHAR(20)", True), ("VARCHAR(20)", "TEXT", True), ("VARCHAR(20)", "VARCHAR(21)", False),
        ("CHAR", "VARCHAR(1)", True), ("CHAR", "VARCHAR(2)", False), ("DOUBLE PRECISION", "REAL", True),
        ("TIMESTAMP", "TIMESTAMP_NTZ", True), ("DATETIME", "TIMESTAMP_NTZ", True), ("TIMESTAMP_TZ", "TIMESTAMP_LTZ", False),
        ("BOOLEAN", "NUMBER", False), ("DATE", "TIMESTAMP", False), ("VARIANT", "OBJECT", False),
    ],
)  # fmt: skip
def test_types_as_snowflake_sees_them(expected: str, actual: str, same: bool) -> None:
    assert fits(read_type(expected, "snowflake"), read_type(actual, "snowflake"), on_duckdb=False) is same


@pytest.mark.parametrize(
    ("expected", "actual", "same"),
    [
        ("INTEGER", "BIGINT", True), ("NUMBER(38,0)", "HUGEINT", True), ("NUMBER(9,2)", "DECIMAL(9,2)", True),
        ("NUMBER(9,2)", "DECIMAL(9,3)", False), ("VARCHAR(20)", "VARCHAR", True), ("FLOAT", "DOUBLE", True),
        ("TIMESTAMP_NTZ", "TIMESTAMP", True), ("TIMESTAMP_LTZ", "TIMESTAMP WITH TIME ZONE", True),
        ("TIMESTAMP_NTZ", "TIMESTAMP WITH TIME ZONE", False), ("BINARY", "BLOB", True), ("VARIANT", "JSON", True),
        ("OBJECT", "STRUCT(a INTEGER)", True), ("ARRAY", "INTEGER[]", True), ("VARCHAR", "INTEGER", False),
    ],
)  # fmt: skip
def test_types_of_duckdb(expected: str, actual: str, same: bool) -> None:
    assert fits(read_type(expected, "snowflake"), read_type(actual, "duckdb"), on_duckdb=True) is same


def test_what_is_no_type() -> None:
    with pytest.raises(SqlError, match="'nonsense' is no type of Snowflake"):
        read_type("nonsense", "snowflake")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    with duckdb.connect(str(tmp_path / "w.duckdb")) as file:
        file.execute(
            "create table orders (id integer primary key, code varchar(9) unique not null, amount decimal(9,2), a int, b int,"
            " unique (a, b)); create unique index q on orders (b); create schema raw;"
            "create table raw.pair (x int, y int, primary key (x, y)); create view v as select * from orders"
        )
    return tmp_path


def look(folder: Path, table: str, column: str, expected: str, flags: str, **more: Any) -> Ended:
    """`flags`: which of n(ullable), p(rimary key), u(nique) are expected."""
    names = {"is_nullable": "n", "is_primary_key": "p", "is_unique": "u"}
    parameters = {"table_name": table, "column_name": column, "expected_type": expected, **more}
    parameters |= {name: letter in flags for name, letter in names.items()}
    return run(
        "SNOWFLAKE_SCHEMA_VALIDATION", connection("SNOWFLAKE", folder, path="w.duckdb"), attempt(folder), **parameters
    )


@pytest.mark.parametrize(
    ("table", "column", "expected", "flags", "differences"),
    [
        ("ORDERS", "ID", "NUMBER(38,0)", "pu", None),
        ("db.public.orders", "id", "INTEGER", "p", None),
        ("orders", "code", "VARCHAR(9)", "u", None),
        ("orders", "amount", "NUMBER(9,2)", "n", None),
        ("orders", "b", "INT", "nu", None),  # a unique index
        ("orders", "a", "INT", "n", None),  # unique only together with b
        ("raw.pair", "x", "INT", "p", None),
        ("v", "amount", "NUMBER", "n", None),
        ("orders", "amount", "NUMBER(9,3)", "n", "its type is NUMBER(9,2), expected NUMBER(9,3)"),
        ("orders", "amount", "VARCHAR", "pu", "its type is NUMBER(9,2), expected VARCHAR; it is nullable, expected not nullable; "
         "it is not in the primary key, expected in the primary key; it is not unique, expected unique"),
        ("raw.pair", "x", "INT", "pu", "it is not unique, expected unique"),
        ("orders", "code", "TEXT", "n", "it is not nullable, expected nullable; it is unique, expected not unique"),
    ],
)  # fmt: skip
def test_a_column(folder: Path, table: str, column: str, expected: str, flags: str, differences: str | None) -> None:
    ended = look(folder, table, column, expected, flags)
    assert ended.status == ("FAILED" if differences else "SUCCEEDED"), ended
    assert str(ended.message).endswith(differences or "as expected")
    assert ended.operations[0]["type"] == "TEST" and ended.operations[0]["upstream"][0].startswith("w.")


@pytest.mark.parametrize(
    ("table", "column", "said"),
    [("nowhere", "id", "there is no table nowhere in DuckDB file w.duckdb"),
     ("orders", "nothing", "orders has no column nothing in DuckDB file w.duckdb; it has id, code, amount, a, b")],
)  # fmt: skip
def test_what_is_missing(folder: Path, table: str, column: str, said: str) -> None:
    ended = look(folder, table, column, "INT", "")
    assert ended.status == "FAILED" and said in str(ended.message)


def test_schema_of_the_task_and_length_is_noted(folder: Path) -> None:
    assert look(folder, "pair", "y", "INT", "p", schema="RAW").status == "SUCCEEDED"
    assert "the length is not compared" in look(folder, "orders", "code", "VARCHAR(3)", "u").log


def test_a_postgres_connection_is_refused(tmp_path: Path) -> None:
    bound = connection("SNOWFLAKE", tmp_path, url="postgresql://h/d")
    parameters = dict.fromkeys(("table_name", "column_name", "expected_type"), "INT")
    flags = dict.fromkeys(("is_nullable", "is_primary_key", "is_unique"), True)
    with pytest.raises(JobError, match="looks at Snowflake or DuckDB only"):
        run("SNOWFLAKE_SCHEMA_VALIDATION", bound, attempt(tmp_path), **parameters, **flags)

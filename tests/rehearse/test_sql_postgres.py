"""SQL jobs on a real PostgreSQL, as processes."""

from __future__ import annotations

import datetime
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
from postgres_harness import Server, running_server
from sql_harness import Ended, Running, attempt, connection, prepare, run

from rehearse.bindings.config import Connection
from rehearse.jobs.sql_execution import execute
from rehearse.jobs.sql_postgres import _is_passing
from rehearse.jobs.sql_session import SqlError, connect
from rehearse.jobs.sql_targets import target_of


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running_server(tmp_path_factory.mktemp("postgres")) as server:
        yield server


@pytest.fixture
def table(server: Server) -> Iterator[Server]:
    server.fetch("create table t (id int primary key, name text)")
    yield server
    server.fetch("drop table if exists t")


@pytest.fixture
def bound(server: Server, tmp_path: Path) -> Connection:
    return connection("POSTGRES", tmp_path, url=server.url())


@pytest.fixture
def remote(server: Server, tmp_path: Path) -> Connection:
    parts = urlsplit(server.url())
    return connection(
        "POSTGRES", tmp_path, "remote", "shop", host="127.0.0.1", port=parts.port, user="webshop",
        password=parts.password, database="webshop",
    )  # fmt: skip


def query(bound: Connection, sql: str, **parameters: Any) -> Ended:
    return run("POSTGRES_RUN_QUERY", bound, attempt(bound.root), statement=sql, **parameters)


@pytest.mark.parametrize("which", ["bound", "remote"])
def test_several_statements(table: Server, which: str, request: pytest.FixtureRequest) -> None:
    ended = query(
        request.getfixturevalue(which),
        "insert into t select i, 'n' || i from generate_series(1, 2500) i; update t set name = ';' where id < 3;"
        "select *, 1.50 as d, date '2026-01-02', 'infinity'::date, array[1, 2], null, '{\"a\": 1}'::jsonb from t order by id",
        set_outputs=True,
    )
    assert (ended.status, ended.message, ended.code) == ("SUCCEEDED", "2500 row(s)", 0)
    assert len(ended.outputs["results"]) == 1000
    assert ended.outputs["results"][0] == [1, ";", 1.5, "2026-01-02", "infinity", [1, 2], None, {"a": 1}]
    assert [(o["rows"], o["asset"] and o["asset"]["name"]) for o in ended.operations] == [
        (2500, "webshop.public.t"), (2, "webshop.public.t"), (2500, None),
    ]  # fmt: skip
    assert ended.operations[2]["upstream"] == ["webshop.public.t"]
    assert table.fetch("select count(*) from t") == [(2500,)]


def test_values(bound: Connection) -> None:
    sql = "select 1.50, date '2026-01-02', timestamptz '2026-01-02 03:04:05+00', array[1, 2], null, '{\"a\": 1}'::jsonb, true"
    assert query(bound, f"set timezone = 'UTC'; {sql}", set_outputs=True).outputs == {
        "results": [[1.5, "2026-01-02", "2026-01-02T03:04:05+00:00", [1, 2], None, {"a": 1}, True]]
    }


def test_a_test_measures_rows_or_the_count(bound: Connection) -> None:
    for sql, error, status in (
        ("select i from generate_series(1, 5) i", "> 5", "WARNING"),
        ("select count(*) from generate_series(1, 5)", "= 5", "FAILED"),
        ("select 1 where false", "> 0", "SUCCEEDED"),
        ("create temp table x as select 1; select * from x", "> 1", "WARNING"),
    ):
        ended = run(
            "POSTGRES_RUN_TEST", bound, attempt(bound.root), statement=sql, error_threshold_expression=error,
            warn_threshold_expression="> 0",
        )  # fmt: skip
        assert ended.status == status, (sql, ended)


def test_all_statements_are_one_transaction(table: Server, bound: Connection) -> None:
    ended = query(bound, "insert into t values (1, 'a'); insert into t values (2, 'b'); select 1 / 0")
    assert (ended.code, ended.status, ended.message) == (1, "FAILED", "DivisionByZero: division by zero")
    assert table.fetch("select * from t") == []
    ended = query(bound, "select nme from t")
    assert ended.message == ('UndefinedColumn: column "nme" does not exist Perhaps you meant to reference the column '
                             '"t.name". (at character 8)')  # fmt: skip


@pytest.mark.parametrize(
    "sql",
    ["vacuum t", "begin; insert into t values (1, 'a'); commit; select 1", "do $$ begin raise notice 'hello; you'; end $$",
     "create index concurrently on t (name)", "", ";"],
)  # fmt: skip
def test_statements_of_other_kinds(table: Server, bound: Connection, sql: str) -> None:
    results, _ = _execute(bound, sql or " ")
    assert all(result.rows in ([], [(1,)]) for result in results)


def _execute(bound: Connection, sql: str, **overrides: Any) -> Any:
    session = connect(target_of(bound.integration, bound, bound.root, overrides, "job"))
    try:
        return execute(session, sql)
    finally:
        session.close()


def test_notices_are_logged(bound: Connection) -> None:
    assert "NOTICE: hello; you" in query(bound, "do $$ begin raise notice 'hello; you'; end $$").log


@pytest.mark.parametrize("sql", ["copy (select 1) to stdout", "create temp table c (x int); copy c from stdin"])
def test_copy_over_the_connection_is_refused_and_does_not_hang(bound: Connection, sql: str) -> None:
    with pytest.raises(SqlError, match="not possible in a SQL task"):
        _execute(bound, sql)


def test_many_rows_are_counted_and_not_kept(bound: Connection) -> None:
    import resource

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    results, _ = _execute(bound, "select i, repeat('x', 500) from generate_series(1, 600000) i")
    assert (results[0].count, len(results[0].rows)) == (600_000, 1000)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000


def test_overrides(server: Server, bound: Connection, remote: Connection) -> None:
    with psycopg.connect(server.administrator, autocommit=True) as admin:
        admin.execute("create database other owner webshop")
    for each in (bound, remote):
        assert _execute(each, "select current_database()", database="other")[0][0].rows == [("other",)]
    shown = _execute(connection("POSTGRES", bound.root, url=server.url(), schema="pg_catalog"), "show search_path")
    assert shown[0][0].rows == [("pg_catalog",)]


def test_redshift_speaks_the_same_protocol(remote: Connection) -> None:
    redshift = connection("AWS_REDSHIFT", remote.root, "remote", **remote.fields)
    ended = run(
        "AWS_REDSHIFT_EXECUTE_STATEMENT", redshift, attempt(remote.root), statement="select 1", set_outputs=True
    )
    assert ended.outputs == {"results": [[1]]}


def test_another_dialect_is_translated(table: Server, remote: Connection) -> None:
    snowflake = connection("SNOWFLAKE", remote.root, url=table.url())
    sql = "insert into t values (1, 'a'); select iff(name = 'a', 1, 2) from t"
    ended = run("SNOWFLAKE_RUN_QUERY", snowflake, attempt(remote.root), statement=sql, set_outputs=True)
    assert ended.outputs == {"results": [[1]]}
    ended = run("SNOWFLAKE_RUN_QUERY", snowflake, attempt(remote.root), statement="call p()")
    assert "Snowflake SQL that PostgreSQL cannot run (there is no counterpart): CALL p()" in str(ended.message)


def _is_active(server: Server, word: str) -> bool:
    return bool(server.fetch(f"select 1 from pg_stat_activity where state = 'active' and query like '%{word}%'"
                             " and pid <> pg_backend_pid()"))  # fmt: skip


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_cancelled_query_is_stopped_on_the_server(table: Server, bound: Connection, number: int) -> None:
    sql = "insert into t values (1, 'a'); select pg_sleep(60)"
    running = Running(prepare("POSTGRES_RUN_QUERY", {"statement": sql}, bound, attempt(bound.root)))
    running.wait_for(lambda: _is_active(table, "pg_sleep"))
    os.kill(running.process.pid, number)
    ended = running.end(5)
    assert ended.code == 130 and "stopping the query on PostgreSQL 127.0.0.1:" in ended.log
    deadline = time.monotonic() + 5
    while _is_active(table, "pg_sleep"):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert table.fetch("select * from t") == []


@pytest.mark.parametrize(
    ("said", "passes"),
    [("FATAL: the database system is starting up", True), ("FATAL: the database system is shutting down", True),
     ("FATAL: the database system is in recovery mode", True), ("connection refused", True),
     ("FATAL: the database system is not yet accepting connections", True), ("sorry, too many clients already", True),
     ("password authentication failed", False), ('database "x" does not exist', False), ("could not translate host name", False)],
)  # fmt: skip
def test_reasons_that_pass(said: str, passes: bool) -> None:
    assert _is_passing(psycopg.OperationalError(said)) is passes


LOAD = "insert into t select i, 'n' from generate_series(1, 1000) i; select pg_sleep({})"


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGQUIT], ids=["stopped", "crashed"])
def test_fault_23_postgres_goes_away_in_the_middle_of_a_load(
    table: Server, bound: Connection, how: signal.Signals
) -> None:
    running = Running(prepare("POSTGRES_RUN_QUERY", {"statement": LOAD.format(60)}, bound, attempt(bound.root)))
    running.wait_for(lambda: _is_active(table, "pg_sleep"))
    os.kill(table.state["pid"], how)
    first = running.end(20)
    assert (first.code, first.status) == (1, "FAILED")
    assert "was lost, and what was not committed is rolled back" in str(first.message)
    assert "database webshop" in str(first.message) and table.state["password"] not in first.log
    again = Running(prepare("POSTGRES_RUN_QUERY", {"statement": LOAD.format(0)}, bound, attempt(bound.root)))
    again.wait_for(lambda: "waiting up to 10 s for PostgreSQL 127.0.0.1:" in again.log)
    table.start()
    second = again.end(30)
    assert second.status == "SUCCEEDED", second
    assert table.fetch("select count(*), count(distinct id) from t") == [(1000, 1000)]


def test_fault_24_postgres_is_dead_for_good(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REHEARSE_CONNECT_SECONDS", "0.5")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # nobody listens there
        dead = connection(
            "POSTGRES", tmp_path, url=f"postgresql://me:very-secret@127.0.0.1:{taken.getsockname()[1]}/shop"
        )
        ended = query(dead, "select 1")
    assert (ended.code, ended.status) == (1, "FAILED")
    assert "cannot connect to PostgreSQL 127.0.0.1:" in str(ended.message)
    assert "database shop, user me (tried for 0." in str(ended.message) and "refused" in str(ended.message)
    assert "very-secret" not in ended.log


def test_fault_24_a_server_that_never_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REHEARSE_CONNECT_SECONDS", "2")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"postgresql://me:very-secret@127.0.0.1:{silent.getsockname()[1]}/shop"
        ended = query(connection("POSTGRES", tmp_path, url=url), "select 1")
    assert ended.status == "FAILED" and "timeout" in str(ended.message) and "database shop" in str(ended.message)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda url: url.replace("webshop:", "webshop:wrong-"), 'password authentication failed for user "webshop"'),
        (lambda url: url.removesuffix("webshop") + "nowhere", 'database "nowhere" does not exist'),
    ],
    ids=["password", "database"],
)
def test_fault_24_what_does_not_pass_fails_at_once(
    server: Server, tmp_path: Path, change: Callable[[str], str], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REHEARSE_CONNECT_SECONDS", "600")
    ended = query(connection("POSTGRES", tmp_path, url=change(server.url())), "select 1")
    assert ended.status == "FAILED" and said in str(ended.message)
    assert f"127.0.0.1:{server.state['port']}" in str(ended.message)
    assert server.state["password"] not in ended.log and "wrong-" not in ended.log
    assert "rehearse.toml" in str(ended.message)


def test_fault_24_too_many_connections(server: Server, bound: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    with psycopg.connect(server.administrator, autocommit=True) as admin:
        admin.execute("alter role webshop connection limit 1")
        try:
            with psycopg.connect(server.url()):
                monkeypatch.setenv("REHEARSE_CONNECT_SECONDS", "0.5")
                ended = query(bound, "select 1")
                assert ended.status == "FAILED" and "too many connections" in str(ended.message)
                monkeypatch.setenv("REHEARSE_CONNECT_SECONDS", "20")
                waiting = Running(prepare("POSTGRES_RUN_QUERY", {"statement": "select 1"}, bound, attempt(bound.root)))
                waiting.wait_for(lambda: "waiting" in waiting.log)
            assert waiting.end(20).status == "SUCCEEDED", "one place is free by now"
        finally:
            admin.execute("alter role webshop connection limit -1")


@pytest.mark.parametrize(
    "value", ["it's", "; drop table t; --", "$(x) `y` $$ $1", "a\nb\tc", "🦆 ‮", "${{ inputs.x }}", "%s %"]
)
def test_fault_29_any_text_in_a_value_arrives_as_it_is(table: Server, bound: Connection, value: str) -> None:
    quoted = value.replace("'", "''")
    results, _ = _execute(bound, f"insert into t values (1, '{quoted}'); select name from t")
    assert results[-1].rows == [(value,)]


def test_fault_29_a_nul_does_not_shorten_a_statement(table: Server, bound: Connection) -> None:
    """libpq takes a NUL for the end of the text: the first half alone would delete everything."""
    table.fetch("insert into t values (1, 'a')")
    ended = query(bound, "delete from t\0 where id = 99")
    assert ended.status == "FAILED" and "NUL character (at 14)" in str(ended.message)
    assert table.fetch("select id from t") == [(1,)]


def test_two_loads_at_once(table: Server, bound: Connection) -> None:
    ended: list[Ended] = []
    threads = [
        threading.Thread(target=lambda n=n: ended.append(query(bound, f"insert into t values ({n}, 'x')")))
        for n in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [each.status for each in ended] == ["SUCCEEDED"] * 3
    assert datetime.datetime.fromisoformat(ended[0].operations[0]["started_at"]).tzinfo is not None

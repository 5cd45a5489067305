"""SQL jobs on DuckDB, as processes."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import duckdb
import pytest
from sql_harness import Running, attempt, connection, prepare, run

from rehearse.errors import BindingError
from rehearse.jobs.base import JobError
from rehearse.jobs.sql_duckdb import open_patiently
from rehearse.jobs.sql_execution import execute
from rehearse.jobs.sql_session import SqlError, connect
from rehearse.jobs.sql_targets import pack, target_of, unpack


def query(folder: Path, sql: str, **parameters: Any) -> Any:
    return run(
        "DUCKDB_EXECUTE_QUERY", connection("DUCKDB", folder, path="w.duckdb"), attempt(folder), query=sql, **parameters
    )


def check(folder: Path, sql: str, **parameters: Any) -> Any:
    bound = connection("SNOWFLAKE", folder, path="w.duckdb")
    return run("SNOWFLAKE_RUN_TEST", bound, attempt(folder), statement=sql, **parameters)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    with duckdb.connect(str(tmp_path / "w.duckdb")) as file:
        file.execute("create table t as select i, 'n' || i as n from range(3) r(i)")
    return tmp_path


def test_the_last_query_gives_the_results_and_the_operations_tell_what_was_done(tmp_path: Path) -> None:
    ended = query(
        tmp_path,
        "create schema raw; create table raw.t as select i::decimal(9,1) as d, date '2026-01-02' + i::int as x "
        "from range(2500) r(i); insert into raw.t select * from raw.t limit 7; select * from raw.t order by 1",
        set_outputs=True,
    )
    assert (ended.code, ended.status, ended.message) == (0, "SUCCEEDED", "2507 row(s)")
    assert len(ended.outputs["results"]) == 1000 and ended.outputs["results"][0] == [0, "2026-01-02"]
    assert [(o["type"], o["name"].split()[0], o["rows"], o["upstream"]) for o in ended.operations] == [
        ("QUERY", "CREATE", None, []), ("QUERY", "CREATE", 2500, []), ("QUERY", "INSERT", 7, []),
        ("QUERY", "SELECT", 2507, ["w.raw.t"]),
    ]  # fmt: skip
    assert ended.operations[1]["asset"] == {"integration": "DUCKDB", "name": "w.raw.t", "type": "TABLE"}
    assert all(o["started_at"] <= o["ended_at"] and o["ended_at"].endswith("Z") for o in ended.operations)


def test_without_set_outputs_there_are_none(folder: Path) -> None:
    assert query(folder, "select 1").outputs == {}


@pytest.mark.parametrize(
    ("sql", "thresholds", "status", "message"),
    [
        ("select * from t where i > 5", {}, "SUCCEEDED", "measured 0"),
        ("select * from t", {}, "FAILED", "measured 3, which is > 0"),
        ("select count(*) from t", {"error_threshold_expression": "> 3", "warn_threshold_expression": "= 3"}, "WARNING",
         "measured 3, which is = 3"),
        ("select i from t limit 1", {"error_threshold_expression": "> 1", "warn_threshold_expression": "> 1"}, "SUCCEEDED",
         "measured 1"),
    ],
)  # fmt: skip
def test_tests(folder: Path, sql: str, thresholds: dict[str, str], status: str, message: str) -> None:
    ended = check(folder, sql, **thresholds)
    assert (ended.status, ended.message) == (status, message)
    assert ended.code == (1 if status == "FAILED" else 0)
    (operation,) = ended.operations
    assert (operation["type"], operation["status"], operation["upstream"]) == ("TEST", status, ["w.main.t"])


def test_a_test_makes_no_file(tmp_path: Path) -> None:
    ended = check(tmp_path, "select 1 from t")
    assert ended.message == "there is no DuckDB file w.duckdb; load something into it first"
    assert not (tmp_path / "w.duckdb").exists()


def test_an_error_is_told_with_the_statement(folder: Path) -> None:
    ended = check(folder, "select nothing from t")
    assert (ended.code, ended.status) == (1, "FAILED")
    assert ended.message.startswith("DuckDB, in place of Snowflake: Binder Error") and "FROM t" in ended.message
    assert ended.operations[0]["status"] == "FAILED" and ended.operations[0]["message"] == ended.message


def test_many_rows_are_counted_and_not_kept(tmp_path: Path) -> None:
    """A process that may have 300 MB more than it needs for DuckDB counts rows that would take more than a gigabyte."""
    bound = connection("DUCKDB", tmp_path, path=":memory:")
    session = connect(target_of("DUCKDB", bound, tmp_path, {}, "test"))
    before = _peak_kb()
    results, _ = execute(session, "select i, repeat('x', 500) as s from range(1500000) r(i)")
    session.close()
    assert (results[0].count, len(results[0].rows)) == (1_500_000, 1000)
    assert _peak_kb() - before < 300_000


def _peak_kb() -> int:
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def test_readers_are_there_at_once(folder: Path) -> None:
    """Only statements that write open the file for writing."""
    with duckdb.connect(str(folder / "w.duckdb"), read_only=True):
        assert query(folder, "select 1; explain select 2; select count(*) from t", set_outputs=True).outputs == {
            "results": [[3]]
        }


def test_a_select_that_writes(folder: Path) -> None:
    assert query(folder, "create sequence s").status == "SUCCEEDED"
    assert query(folder, "select nextval('s')", set_outputs=True).outputs == {"results": [[1]]}
    assert query(folder, "select nextval('s')", set_outputs=True).outputs == {"results": [[2]]}


def test_a_cancelled_query_ends_at_once_and_leaves_nothing(folder: Path) -> None:
    bound = connection("DUCKDB", folder, path="w.duckdb")
    sql = "create table big as select a.range from range(200000) a, range(200000) b where a.range + b.range = -1"
    running = Running(prepare("DUCKDB_EXECUTE_QUERY", {"query": sql}, bound, attempt(folder)))
    running.wait_for(lambda: "create table big" in running.log)
    time.sleep(0.5)
    os.kill(running.process.pid, signal.SIGINT)
    ended = running.end(5)
    assert ended.code == 130 and "stopping the query on DuckDB file w.duckdb" in ended.log
    assert ended.status is None, "the supervisor knows why"
    assert query(folder, "show tables", set_outputs=True).outputs == {"results": [["t"]]}


@pytest.fixture
def holder(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Another program, as a notebook, that has the file open."""
    code = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('open', flush=True); sys.stdin.read()"
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(folder / "w.duckdb"), "my-notebook"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None and process.stdout.readline() == "open\n"
    yield process
    process.kill()
    process.communicate()


def test_fault_25_a_locked_file_is_waited_for(folder: Path, holder: subprocess.Popen[str]) -> None:
    bound = connection("DUCKDB", folder, path="w.duckdb")
    running = Running(
        prepare("DUCKDB_EXECUTE_QUERY", {"query": "insert into t values (9, 'x')"}, bound, attempt(folder))
    )
    running.wait_for(lambda: "waiting" in running.log)
    holder.communicate()  # closes its standard input: it ends
    ended = running.end(20)
    assert ended.status == "SUCCEEDED"
    assert f"waiting up to 60 s for DuckDB file w.duckdb: process {holder.pid} (" in ended.log
    assert "import duckdb, sys" in ended.log, "the command, so that people know which window it is"
    assert ended.log.count("waiting") == 1


def test_fault_25_a_file_that_stays_locked(
    folder: Path, holder: subprocess.Popen[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REHEARSE_DUCKDB_LOCK_SECONDS", "0.3")
    for sql in ("insert into t values (9, 'x')", "select * from t"):
        ended = query(folder, sql)
        assert (ended.code, ended.status) == (1, "FAILED")
        assert f"DuckDB file w.duckdb is still in use after 0.3 s: process {holder.pid} (" in ended.message
        assert "close it there" in ended.message and "read a copy of the file meanwhile" in ended.message
    shutil.copy(folder / "w.duckdb", folder / "published.duckdb")
    copy = connection("DUCKDB", folder, path="published.duckdb")
    ended = run("DUCKDB_EXECUTE_QUERY", copy, attempt(folder), query="select count(*) from t", set_outputs=True)
    assert ended.outputs == {"results": [[3]]}


def test_fault_25_a_wait_can_be_cancelled(folder: Path, holder: subprocess.Popen[str]) -> None:
    bound = connection("DUCKDB", folder, path="w.duckdb")
    running = Running(prepare("DUCKDB_EXECUTE_QUERY", {"query": "drop table t"}, bound, attempt(folder)))
    running.wait_for(lambda: "waiting" in running.log)
    os.kill(running.process.pid, signal.SIGTERM)
    assert running.end(5).code == 130


def test_a_lock_time_that_is_no_number(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REHEARSE_DUCKDB_LOCK_SECONDS", "soon")
    with pytest.raises(BindingError, match="REHEARSE_DUCKDB_LOCK_SECONDS=soon is not a number of seconds"):
        query(folder, "select 1")


@pytest.mark.parametrize(
    "value", ["it's", 'a "b"', "; drop table t; --".replace("'", ""), "$(touch pwned) `touch pwned`", "line\nbreak\ttab",
              "emoji 🦆 ‮rtl", "${{ inputs.x }}", "../..", "%s {0} :x ?", "\\'"],
)  # fmt: skip
def test_fault_29_any_text_in_a_value_arrives_as_it_is(folder: Path, value: str) -> None:
    quoted = value.replace("'", "''")
    ended = query(folder, f"insert into t values (9, '{quoted}'); select n from t where i = 9", set_outputs=True)
    assert ended.outputs == {"results": [[value]]}
    assert not (folder / "pwned").exists()


def test_fault_29_a_nul_is_an_error_and_nothing_is_done(folder: Path) -> None:
    ended = query(folder, "delete from t where n = 'a' or true -- \0 and false")
    assert ended.status == "FAILED" and ended.message.startswith("the SQL holds a NUL character (at 40)")
    assert query(folder, "select count(*) from t", set_outputs=True).outputs == {"results": [[3]]}


def test_fault_29_half_a_character_is_an_error(folder: Path) -> None:
    ended = query(folder, "select '\ud83e'")
    assert (ended.code, ended.status) == (1, "FAILED")


def test_a_long_statement_is_passed_on(folder: Path) -> None:
    """Longer than what one variable of the environment may hold."""
    values = ",".join(f"({i},'{'v' * 40}')" for i in range(6000))
    ended = query(folder, f"insert into t values {values}; select count(*) from t", set_outputs=True)
    assert ended.outputs == {"results": [[6003]]}
    assert len(ended.log) < 11_000
    with pytest.raises(JobError, match="more than 1,000,000 cannot be passed on"):
        query(folder, "x" * 1_000_000)


def test_a_request_is_taken_out_of_the_environment() -> None:
    environment = {"OTHER": "1", **pack({"sql": "é" * 100_000})}
    assert unpack(environment) == {"sql": "é" * 100_000}
    assert environment == {"OTHER": "1"}


@pytest.mark.parametrize(
    ("integration", "mode", "entries", "error", "said"),
    [
        ("DUCKDB", "local", {}, BindingError, "neither 'path' .* nor 'url'"),
        ("MYSQL", "local", {"url": "mysql://h"}, BindingError, "the url begins with 'mysql'"),
        ("DUCKDB", "stub", {}, JobError, "is stub, and job needs a database"),
        ("DREMIO", "remote", {}, JobError, "no client for a remote DREMIO"),
        ("BAUPLAN", "remote", {}, JobError, "no client for a remote BAUPLAN"),
        ("MONGODB", "remote", {}, JobError, "MONGODB, which is no SQL integration"),
        ("SNOWFLAKE", "remote", {"user": "u"}, BindingError, "is remote and lacks account"),
        ("DATABRICKS", "remote", {"host": "h"}, BindingError, "is remote and lacks token"),
    ],
)
def test_what_a_connection_lacks(
    tmp_path: Path, integration: str, mode: str, entries: dict[str, str], error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        target_of(integration, connection(integration, tmp_path, mode, **entries), tmp_path, {}, "job")


def test_a_task_without_connection_or_sql(tmp_path: Path) -> None:
    with pytest.raises(BindingError, match="names no connection of DUCKDB"):
        prepare("DUCKDB_EXECUTE_QUERY", {"query": "select 1"}, None, attempt(tmp_path))
    with pytest.raises(JobError, match="has no SQL"):
        query(tmp_path, "  ")


def test_several_tasks_make_the_same_duckdb_file(tmp_path: Path) -> None:
    """DuckDB lets one see the empty file of the other, and calls it broken."""
    with ThreadPoolExecutor(3) as pool:
        for number in range(2):
            folder = tmp_path / str(number)
            folder.mkdir()
            ended = list(pool.map(lambda n: query(folder, f"create table t{n} as select 1"), range(3)))  # noqa: B023
            assert [each.status for each in ended] == ["SUCCEEDED"] * 3, ended
            assert [path.name for path in folder.iterdir()] == ["w.duckdb"]


def test_a_duckdb_file_where_no_links_can_be_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.link", Mock(side_effect=PermissionError))
    target = target_of("DUCKDB", connection("DUCKDB", tmp_path, path="w.duckdb"), tmp_path, {}, "job")
    open_patiently(target, str(tmp_path / "w.duckdb"), read_only=False).close()
    assert [path.name for path in tmp_path.iterdir()] == ["w.duckdb"]


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "w.duckdb").write_text("something else, long enough to be looked at " * 100)
    target = target_of("DUCKDB", connection("DUCKDB", tmp_path, path="w.duckdb"), tmp_path, {}, "job")
    with pytest.raises(SqlError, match=r"cannot open DuckDB file w.duckdb: .*not a valid DuckDB"):
        connect(target).run("select 1")

"""The run store, the same on SQLite and on a real PostgreSQL."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from postgres_harness import Server, running_server

from rehearse.errors import StoreError, UsageError
from rehearse.store.records import Fenced, Owner, Store, open_store

ME = Owner(os.getpid(), "1", "here", "2026-01-01T00:00:00.000000Z")
YOU = Owner(1, "2", "elsewhere", "2026-01-02T00:00:00.000000Z")
RACE = """
import sys, os
from pathlib import Path
from rehearse.store.records import Owner, open_store
store = open_store(Path(sys.argv[1]), sys.argv[2])
sys.stdin.readline()
owner = Owner(os.getpid(), "1", "here", "now")
"""


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running_server(tmp_path_factory.mktemp("postgres")) as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / '.rehearse' / 'rehearse.db'}"
    server: Server = request.getfixturevalue("server")
    server.fetch("drop schema if exists rehearse cascade")
    return server.url()


@pytest.fixture
def store(tmp_path: Path, url: str) -> Iterator[Store]:
    store = open_store(tmp_path, url)
    yield store
    store.close()


def run_row(number: int = 1, **fields: Any) -> dict[str, Any]:
    return {
        "id": str(uuid4()), "pipeline": "p", "name": "P", "file": "p.yml", "status": "CREATED", "environment": "local",
        "branch": None, "inputs": {"a": [1, "ü"]}, "definition": "version: v1\n", "folder": ".rehearse/runs/x",
        "trigger": "MANUAL", "max_active": None, "executor": "local", "created_at": f"2026-01-{number:02d}T00:00:00.000000Z",
    } | fields  # fmt: skip


def task_row(run_id: str, position: int = 0, **fields: Any) -> dict[str, Any]:
    return {
        "id": str(uuid4()), "run_id": run_id, "position": position, "group_id": "g", "task_id": f"t{position}", "item": None,
        "name": "T", "integration": "PYTHON", "job": "PYTHON_EXECUTE_SCRIPT", "connection": None, "status": "CREATED",
        "attempt": 0, "retry_at": None, "wait_until": None, "child_run": None, "simulated": False, "carried": None,
        "message": None, "parameters": {}, "outputs": {}, "created_at": None, "started_at": None, "ended_at": None,
    } | fields  # fmt: skip


def create(store: Store, number: int = 1, **fields: Any) -> str:
    run = run_row(number, **fields)
    store.create_run(run, [], ME, None)
    return str(run["id"])


def test_what_is_written_is_read(store: Store) -> None:
    run = run_row()
    tasks = [task_row(run["id"], 1), task_row(run["id"], 0, outputs={"n": 1})]
    assert store.create_run(run, tasks, ME, 3).refused_by == 0
    found = store.run("latest")
    assert {name: found[name] for name in run} == run and (found["fence"], found["engine_pid"]) == (1, ME.pid)
    assert [row["task_id"] for row in store.task_runs(run["id"])] == ["t0", "t1"]
    changed = tasks[0] | {"status": "FAILED", "message": "why\0", "outputs": {"x": {"y": [None]}}, "simulated": True}
    attempt = {
        "task_run_id": tasks[0]["id"], "number": 1, "run_id": run["id"], "status": "FAILED", "message": None,
        "executor": "local", "folder": "f", "started_at": "a", "ended_at": "b",
    }  # fmt: skip
    store.commit(run["id"], 1, run={"status": "RUNNING", "started_at": "x"}, tasks=[changed], attempts=[attempt])
    store.commit(run["id"], 1, attempts=[attempt | {"status": "SUCCEEDED"}])
    row = store.task_runs(run["id"])[1]
    assert (row["status"], row["message"], row["outputs"], row["simulated"]) == (
        "FAILED",
        "why\\0",
        {"x": {"y": [None]}},
        True,
    )
    assert [found["status"] for found in store.attempts(run["id"])] == ["SUCCEEDED"]
    assert store.counts([run["id"]]) == {run["id"]: {"CREATED": 1, "FAILED": 1}}


def test_runs_are_found(store: Store) -> None:
    first = create(store, 1, id="aaaa-1")
    create(store, 2, id="aaaa-2", pipeline="q", status="SUCCEEDED")
    assert store.run("latest")["id"] == "aaaa-2" and store.run("latest", "p")["id"] == "aaaa-1"
    assert store.run("AAAA-1")["id"] == first
    for wanted, said in (("aaaa", "several runs begin with 'aaaa'"), ("b", "there is no run 'b'")):
        with pytest.raises(UsageError, match=said) as caught:
            store.run(wanted)
        assert "aaaa-2 SUCCEEDED 2026-01-02T00:00Z" in str(caught.value.hint)
    assert [run["id"] for run in store.runs()] == ["aaaa-2", "aaaa-1"]
    assert [run["id"] for run in store.runs(pipeline="p", status="CREATED")] == ["aaaa-1"]
    assert [run["id"] for run in store.runs(before="2026-01-02T00:00:00.000000Z")] == ["aaaa-1"]
    assert [run["id"] for run in store.unfinished()] == ["aaaa-1"]
    assert store.find_run("aaaa") is None


def test_operations_make_lineage(store: Store) -> None:
    run_id = create(store)
    task = task_row(run_id)
    common = {"run_id": run_id, "task_run_id": task["id"], "attempt": 1, "status": "SUCCEEDED", "message": None}
    load = common | {"type": "INGESTION", "name": "shop.orders", "rows": 7, "upstream": ["shop.orders"],
                     "asset": {"integration": "DUCKDB", "name": "raw.orders", "type": "TABLE"}}  # fmt: skip
    model = common | {"type": "MATERIALISATION", "name": "m", "rows": None, "upstream": ["raw.orders"],
                      "asset": {"integration": "DUCKDB", "name": "marts.orders", "type": "TABLE"}}  # fmt: skip
    test = common | {"type": "TEST", "name": "not_null", "asset": None}
    for _ in range(2):  # the same attempt, adopted twice
        store.commit(run_id, 1, tasks=[task], operations=[load, model, test])
    assert [(o["name"], o["rows"], o["asset"]) for o in store.operations(run_id)] == [
        ("m", None, "marts.orders"), ("not_null", None, None), ("shop.orders", 7, "raw.orders"),
    ]  # fmt: skip
    assert [(d["upstream"], d["downstream"]) for d in store.asset_dependencies()] == [
        ("raw.orders", "marts.orders"), ("shop.orders", "raw.orders"),
    ]  # fmt: skip
    assert {asset["name"]: asset["updated_at"] is None for asset in store.assets()} == {
        "raw.orders": False, "marts.orders": False, "shop.orders": True,
    }  # fmt: skip


def test_requests_reach_the_engine_once(store: Store) -> None:
    run_id = create(store)
    first = store.request(run_id, "cancel", by="amy")
    second = store.request(run_id, "approve", "task", {"message": "ok"})
    assert [(r["id"], r["kind"], r["argument"]) for r in store.requests([run_id])] == [
        (first, "cancel", None), (second, "approve", {"message": "ok"}),
    ]  # fmt: skip
    assert store.requests(["another"]) == [] and store.answer(first) is None
    store.handled(first, "done")
    assert store.answer(first) == "done" and [r["id"] for r in store.requests([run_id])] == [second]


def test_fault_22_only_the_owner_writes(store: Store) -> None:
    run_id = create(store)
    assert store.take_over(run_id, 1, YOU) == 2
    assert store.take_over(run_id, 1, ME) is None
    with pytest.raises(Fenced, match="process 1 on elsewhere since 2026-01-02"):
        store.commit(run_id, 1, run={"status": "FAILED"}, tasks=[task_row(run_id)])
    assert store.run(run_id)["status"] == "CREATED" and store.task_runs(run_id) == []
    store.heartbeat([(run_id, 1)], "old")
    store.heartbeat([(run_id, 2)], "new")
    assert store.run(run_id)["heartbeat_at"] == "new"


def test_a_commit_is_all_or_nothing(store: Store) -> None:
    run_id = create(store)
    broken = task_row(run_id) | {"status": None}
    with pytest.raises(StoreError):
        store.commit(run_id, 1, run={"status": "RUNNING"}, tasks=[task_row(run_id), broken])
    assert store.run(run_id)["status"] == "CREATED" and store.task_runs(run_id) == []
    store.commit(run_id, 1, run={"status": "RUNNING"})


def race(folder: Path, url: str, code: str, count: int = 6) -> list[str]:
    """The same code in several processes at the same moment; what each printed."""
    command = [sys.executable, "-c", RACE + code, str(folder), url]
    processes = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(count)
    ]
    time.sleep(0.5)
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    return [process.communicate(timeout=60)[0].strip() for process in processes]


def test_of_many_that_start_at_once_only_so_many_are_active(store: Store, url: str, tmp_path: Path) -> None:
    row = {key: value for key, value in run_row().items() if key != "id"}
    code = f"import uuid\nprint(store.create_run({row!r} | {{'id': str(uuid.uuid4())}}, [], owner, 2).refused_by)"
    assert sorted(race(tmp_path, url, code)) == ["0", "0", "2", "2", "2", "2"]
    assert sorted(run["status"] for run in store.runs()) == ["CREATED"] * 2 + ["SKIPPED"] * 4
    assert "max_active is 2" in store.runs(status="SKIPPED")[0]["message"]


def test_of_many_that_take_over_one_wins(store: Store, url: str, tmp_path: Path) -> None:
    run_id = create(store)
    assert sorted(race(tmp_path, url, f"print(store.take_over({run_id!r}, 1, owner))")) == ["2"] + ["None"] * 5


def test_many_may_make_the_store_at_once(url: str, tmp_path: Path) -> None:
    assert race(tmp_path, url, "print(len(store.runs()))") == ["0"] * 6


# Only SQLite


def sqlite_file(folder: Path) -> Path:
    return folder / ".rehearse" / "rehearse.db"


def test_the_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    open_store(tmp_path).close()
    assert (
        sqlite_file(tmp_path).stat().st_mode & 0o077 == 0 and sqlite_file(tmp_path).parent.stat().st_mode & 0o077 == 0
    )


VERSION_1 = """
CREATE TABLE runs (id VARCHAR NOT NULL, pipeline VARCHAR NOT NULL, name VARCHAR NOT NULL, file VARCHAR NOT NULL,
  status VARCHAR NOT NULL, environment VARCHAR NOT NULL, inputs JSON NOT NULL, definition TEXT NOT NULL, folder VARCHAR NOT NULL,
  created_at VARCHAR NOT NULL, ended_at VARCHAR, PRIMARY KEY (id));
CREATE INDEX ix_runs_pipeline ON runs (pipeline);
CREATE TABLE task_runs (id VARCHAR NOT NULL, run_id VARCHAR NOT NULL, group_id VARCHAR NOT NULL, task_id VARCHAR NOT NULL,
  item VARCHAR, name VARCHAR NOT NULL, integration VARCHAR NOT NULL, job VARCHAR NOT NULL, status VARCHAR NOT NULL,
  attempt INTEGER NOT NULL, simulated BOOLEAN NOT NULL, message TEXT, outputs JSON NOT NULL, started_at VARCHAR, ended_at VARCHAR,
  PRIMARY KEY (id), FOREIGN KEY(run_id) REFERENCES runs (id));
CREATE INDEX ix_task_runs_run_id ON task_runs (run_id);
PRAGMA user_version=1;
"""


def version_1(folder: Path) -> None:
    sqlite_file(folder).parent.mkdir()
    with sqlite3.connect(sqlite_file(folder)) as old:
        old.executescript(VERSION_1)
        values = (
            "r1",
            "p",
            "P",
            "p.yml",
            "SUCCEEDED",
            "local",
            '{"a": 1}',
            "text",
            f"{folder}/.rehearse/runs/x",
            "c",
            "e",
        )
        old.execute(f"insert into runs values ({', '.join('?' * 11)})", values)
        old.execute(
            "insert into runs values ('r2', 'p', 'P', 'p.yml', 'RUNNING', 'local', '{}', 'text', 'f', 'd', null)"
        )
        task = ("t1", "r1", "g", "t", "a", "T", "PYTHON", "J", "SUCCEEDED", 1, 0, None, '{"n": 1}', "s", "e")
        old.execute(f"insert into task_runs values ({', '.join('?' * 15)})", task)
    old.close()


def test_fault_32_an_old_store_is_migrated_with_a_backup(tmp_path: Path) -> None:
    version_1(tmp_path)
    store = open_store(tmp_path)
    run = store.run("r1")
    assert (run["status"], run["inputs"], run["folder"], run["trigger"]) == (
        "SUCCEEDED",
        {"a": 1},
        ".rehearse/runs/x",
        "MANUAL",
    )
    assert (store.run("r2")["status"], store.unfinished()) == ("FAILED", [])
    [task] = store.task_runs("r1")
    assert (task["item"], task["outputs"], task["attempt"]) == ("a", {"n": 1}, 1)
    store.close()
    backup = sqlite3.connect(f"{sqlite_file(tmp_path)}.v1.bak")
    assert backup.execute("select status from runs order by id").fetchall() == [("SUCCEEDED",), ("RUNNING",)]
    backup.close()
    open_store(tmp_path).close()


def test_fault_32_what_version_2_lacks_is_added(store: Store, url: str, tmp_path: Path) -> None:
    """Of version 2: no tables for `serve`, and fewer columns."""
    database = store._database
    new = {
        "runs": ("pipeline_id", "triggered_by", "accept_key"),
        "operations": ("inserted_at",),
        "assets": ("details",),
    }
    with database.transaction():
        for index in ("runs_by_accept_key", "runs_by_pipeline_id", "operations_by_time"):
            database.execute(f"DROP INDEX {index}")
        for table, columns in new.items():
            for column in columns:
                database.execute(f"ALTER TABLE {table} DROP COLUMN {column}")
        for table in ("firings", "pipelines"):
            database.execute(f"DROP TABLE {table}")
        if database.is_sqlite:
            database.execute("PRAGMA user_version=2")
        else:
            database.execute("UPDATE version SET number = 2")
    run_id = create(store)
    again = open_store(tmp_path, url)
    assert again.run(run_id)["accept_key"] is None
    assert again._database.rows("SELECT count(*) AS n FROM firings")[0]["n"] == 0
    again.close()


def test_fault_32_many_may_migrate_at_once(tmp_path: Path) -> None:
    version_1(tmp_path)
    assert race(tmp_path, f"sqlite:///{sqlite_file(tmp_path)}", "print(len(store.runs()))", 4) == ["2"] * 4


def test_fault_32_a_migration_that_breaks_off_leaves_the_old_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rehearse.store import schema

    version_1(tmp_path)

    def power_cut(database: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(schema, "_set_version", power_cut)
    with pytest.raises(KeyboardInterrupt):
        open_store(tmp_path)
    monkeypatch.undo()
    with sqlite3.connect(sqlite_file(tmp_path)) as old:
        assert old.execute("pragma user_version").fetchone() == (1,)
        assert old.execute("select count(*) from runs").fetchone() == (2,)
    old.close()
    store = open_store(tmp_path)
    assert store.run("r1")["status"] == "SUCCEEDED"
    store.close()


def test_fault_32_a_newer_store_is_refused(
    store: Store, url: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    if url.startswith("sqlite"):
        with sqlite3.connect(sqlite_file(tmp_path)) as file:
            file.execute("pragma user_version=99")
        file.close()
    else:
        request.getfixturevalue("server").fetch("update rehearse.version set number = 99")
    with pytest.raises(UsageError, match=r"newer rehearse \(version 99") as caught:
        open_store(tmp_path, url)
    assert "update rehearse" in str(caught.value.hint)


def test_fault_31_a_damaged_file_is_one_sentence(tmp_path: Path) -> None:
    sqlite_file(tmp_path).parent.mkdir()
    sqlite_file(tmp_path).write_bytes(b"no database at all" * 1000)
    with pytest.raises(StoreError, match=r"rehearse\.db is damaged: file is not a database") as caught:
        open_store(tmp_path)
    assert "move it away" in str(caught.value.hint)


# Only PostgreSQL


@pytest.mark.parametrize("how", ["password", "database", "port"])
def test_fault_24_a_store_that_cannot_be_reached_says_which(server: Server, tmp_path: Path, how: str) -> None:
    url = server.url()
    secret = url.split(":")[2].split("@")[0]
    host = url.split("@")[1]
    changed = {
        "password": url.replace(secret, "wrong-password-1"), "database": f"{url}-not-there",
        "port": url.replace(host, f"127.0.0.1:1/{host.split('/')[1]}"),
    }[how]  # fmt: skip
    began = time.monotonic()
    with pytest.raises(StoreError) as caught:
        open_store(tmp_path, changed)
    said = f"{caught.value} {caught.value.hint}"
    assert time.monotonic() - began < 15 and "127.0.0.1:" in said
    assert secret not in said and "wrong-password-1" not in said


def test_an_unknown_kind_of_store(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"mysql://\.\.\."):
        open_store(tmp_path, "mysql://user:secret-word@host/x")

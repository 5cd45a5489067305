"""SQL jobs on MySQL's protocol, against a MariaDB of our own where this machine has one."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pymysql
import pytest
from sql_harness import Ended, Running, attempt, connection, prepare, run

from rehearse.bindings.config import Connection

SERVER = shutil.which("mariadbd") or shutil.which("mariadbd", path="/usr/sbin:/usr/local/sbin")
INSTALL = shutil.which("mariadb-install-db")
pytestmark = pytest.mark.skipif(not SERVER or not INSTALL, reason="MariaDB is not on this machine")
PASSWORD = "very-secret-password"


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    folder = Path(tempfile.mkdtemp(prefix="mariadb-"))
    assert SERVER and INSTALL
    user = []
    if os.geteuid() == 0:
        account = next(name for name in ("mysql", "nobody") if name in {each.pw_name for each in pwd.getpwall()})
        user = [f"--user={account}"]
        os.chown(folder, pwd.getpwnam(account).pw_uid, pwd.getpwnam(account).pw_gid)
    (folder / "init.sql").write_text(
        "create database shop;\n"  # one statement a line
        f"create user app@'127.0.0.1' identified by '{PASSWORD}';\n"
        "grant all on *.* to app@'127.0.0.1';\n"
    )
    (folder / "init.sql").chmod(0o644)
    common = ["--no-defaults", f"--datadir={folder}/data", *user]
    subprocess.run([INSTALL, *common, "--skip-test-db"], check=True, capture_output=True, cwd="/")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        number = free.getsockname()[1]
    process = subprocess.Popen(
        [SERVER, *common, f"--port={number}", "--bind-address=127.0.0.1", f"--socket={folder}/data/s",
         f"--init-file={folder}/init.sql", "--innodb-flush-log-at-trx-commit=0", "--skip-log-bin", "--skip-name-resolve"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/",
    )  # fmt: skip
    try:
        deadline = time.monotonic() + 30
        while True:
            try:
                pymysql.connect(host="127.0.0.1", port=number, user="app", password=PASSWORD).close()
                break
            except pymysql.Error:
                assert time.monotonic() < deadline and process.poll() is None
                time.sleep(0.05)
        yield number
    finally:
        process.terminate()
        process.wait(30)
        shutil.rmtree(folder)


@pytest.fixture
def bound(port: int, tmp_path: Path) -> Iterator[Connection]:
    yield connection(
        "MYSQL", tmp_path, "remote", host="127.0.0.1", port=port, user="app", password=PASSWORD, database="shop"
    )
    fetch(port, "drop table if exists t")


def fetch(port: int, sql: str) -> Any:
    with pymysql.connect(host="127.0.0.1", port=port, user="app", password=PASSWORD, database="shop") as client:
        cursor = client.cursor()
        cursor.execute(sql)
        return cursor.fetchall()


def query(bound: Connection, sql: str, **parameters: Any) -> Ended:
    return run("MYSQL_RUN_QUERY", bound, attempt(bound.root), statement=sql, set_outputs=True, **parameters)


def test_several_statements(bound: Connection) -> None:
    ended = query(
        bound,
        "create table t (id int primary key, n varchar(9), d decimal(9,2), x date); "
        "insert into t select seq, ';', 1.5, '2026-01-02' from seq_1_to_2500; update t set n = '50%' where id = 1;"
        "select * from t order by id",
    )
    assert (ended.status, ended.message) == ("SUCCEEDED", "2500 row(s)"), ended
    assert len(ended.outputs["results"]) == 1000 and ended.outputs["results"][0] == [1, "50%", 1.5, "2026-01-02"]
    assert [(each["rows"], each["asset"] and each["asset"]["name"]) for each in ended.operations] == [
        (0, "shop.t"), (2500, "shop.t"), (1, "shop.t"), (2500, None),
    ]  # fmt: skip


def test_what_failed_is_rolled_back_and_the_database_of_the_task_counts(port: int, bound: Connection) -> None:
    fetch(port, "create table t (id int primary key)")
    ended = query(bound, "insert into t values (1); insert into t values (1)")
    assert ended.status == "FAILED" and "Duplicate entry '1'" in str(ended.message)
    assert fetch(port, "select count(*) from t") == ((0,),)
    assert query(bound, "select database()", database="mysql").outputs == {"results": [["mysql"]]}


def test_a_cancelled_query_is_stopped_on_the_server(port: int, bound: Connection) -> None:
    running = Running(prepare("MYSQL_RUN_QUERY", {"statement": "select sleep(60)"}, bound, attempt(bound.root)))
    listed = "select count(*) from information_schema.processlist where info = 'select sleep(60)'"
    running.wait_for(lambda: fetch(port, listed) == ((1,),))
    os.kill(running.process.pid, signal.SIGINT)
    assert running.end(5).code == 130
    deadline = time.monotonic() + 5
    while fetch(port, listed) != ((0,),):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_fault_24_a_wrong_password(bound: Connection) -> None:
    wrong = connection("MYSQL", bound.root, "remote", **{**bound.fields, "password": "wrong-secret"})
    ended = query(wrong, "select 1")
    assert ended.status == "FAILED" and "Access denied for user 'app'" in str(ended.message)
    assert "MySQL 127.0.0.1:" in str(ended.message) and "database shop" in str(ended.message)
    assert "wrong-secret" not in ended.log


def test_fault_29_any_text_in_a_value_arrives_as_it_is(bound: Connection) -> None:
    for value in ("it''s", "; drop table t; --", "%s %", "🦆 ${{ x }}", "a\nb"):
        assert query(bound, f"select '{value}'").outputs == {"results": [[value.replace("''", "'")]]}

"""Start, stop, interrupt, kill: through the command line, as a user does it."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import subprocess
import sys
import time
from pathlib import Path

import psycopg
import pytest

from sandbox import systems
from sandbox.home import Home
from sandbox.processes import is_running, listen

ROOT = Path(__file__).parents[2]


def sandbox(home: Home, *words: str, **environment: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "sandbox", *words],
        env={**os.environ, "SANDBOX_HOME": str(home.path), "NO_COLOR": "1", **environment},
        cwd=ROOT, capture_output=True, text=True, timeout=60,
    )  # fmt: skip


def listening(port: int) -> bool:
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", port)) == 0


def orders(home: Home) -> int:
    with psycopg.connect(systems.environment(home=home)["SOURCES__POSTGRES__CREDENTIALS"]) as connection:
        return connection.execute("select count(*) from orders").fetchone()[0]


def test_down_and_up_keep_data_days_ports_and_credentials(own_home):
    made = sandbox(own_home, "up", "--seed", "5")
    assert made.returncode == 0 and made.stdout == "" and 'eval "$(python -m sandbox env)"' in made.stderr
    again = sandbox(own_home, "up")
    assert (again.returncode, again.stdout, again.stderr) == (0, "", "")
    assert json.loads(sandbox(own_home, "change", "--json").stdout)["day"] == 1
    before, ports = systems.environment(home=own_home), systems.status(home=own_home)["systems"]
    count = orders(own_home)
    with psycopg.connect(before["SOURCES__POSTGRES__CREDENTIALS"]) as connection:
        connection.execute("create table mine (x int)")

    assert sandbox(own_home, "down").returncode == 0
    assert not any(listening(system["port"]) for system in ports.values())
    assert not any(system["up"] for system in systems.status(home=own_home)["systems"].values())
    assert systems.environment(home=own_home) == before
    assert not (own_home.path / "env").exists()

    assert sandbox(own_home, "up").returncode == 0
    assert systems.environment(home=own_home) == before and orders(own_home) == count
    with psycopg.connect(before["SOURCES__POSTGRES__CREDENTIALS"]) as connection:
        assert connection.execute("select count(*) from mine").fetchone() == (0,)
    assert systems.status(home=own_home)["day"] == 1

    for option, value in (("--seed", "6"), ("--scale", "2")):
        refused = sandbox(own_home, "up", option, value)
        assert refused.returncode == 2 and "python -m sandbox reset" in refused.stderr


def test_one_system_can_be_down(own_home):
    systems.up(["salesforce", "sap"], home=own_home)
    before = systems.environment(home=own_home)
    assert not any("POSTGRES" in name for name in before)
    port = systems.status(home=own_home)["systems"]["sap"]["port"]
    assert systems.down(["sap"], home=own_home) == ["sap"]
    assert not listening(port) and systems.environment(home=own_home) == before
    assert "SOURCES__SAP__URL=" in (own_home.path / "env").read_text()  # a worker can say what it did not reach
    assert systems.up(["sap"], home=own_home) == ["sap"]
    assert systems.environment(home=own_home) == before

    systems.down(["sap"], home=own_home)
    with listen(port):  # somebody else takes the port
        systems.up(["sap"], home=own_home)
        moved = systems.environment(home=own_home)
        assert moved["SOURCES__SAP__URL"] != before["SOURCES__SAP__URL"]
        assert moved["SOURCES__SAP__PASSWORD"] == before["SOURCES__SAP__PASSWORD"]


def test_env_lines_and_files_are_private(own_home):
    nothing = sandbox(own_home, "env")
    assert nothing.returncode == 2 and nothing.stdout == "" and "python -m sandbox up" in nothing.stderr
    systems.up(["sap"], home=own_home)
    variables = systems.environment(home=own_home)
    evaluated = subprocess.run(
        ["sh", "-c", f"{sandbox(own_home, 'env').stdout}\nenv"], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert {f"{name}={value}" for name, value in variables.items()} <= set(evaluated)
    assert json.loads(sandbox(own_home, "env", "--json").stdout)["environment"] == variables
    assert (own_home.path / "env").read_text().splitlines() == [f"{n}={v}" for n, v in variables.items()]
    assert stat.S_IMODE(own_home.path.stat().st_mode) == 0o700
    readable = [path.name for path in own_home.path.iterdir() if path.is_file() and path.stat().st_mode & 0o077]
    assert [name for name in readable if not name.endswith(("-wal", "-shm"))] == []


def test_after_kill_9_up_works_again(own_home):
    systems.up(home=own_home)
    before, count = systems.environment(home=own_home), orders(own_home)
    for name in systems.SYSTEMS:
        state = own_home.read(name)
        os.kill(state["pid"], signal.SIGKILL)
        while is_running(state["pid"], state["started"]):
            time.sleep(0.01)
    assert sorted(systems.up(home=own_home)) == sorted(systems.SYSTEMS)
    assert systems.environment(home=own_home) == before and orders(own_home) == count


@pytest.mark.parametrize("moment", ["salesforce.json", "sap.log", "postgres.json", "postgres.log"])
def test_an_interrupted_first_up_leaves_nothing(own_home, moment):
    for _ in range(5):  # on a busy machine `up` may be done before we see the moment and interrupt it
        process = subprocess.Popen(
            [sys.executable, "-m", "sandbox", "up"], cwd=ROOT, stderr=subprocess.DEVNULL, start_new_session=True,
            env={**os.environ, "SANDBOX_HOME": str(own_home.path)},
        )  # fmt: skip
        while not (own_home.path / moment).exists():
            assert process.poll() is None
            time.sleep(0.005)
        started = {name: own_home.read(name) for name in systems.SYSTEMS}
        process.send_signal(signal.SIGINT)
        if process.wait(20) != 0:
            break
        systems.reset(home=own_home)
    assert process.returncode == 130
    assert not own_home.path.exists()
    assert not any(is_running(state.get("pid"), state.get("started")) for state in started.values())
    assert not any("folder" in state and Path(state["folder"]).exists() for state in started.values())


def test_two_ups_at_once_start_one_set(own_home):
    command = [sys.executable, "-m", "sandbox", "up", "salesforce", "sap"]
    environment = {**os.environ, "SANDBOX_HOME": str(own_home.path)}
    both = [subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    said = [process.communicate(timeout=60)[1] for process in both]
    assert [process.returncode for process in both] == [0, 0] and sorted(map(bool, said)) == [False, True]


def test_bad_usage_is_2_and_a_bad_postgres_leaves_nothing(own_home):
    assert sandbox(own_home, "up", "oracle").returncode == 2
    assert sandbox(own_home, "up", "--scale", "0").returncode == 2
    assert sandbox(own_home, "sideways").returncode == 2
    broken = sandbox(own_home, "up", SANDBOX_PG_BIN="/nowhere")
    assert broken.returncode == 2 and "SANDBOX_PG_BIN=/nowhere" in broken.stderr
    assert not own_home.path.exists()
    assert sandbox(own_home, "down").returncode == sandbox(own_home, "reset").returncode == 0


def test_help_names_every_command():
    shown = subprocess.run([sys.executable, "-m", "sandbox", "--help"], cwd=ROOT, capture_output=True, text=True).stdout
    assert all(f" {command} " in shown for command in ("up", "down", "reset", "status", "env", "change"))


def test_the_packaged_binaries_work_too(own_home):
    from sandbox.postgres import _packaged

    made = sandbox(own_home, "up", "postgres", SANDBOX_PG_BIN=str(_packaged()[0]))
    assert made.returncode == 0, made.stderr
    assert orders(own_home) > 2900
    assert sandbox(own_home, "down").returncode == 0
    assert sandbox(own_home, "up").returncode == 0  # finds them again without the variable
    assert orders(own_home) > 2900

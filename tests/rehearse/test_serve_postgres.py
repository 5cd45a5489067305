"""Several servers on one PostgreSQL store: they share the work, and take it over (fault 22)."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import psycopg
import pytest
from postgres_harness import Server, running_server
from serve_harness import Served

PIPELINE = """version: v1
name: Note
inputs:
  n: {type: string}
  seconds: {type: string, default: "0"}
pipeline:
  note:
    name: Note
    integration: PYTHON
    integration_job: PYTHON_EXECUTE_SCRIPT
    parameters: {command: "python note.py ${{ inputs.n }} ${{ inputs.seconds }}"}
"""
NOTE = """import os, sys, time
time.sleep(float(sys.argv[2]))
with open("ran", "a") as file:
    file.write(sys.argv[1] + " ")
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running_server(tmp_path_factory.mktemp("postgres")) as server:
        yield server


@pytest.fixture
def servers(server: Server, tmp_path: Path) -> Iterator[list[Served]]:
    server.fetch("drop schema if exists rehearse cascade")
    (tmp_path / "orchestra").mkdir()
    (tmp_path / "orchestra" / "note.yml").write_text(PIPELINE)
    (tmp_path / "note.py").write_text(NOTE)
    (tmp_path / "rehearse.toml").write_text("")
    started = [Served(tmp_path, "--port", "0", REHEARSE_STORE=server.url()) for _ in range(2)]
    yield started
    for served in started:
        served.stop(signal.SIGKILL)


def start(served: Served, n: int, seconds: float = 0) -> str:
    answer = httpx.post(
        f"{served.url}/api/engine/public/pipelines/note/start", json={"runInputs": {"n": str(n), "seconds": str(seconds)}},
        headers={"Authorization": f"Bearer {served.token}"}, timeout=30,
    )  # fmt: skip
    assert answer.status_code == 200, answer.text
    return str(answer.json()["pipelineRunId"])


def statuses(server: Server, wanted: list[str], deadline: float = 60) -> list[tuple[str, int]]:
    """(status, pid of its engine) of these runs, once all have ended."""
    end = time.monotonic() + deadline
    while True:
        with psycopg.connect(server.url()) as client:
            rows = client.execute(
                "select status, engine_pid from rehearse.runs where id = any(%s)", (wanted,)
            ).fetchall()
        if all(status == "SUCCEEDED" for status, _ in rows) and len(rows) == len(wanted):
            return rows
        assert time.monotonic() < end, rows
        time.sleep(0.2)


def test_two_servers_run_each_start_once(server: Server, servers: list[Served], tmp_path: Path) -> None:
    runs = [start(servers[n % 2], n) for n in range(16)]
    statuses(server, runs)
    assert sorted((tmp_path / "ran").read_text().split(), key=int) == [str(n) for n in range(16)]


def test_fault_22_the_other_server_takes_over(server: Server, servers: list[Served], tmp_path: Path) -> None:
    """The one that drives the run is killed; what runs goes on, what was accepted starts, all of it once."""
    first = start(servers[0], 1, seconds=2)
    end = time.monotonic() + 30
    while True:
        with psycopg.connect(server.url()) as client:
            [(status, pid)] = client.execute(
                "select status, engine_pid from rehearse.runs where id = %s", (first,)
            ).fetchall()
        if status == "RUNNING":
            break
        assert time.monotonic() < end, status
        time.sleep(0.05)
    driving, other = sorted(servers, key=lambda served: served.process.pid != pid)
    driving.stop(signal.SIGKILL)
    second = start(other, 2)
    assert {engine for _, engine in statuses(server, [first, second])} == {other.process.pid}
    assert sorted((tmp_path / "ran").read_text().split()) == ["1", "2"]

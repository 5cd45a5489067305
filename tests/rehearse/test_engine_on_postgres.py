"""Whole runs with the store on a real PostgreSQL."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from postgres_harness import Server, running_server
from test_recovery import SIGN, Rehearse, kill, until, write


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running_server(tmp_path_factory.mktemp("postgres")) as server:
        yield server


@pytest.fixture
def rehearse(bin_dir: Path, tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch) -> Rehearse:
    server.fetch("drop schema if exists rehearse cascade")
    monkeypatch.setenv("REHEARSE_STORE", server.url())
    return Rehearse(bin_dir, tmp_path)


def test_a_killed_engine_is_followed_by_another(rehearse: Rehearse) -> None:
    write(rehearse.folder, f"{SIGN}\ntime.sleep(0.5)", SIGN)
    process = rehearse.start("run", "p.yml")
    until(lambda: rehearse.starts)
    kill(process)
    assert rehearse("resume").returncode == 0
    assert rehearse.tasks() == {"t0": "SUCCEEDED", "t1": "SUCCEEDED"} and rehearse.starts == ["1", "1"]
    assert not (rehearse.folder / ".rehearse" / "rehearse.db").exists()
    found = json.loads(rehearse("runs", "--json").stdout)["runs"]
    assert [(run["status"], run["tasks"]) for run in found] == [("SUCCEEDED", {"SUCCEEDED": 2})]


def test_fault_22_two_engines_share_it(rehearse: Rehearse) -> None:
    write(rehearse.folder, f"{SIGN}\ntime.sleep(0.5)", SIGN)
    processes = [rehearse.start("run", "p.yml") for _ in range(2)]
    assert [process.wait(timeout=30) for process in processes] == [0, 0]
    assert len(rehearse.starts) == 4 and len(json.loads(rehearse("runs", "--json").stdout)["runs"]) == 2


def test_fault_24_a_store_that_is_gone_ends_the_run_in_words(rehearse: Rehearse, server: Server) -> None:
    write(rehearse.folder, f"{SIGN}\ntime.sleep(1)", SIGN)
    process = rehearse.start("run", "p.yml")
    until(lambda: rehearse.starts)
    server.stop()
    try:
        _, said = process.communicate(timeout=40)
    finally:
        server.start()
    assert process.returncode == 2 and "cannot be used" in said and "Traceback" not in said, said
    assert server.url().split(":")[2].split("@")[0] not in said
    assert "rehearse resume" in said and rehearse("resume").returncode == 0
    assert rehearse.tasks() == {"t0": "SUCCEEDED", "t1": "SUCCEEDED"} and rehearse.starts == ["1", "1"]


def test_the_state_is_for_its_owner_alone(rehearse: Rehearse) -> None:
    write(rehearse.folder, SIGN)
    assert rehearse("run", "p.yml").returncode == 0
    assert (rehearse.folder / ".rehearse").stat().st_mode & 0o077 == 0

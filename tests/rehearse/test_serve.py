"""`rehearse serve` as a process: ports, the lease, signals, and death."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from serve_harness import Served

from rehearse.bindings.config import load_bindings
from rehearse.engine.acceptance import accept
from rehearse.engine.plans import plan_of_file
from rehearse.store.records import open_store, timestamp

PIPELINE = """version: v1
name: Slow
inputs:
  seconds: {type: number, default: 0}
pipeline:
  note:
    name: Note
    integration: PYTHON
    integration_job: PYTHON_EXECUTE_SCRIPT
    parameters:
      command: python -c "import sys, time; time.sleep(float(sys.argv[1])); open('ran', 'a').write('x')" ${{ inputs.seconds }}
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "orchestra").mkdir()
    (tmp_path / "orchestra" / "slow.yml").write_text(PIPELINE)
    (tmp_path / "rehearse.toml").write_text("")
    return tmp_path


@pytest.fixture
def serve(root: Path) -> Iterator[Callable[..., Served]]:
    started: list[Served] = []

    def serve(*arguments: str, **env: str) -> Served:
        started.append(Served(root, *(arguments or ("--port", "0")), **env))
        return started[-1]

    yield serve
    for served in started:
        served.stop(signal.SIGKILL)


def start_run(root: Path, seconds: float = 0) -> str:
    store = open_store(root)
    try:
        path = root / "orchestra" / "slow.yml"
        return accept(store, root, plan_of_file(path, load_bindings(root), {"seconds": seconds}, None)).run_id
    finally:
        store.close()


def wait_for(root: Path, run_id: str, *statuses: str) -> dict[str, Any]:
    store = open_store(root)
    deadline = time.monotonic() + 20
    try:
        while (row := store.run(run_id))["status"] not in statuses:
            assert time.monotonic() < deadline, row["status"]
            time.sleep(0.05)
        return row
    finally:
        store.close()


def test_a_run_that_was_accepted_is_run(root: Path, serve: Callable[..., Served]) -> None:
    served = serve()
    assert httpx.get(f"{served.url}/api/engine/public/health").json()["status"] == "ok"
    wait_for(root, start_run(root), "SUCCEEDED")
    assert (root / "ran").read_text() == "x"
    assert (root / ".rehearse" / "token").stat().st_mode & 0o777 == 0o600
    assert served.stop() == 0


def test_fault_02_a_server_that_is_killed_loses_nothing(root: Path, serve: Callable[..., Served]) -> None:
    """One run goes on, one was accepted; the next server ends both, once."""
    served = serve()
    first = start_run(root, 1.5)
    wait_for(root, first, "RUNNING")
    served.stop(signal.SIGKILL)
    second = start_run(root)
    serve()
    for run_id in (first, second):
        wait_for(root, run_id, "SUCCEEDED")
    assert (root / "ran").read_text() == "xx"


def test_ctrl_c_leaves_the_runs_to_the_next_server(root: Path, serve: Callable[..., Served]) -> None:
    served = serve()
    run_id = start_run(root, 1.5)
    wait_for(root, run_id, "RUNNING")
    assert served.stop() == 0
    assert f"run {run_id[:8]} of slow is left to the next engine" in served.said[-1]
    serve()
    wait_for(root, run_id, "SUCCEEDED")
    assert (root / "ran").read_text() == "x"


def test_rehearse_toml_is_read_again_when_it_changes(root: Path, serve: Callable[..., Served]) -> None:
    """For starts, and for tasks of runs that come later; while it is broken, starts say so."""
    file = root / "orchestra" / "slow.yml"
    file.write_text(file.read_text().replace("integration: PYTHON\n", "integration: PYTHON\n    connection: ours\n"))
    (root / "rehearse.toml").write_text('[connections.ours]\nintegration = "PYTHON"\n')
    served = serve()
    headers = {"Authorization": f"Bearer {served.token}"}
    start = f"{served.url}/api/engine/public/pipelines/slow/start"
    wait_for(root, httpx.post(start, headers=headers).json()["pipelineRunId"], "SUCCEEDED")
    stub = '[connections.ours]\nintegration = "PYTHON"\nmode = "stub"\nstatus = "FAILED"\n'
    (root / "rehearse.toml").write_text(stub)
    wait_for(root, httpx.post(start, headers=headers).json()["pipelineRunId"], "FAILED")
    (root / "rehearse.toml").write_text("[connections.ours]\nintegration = 3\n")
    broken = httpx.post(start, headers=headers)
    assert broken.status_code == 400 and "rehearse.toml:2" in broken.json()["detail"]
    assert (root / "ran").read_text() == "x"


def test_fault_22_a_second_server_refuses_and_names_the_first(root: Path, serve: Callable[..., Served]) -> None:
    first = serve()
    second = serve()
    assert second.process.wait() == 2
    assert f"process {first.process.pid} on" in second.said[0] and first.url in second.said[1]


def test_fault_30_a_port_that_is_taken(root: Path, serve: Callable[..., Served]) -> None:
    """Asked for: an error that names who has it. The default one: the next that is free."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        refused = serve("--port", str(other.getsockname()[1]))
        assert refused.process.wait() == 2
        assert f"by process {os.getpid()} (" in refused.said[0]
    try:
        taken = socket.create_server(("127.0.0.1", 8642))
    except OSError:
        taken = None  # somebody else has it already: as good
    served = serve("--no-triggers")
    assert served.url and served.url != "http://127.0.0.1:8642"
    served.stop()
    assert "port 8642 is taken" in "".join(served.said)
    if taken:
        taken.close()


def test_other_machines_are_kept_out(root: Path, serve: Callable[..., Served]) -> None:
    refused = serve("--host", "0.0.0.0")
    assert refused.process.wait() == 2 and "--expose" in "".join(refused.said)
    served = serve()
    health = f"{served.url}/api/engine/public/health"
    assert httpx.get(health, headers={"Host": "attacker.example"}).status_code == 403
    assert httpx.post(health, headers={"Origin": "http://attacker.example"}).status_code == 403


def test_fault_01_no_start_that_was_answered_is_lost_and_none_runs_twice(
    root: Path, serve: Callable[..., Served]
) -> None:
    """The server is killed again and again while clients start runs."""
    accepted: list[str] = []
    for _ in range(3):
        served = serve()
        threads = [threading.Thread(target=_start_until_it_dies, args=(served, accepted)) for _ in range(4)]
        for thread in threads:
            thread.start()
        before = len(accepted)
        deadline = time.monotonic() + 20
        while len(accepted) < before + 8:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        served.stop(signal.SIGKILL)
        for thread in threads:
            thread.join()
    serve()
    store = open_store(root)
    try:
        deadline = time.monotonic() + 60
        while store.unfinished():
            assert time.monotonic() < deadline
            time.sleep(0.1)
        ended = {run["id"]: run["status"] for run in store.runs(10_000)}
    finally:
        store.close()
    assert len(set(accepted)) == len(accepted) and set(accepted) <= ended.keys()
    # A task whose supervisor had not begun when the engine died starts once; one that was running is attended.
    assert set(ended.values()) == {"SUCCEEDED"}
    assert len((root / "ran").read_text()) == len(ended)


def _start_until_it_dies(served: Served, accepted: list[str]) -> None:
    headers = {"Authorization": f"Bearer {served.token}"}
    try:
        with httpx.Client(base_url=f"{served.url}/api/engine/public", headers=headers, timeout=20) as client:
            while True:
                accepted.append(
                    client.post("/pipelines/slow/start", json={"runInputs": {"seconds": 0}}).json()["pipelineRunId"]
                )
    except httpx.HTTPError:
        pass  # it is dead


def test_fault_16_a_slot_that_was_missed_starts_once_over_kills(root: Path, serve: Callable[..., Served]) -> None:
    file = root / "orchestra" / "slow.yml"
    hourly = "schedule: [{name: hourly, cron: '0 * ? * * *'}]\npipeline:\n"
    file.write_text(file.read_text().replace("pipeline:\n", hourly, 1))
    served = serve()
    store = open_store(root)
    try:
        until(lambda: store.database.rows("SELECT 1 AS x FROM triggers WHERE kind = 'schedule'"))
        served.stop(signal.SIGKILL)
        yesterday = timestamp(datetime.now(UTC) - timedelta(hours=30))
        with store.database.transaction():
            store.database.execute("UPDATE triggers SET seen_until = ? WHERE kind = 'schedule'", (yesterday,))
        for _ in range(2):
            served = serve()
            run = until(lambda: [run for run in store.runs() if run["trigger"] == "SCHEDULED"])[0]
            served.stop(signal.SIGKILL)
        serve()
        wait_for(root, run["id"], "SUCCEEDED")
        assert len(store.runs()) == 1 and (root / "ran").read_text() == "x"
        outcomes = [row["outcome"] for row in store.database.rows("SELECT outcome FROM firings ORDER BY due_at")]
        assert outcomes[-1] == "started" and set(outcomes[:-1]) == {"missed"} and len(outcomes) >= 29
    finally:
        store.close()


def until(condition: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + 30
    while not (found := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return found

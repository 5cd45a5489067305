"""The real `orchestra-sdk`, `dbt-orchestra` and `dlt` against `rehearse serve` (sections 5.4 to 5.6 of the API reference)."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from api_harness import ENGINE, PIPELINE
from serve_harness import Served

from rehearse.store.ids import pipeline_id
from rehearse.store.records import open_store, timestamp

SDK = """
from orchestra_sdk.orchestra import OrchestraSDK
import os, sys, time
sdk = OrchestraSDK(os.environ["ORCHESTRA_API_KEY"])

@sdk.run()
def work():
    assert sdk.set_output("rows", 3)
    if sys.argv[1] == "fail":
        raise ValueError("this exception is swallowed")
    if sys.argv[1] == "wait":
        open("waiting", "w").close()
        while not os.path.exists("go"):
            time.sleep(0.05)

work()
"""
TASKS = """version: v1
name: Sdk
inputs:
  how: {type: string}
pipeline:
  work:
    name: Work
    integration: PYTHON
    integration_job: PYTHON_EXECUTE_SCRIPT
    parameters: {command: "python work.py ${{ inputs.how }}", set_outputs: true}
"""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    root = tmp_path_factory.mktemp("workspace")
    (root / "orchestra").mkdir()
    (root / "orchestra" / "sdk.yml").write_text(TASKS)
    (root / "orchestra" / "orders.yml").write_text(PIPELINE)
    (root / "work.py").write_text(SDK)
    (root / "rehearse.toml").write_text("")
    served = Served(root, "--port", "0", "--window-hours", "168")
    yield served
    served.stop()


@pytest.fixture
def api(served: Served) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"Bearer {served.token}"}
    with httpx.Client(base_url=f"{served.url}{ENGINE}", headers=headers, timeout=20) as client:
        yield client


def start(api: httpx.Client, how: str) -> tuple[str, str]:
    """The ids of the run and of its task run."""
    run_id = api.post("/pipelines/sdk/start", json={"runInputs": {"how": how}}).json()["pipelineRunId"]
    return run_id, api.get(f"/pipeline_runs/{run_id}/task_runs").json()["results"][0]["id"]


def until(condition: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + 30
    while not (found := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return found


def ended(api: httpx.Client, run_id: str) -> dict[str, Any]:
    until(lambda: api.get(f"/pipeline_runs/{run_id}/status").json()["completedAt"])
    found: dict[str, Any] = api.get(f"/pipeline_runs/{run_id}/task_runs").json()["results"][0]
    return found


def test_the_sdk_sets_outputs_and_status_from_inside_a_task(api: httpx.Client) -> None:
    task = ended(api, start(api, "succeed")[0])
    assert (task["status"], task["runParameters"]) == ("SUCCEEDED", {"outputs": {"rows": 3}})


def test_an_exception_that_the_sdk_swallows_fails_the_task(api: httpx.Client) -> None:
    run_id, _ = start(api, "fail")
    assert ended(api, run_id)["status"] == "FAILED"
    assert api.get(f"/pipeline_runs/{run_id}").json()["runStatus"] == "FAILED"


def test_the_workspace_webhook_reaches_a_task_that_runs(api: httpx.Client, served: Served) -> None:
    """As scripts on other machines use it: the workspace's URL and key, the id of a task run."""
    run_id, task_run_id = start(api, "wait")
    until((served.root / "waiting").exists)
    code = f"""
from orchestra_sdk.orchestra import OrchestraSDK
sdk = OrchestraSDK({served.token!r})
assert sdk.set_output("from_outside", {{"n": 1}})
"""
    env = {"PATH": os.environ["PATH"], "ORCHESTRA_TASK_RUN_ID": task_run_id, "ORCHESTRA_WEBHOOK_URL": served.url}
    subprocess.run([sys.executable, "-c", code], env=env, check=True, timeout=60)
    post = lambda **event: api.post(f"{served.url}/webhook", json={"task_run_id": task_run_id} | event)  # noqa: E731
    assert post(event_type="LOG", log_name="report", data="hello").json() == {
        "success": True, "message": "Event processed", "task_run_id": task_run_id,
    }  # fmt: skip
    assert post(event_type="SET_OUTPUT", output_name="no name", output_value=1).status_code == 422
    assert post(event_type="SET_OUTPUT", task_run_id=str(uuid4()), output_name="x").json()["code"] == "TASK_NOT_FOUND"
    assert post(event_type="UPDATE_STATUS", status="WARNING", message="half of it").status_code == 200
    (served.root / "go").touch()
    task = ended(api, run_id)
    assert task["runParameters"]["outputs"] == {"rows": 3, "from_outside": {"n": 1}}
    assert api.get(f"/pipeline_runs/{run_id}/task_runs/{task_run_id}/logs").json()["filenames"] == [
        "1/Work",
        "1/report",
    ]
    late = post(event_type="SET_OUTPUT", output_name="x", output_value=1)
    assert (late.status_code, late.json()["success"]) == (409, False)


def test_events_for_sensors_are_stored(api: httpx.Client, served: Served) -> None:
    event = {"event_type": "SENSOR_EVENT", "sensor_event_type": "file_arrived", "sensor_event": {"path": "in/x.csv"}}
    answer = api.post(f"{served.url}/", json=event)
    assert (answer.status_code, answer.json()) == (200, {"message": "Event stored"})
    assert api.post(f"{served.url}/", json=event | {"sensor_event": 3}).status_code == 422
    assert httpx.post(f"{served.url}/", json=event).status_code == 401


# `dbt-orchestra` allows no other host than the platform's: its HTTP client is turned here from outside.
SHIM = """
import os, httpx
send = httpx.Client.send
def redirected(self, request, **kwargs):
    if request.url.host.endswith("getorchestra.io"):
        request.url = httpx.URL(os.environ["SHIM"] + request.url.raw_path.decode())
        request.headers["host"] = request.url.netloc.decode()
    return send(self, request, **kwargs)
httpx.Client.send = redirected
"""


def test_dbt_orchestra_keeps_its_state_here(served: Served, tmp_path: Path, bin_dir: Path) -> None:
    """The second build reuses what the first one has built."""
    project = tmp_path / "project"
    (project / "models").mkdir(parents=True)
    (project / "dbt_project.yml").write_text("name: p\nversion: '1.0.0'\nprofile: p\nmodel-paths: [models]\n")
    profile = f"{{type: duckdb, path: {tmp_path / 'w.duckdb'}}}"
    (project / "profiles.yml").write_text(f"p:\n  target: dev\n  outputs:\n    dev: {profile}\n")
    (project / "models" / "a.sql").write_text("select 1 as x")
    shim = tmp_path / "shim"
    shim.mkdir()
    (shim / "sitecustomize.py").write_text(SHIM)
    env = {
        "PATH": f"{bin_dir}:{os.environ['PATH']}", "HOME": str(tmp_path), "PYTHONPATH": str(shim), "SHIM": served.url,
        "ORCHESTRA_API_KEY": served.token, "ORCHESTRA_USE_STATEFUL": "true", "DO_NOT_TRACK": "1",
    }  # fmt: skip
    command = [str(bin_dir / "orc"), "dbt", "build", "--no-version-check"]
    said = []
    for _ in range(2):
        done = subprocess.run(command, cwd=project, env=env, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stdout + done.stderr
        said.append(done.stdout + done.stderr)
    assert "0/1 nodes reused" in said[0] and "1/1 nodes reused" in said[1]
    assert list(stored_state(served)) == ["model.p.a"]


def stored_state(served: Served) -> dict[str, Any]:
    answer = httpx.get(
        f"{served.url}{ENGINE}/state/DBT_CORE", headers={"Authorization": f"Bearer {served.token}"}, timeout=20
    )
    state: dict[str, Any] = answer.json()["state"]
    assert all(item["sources"] is not None for item in state.values())
    return state


def test_dlt_pages_through_ten_thousand_runs(served: Served, tmp_path: Path) -> None:
    """As the platform's own metadata loader pages: without loss, and without a row twice."""
    store = open_store(served.root)
    now = datetime.now(UTC)
    columns = [
        "id",
        "pipeline",
        "pipeline_id",
        "name",
        "file",
        "status",
        "environment",
        "inputs",
        "definition",
        "folder",
        "created_at",
        "started_at",
        "ended_at",
        "fence",
    ]
    with store.database.transaction():
        for number in range(10_000):
            at = timestamp(now - timedelta(seconds=number // 3))  # several at the same moment
            known = (
                str(uuid4()),
                "history",
                pipeline_id("history"),
                "History",
                "x.yml",
                "SUCCEEDED",
                "local",
                "{}",
                "",
                "x",
            )
            store.database.execute(
                f"INSERT INTO runs ({', '.join(columns)}, \"trigger\") VALUES ({', '.join('?' * len(columns))}, 'MANUAL')",
                (*known, at, at, at, 1),
            )
    store.close()
    code = f"""
import dlt
from dlt.sources.rest_api import rest_api_source
source = rest_api_source({{
    "client": {{
        "base_url": "{served.url}{ENGINE}/", "auth": {{"type": "bearer", "token": "{served.token}"}},
        "paginator": {{"type": "page_number", "base_page": 1, "page_param": "page", "total_path": "total"}},
    }},
    "resources": [{{"name": "pipeline_runs", "primary_key": "id", "endpoint": {{
        "path": "pipeline_runs", "data_selector": "results",
        "params": {{"page_size": 100, "pipeline_ids": "{pipeline_id("history")}"}},
    }}}}],
}})
rows = [row["id"] for row in source.resources["pipeline_runs"]]
print(len(rows), len(set(rows)))
"""
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "RUNTIME__DLTHUB_TELEMETRY": "false", "DO_NOT_TRACK": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=env, capture_output=True, text=True, timeout=240
    )
    assert done.stdout.split() == ["10000", "10000"], done.stdout + done.stderr

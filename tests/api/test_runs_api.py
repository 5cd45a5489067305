"""Starting and reading runs: what clients of the platform rely on (sections 1, 2.4 to 2.7 and 8 of the API reference)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from api_harness import client, finish

from rehearse.api.service import Service
from rehearse.store.ids import pipeline_id
from rehearse.store.records import Store

Start = Callable[..., str]


def test_a_start_answers_with_ids_and_the_run_is_there(api: httpx.Client, start: Start) -> None:
    run_id = start(environment="prod", runInputs={"day": "2026-01-01", "limit": "3"})
    assert UUID(run_id).version == 4
    run = api.get(f"/pipeline_runs/{run_id}/status").json()
    assert run == api.get(f"/pipeline_runs/{run_id}").json()
    assert (run["pipelineId"], run["pipelineName"], run["envName"], run["runStatus"]) == (
        pipeline_id("orders"), "Orders", "prod", "CREATED",
    )  # fmt: skip
    assert run["triggeredBy"] == [{"triggerType": "WEBHOOK"}]
    assert run["data"]["pipeline"]["load"]["tasks"]["extract"]["integrationJob"] == "PYTHON_EXECUTE_SCRIPT"
    assert run["createdAt"].endswith("+00:00") and len(run["createdAt"]) == 32 and run["completedAt"] is None


@pytest.mark.parametrize("body", [None, b"", b"null", b"{}", b'{"environment": "", "taskIds": null, "data": []}'])
def test_a_start_takes_whatever_clients_send(api: httpx.Client, workspace: Path, body: bytes | None) -> None:
    text = (
        (workspace / "orchestra" / "orders.yml")
        .read_text()
        .replace("day: {type: string}", "day: {type: string, default: x}")
    )
    (workspace / "orchestra" / "orders.yml").write_text(text)
    headers = {"content-type": "application/json"} if body else {}
    answer = api.post("/pipelines/orders/start", content=body, headers=headers)
    assert answer.status_code == 200, answer.text
    assert set(answer.json()) == {"id", "pipelineRunId", "message"}
    assert isinstance(answer.json()["message"], str)


def test_snake_case_is_as_good(api: httpx.Client, store: Store) -> None:
    body = {
        "run_inputs": {"day": "d"},
        "task_ids": ["extract"],
        "continue_downstream_run": False,
        "ci_run_id": "7",
        "x": 1,
    }
    run_id = api.post(f"/pipelines/{pipeline_id('orders')}/start", json=body).json()["pipelineRunId"]
    row = store.run(run_id)
    assert (row["inputs"]["day"], row["ci_run_id"]) == ("d", "7")
    assert row["selection"] == {"tasks": ["extract"], "continue_downstream": False}


@pytest.mark.parametrize(
    ("pipeline", "body", "status", "said"),
    [
        ("nothing", {}, 404, "Pipeline not found"),
        ("orders", {}, 400, "Missing required pipeline input: day"),
        ("orders", {"runInputs": {"day": "x"}, "environment": "nowhere"}, 404, "Environment not found: nowhere"),
        ("orders", {"runInputs": {"day": "x", "limit": "many"}}, 400, "limit"),
        ("orders", {"runInputs": {"day": "x"}, "taskIds": ["gone"]}, 400, "no task 'gone'"),
        ("orders", {"runInputs": {"day": "x"}, "versionNumber": 3}, 400, "has no versions"),
        (
            "orders",
            {"runInputs": {"day": "x"}, "environmentOverrides": {"NEW": {"type": "string", "value": "x"}}},
            400,
            "NEW",
        ),
    ],
)
def test_a_start_that_cannot_be(
    api: httpx.Client, store: Store, pipeline: str, body: Any, status: int, said: str
) -> None:
    answer = api.post(f"/pipelines/{pipeline}/start", json=body)
    assert answer.status_code == status and said in answer.json()["detail"]
    assert store.runs() == []


def test_environment_by_id_and_overrides_reach_the_run(api: httpx.Client, store: Store) -> None:
    environments = {row["name"]: row["environmentId"] for row in api.get("/environments").json()}
    overrides = {"schema": {"type": "string", "value": "tonight"}}
    body = {"runInputs": {"day": "x"}, "environment": environments["prod"], "environmentOverrides": overrides}
    run_id = api.post("/pipelines/orders/start", json=body).json()["pipelineRunId"]
    row = store.run(run_id)
    assert (row["environment"], row["selection"]["set_env"]) == ("prod", {"schema": "tonight"})
    listed = api.get("/pipeline_runs", params={"environments": environments["prod"]}).json()
    assert [run["id"] for run in listed["results"]] == [run_id]
    assert api.get("/pipeline_runs", params={"environments": environments["dev"]}).json()["total"] == 0


def test_fault_15_the_same_idempotency_key_is_one_run(api: httpx.Client) -> None:
    body = {"runInputs": {"day": "x"}}
    first, second, other = (
        api.post("/pipelines/orders/start", json=body, headers={"Idempotency-Key": key}).json()
        for key in ("a", "a", "b")
    )
    assert first["pipelineRunId"] == second["pipelineRunId"] != other["pipelineRunId"]


def test_a_failed_run_is_finished_by_a_new_one(api: httpx.Client, store: Store, start: Start) -> None:
    failed = start(ciRunId="7")
    finish(store, failed, "FAILED")
    start(ciRunId="8")
    answer = api.post("/pipelines/orders/start", json={"retryFromFailed": True, "ciRunId": "7"}).json()
    row = store.run(answer["pipelineRunId"])
    assert (row["previous_run"], row["trigger"], row["inputs"]["day"]) == (failed, "RESTART_FROM_FAILED", "2026-01-01")


def test_paused_pipelines_start_nothing(api: httpx.Client, store: Store) -> None:
    assert api.patch("/pipelines/orders/pause", json={"paused": True}).json()["paused"] is True
    answer = api.post("/pipelines/orders/start", json={"runInputs": {"day": "x"}})
    assert (answer.status_code, answer.json()["detail"]) == (400, "Pipeline is paused")
    api.patch("/pipelines/orders/pause", json={"paused": False})
    assert api.post("/pipelines/orders/start", json={"runInputs": {"day": "x"}}).status_code == 200


def test_lists_are_paged_newest_first_without_gaps(api: httpx.Client, start: Start) -> None:
    made = [start() for _ in range(7)]
    seen = []
    for page in (1, 2, 3, 4):
        answer = api.get("/pipeline_runs", params={"page": page, "page_size": 3}).json()
        assert (answer["page"], answer["pageSize"], answer["total"]) == (page, 3, 7)
        seen += [run["id"] for run in answer["results"]]
    assert seen == made[::-1] and answer["results"] == []
    assert api.get("/pipeline_runs", params={"per_page": 2}).json()["pageSize"] == 2
    for bad in ({"page": 0}, {"page_size": 101}, {"page_size": "many"}):
        answer = api.get("/pipeline_runs", params=bad)
        assert answer.status_code == 422 and answer.json()["detail"][0]["loc"][0] == "query"


def test_filters(api: httpx.Client, store: Store, start: Start) -> None:
    first, second = start(), start()
    finish(store, first, "FAILED")
    find = lambda **params: [run["id"] for run in api.get("/pipeline_runs", params=params).json()["results"]]  # noqa: E731
    assert find(status="FAILED,NEW_WORD") == [first] and find(status="NEW_WORD") == []
    assert find(pipeline_run_ids=f"{first},{second}", status="") == [second, first]
    assert find(pipeline_ids=pipeline_id("orders")) == [second, first] and find(pipeline_ids=str(uuid4())) == []


def test_windows_of_time(api: httpx.Client, store: Store, start: Start) -> None:
    """A day by default; both bounds or none; seven days at most, exactly seven is fine (questions 1 to 3 of section 8)."""
    old, new = start(), start()
    finish(store, old, ago=timedelta(days=3))
    ids = lambda **params: [run["id"] for run in api.get("/pipeline_runs", params=params).json()["results"]]  # noqa: E731
    assert ids() == [new] and ids(pipeline_run_ids=old) == [old]
    now = datetime.now(UTC)
    week = {"time_from": (now - timedelta(days=7)).isoformat(), "time_to": now.isoformat()}
    assert ids(**week) == [new, old]
    for params, name in (
        ({"time_from": now.isoformat()}, "time_to"),
        ({"time_from": (now - timedelta(days=7, seconds=1)).isoformat(), "time_to": now.isoformat()}, "time_to"),
        ({"time_from": "2026-01-01T00:00:00", "time_to": now.isoformat()}, "time_from"),
        ({"time_from": now.isoformat(), "time_to": (now - timedelta(days=1)).isoformat()}, "time_to"),
    ):
        answer = api.get("/pipeline_runs", params=params)
        assert answer.status_code == 422 and answer.json()["detail"][0]["loc"] == ["query", name]


def test_a_run_is_cancelled(api: httpx.Client, store: Store, start: Start) -> None:
    run_id = start()
    assert api.post(f"/pipeline_runs/{run_id}/cancel", json={"force": True}).status_code == 400
    for _ in range(2):
        answer = api.post(f"/pipeline_runs/{run_id}/cancel")
        assert answer.status_code == 204 and answer.content == b""
    assert [request["kind"] for request in store.requests([run_id])] == ["cancel"]
    assert api.post(f"/pipeline_runs/{run_id}/cancel", json={"force": True}).status_code == 204
    finish(store, run_id, "CANCELLED")
    answer = api.post(f"/pipeline_runs/{run_id}/cancel")
    assert (answer.status_code, answer.json()["detail"]) == (400, "Pipeline run is already completed")


def test_ids_are_checked(api: httpx.Client) -> None:
    assert api.get(f"/pipeline_runs/{uuid4()}/status").status_code == 404
    for bad in ("1", "00000000-0000-0000-0000-000000000001", "../x"):
        assert api.get(f"/pipeline_runs/{bad}/status").status_code in (404, 422)


def test_task_runs(api: httpx.Client, store: Store, start: Start) -> None:
    run_id = start()
    nested = api.get(f"/pipeline_runs/{run_id}/task_runs", params={"page_size": 50}).json()
    assert {task["taskId"]: task["dependsOn"] for task in nested["results"]} == {"extract": [], "check": ["extract"]}
    assert api.get(f"/pipeline_runs/{run_id}/task_runs").json()["pageSize"] == 10
    assert api.get(f"/pipeline_runs/{run_id}/task_runs", params={"page_size": 51}).status_code == 422
    task = nested["results"][0]
    assert api.get(f"/task_runs/{task['id']}").json() == task
    assert api.get("/task_runs", params={"task_run_ids": task["id"]}).json()["results"] == [task]
    assert api.get("/task_runs", params={"integration": "PYTHON", "status": "CREATED"}).json()["total"] == 2
    assert api.get("/task_runs", params={"integration": "DBT_CORE"}).json()["total"] == 0


def test_attempts_that_were_superseded(api: httpx.Client, store: Store, start: Start) -> None:
    run_id = start()
    rows = store.task_runs(run_id)
    now = rows[0]["created_at"]
    attempts = [
        {"task_run_id": rows[0]["id"], "number": n, "run_id": run_id, "status": status, "message": None, "executor": "local",
         "folder": f"f{n}", "started_at": now, "ended_at": now}
        for n, status in ((1, "FAILED"), (2, "SUCCEEDED"))
    ]  # fmt: skip
    store.commit(run_id, 1, tasks=[rows[0] | {"attempt": 2, "status": "SUCCEEDED"}], attempts=attempts)
    path = f"/pipeline_runs/{run_id}/task_runs"
    assert api.get(path).json()["total"] == 2
    for where in (path, "/task_runs"):
        found = api.get(where, params={"include_superseded": "true"}).json()
        shown = sorted((task["taskId"], task["attemptNumber"], task["status"]) for task in found["results"])
        assert shown == [("check", 0, "CREATED"), ("extract", 1, "FAILED"), ("extract", 2, "SUCCEEDED")]
        assert found["total"] == 3 and len({task["id"] for task in found["results"]}) == 3


@pytest.fixture
def logged(api: httpx.Client, workspace: Path, store: Store, start: Start) -> tuple[str, Path]:
    """The path of the logs of a task that runs, and the folder of its attempt."""
    run_id = start()
    row = store.run(run_id)
    task = store.task_runs(run_id)[0]
    folder = f"{row['folder']}/extract/1"
    (workspace / folder).mkdir(parents=True)
    attempt = {
        "task_run_id": task["id"], "number": 1, "run_id": run_id, "status": "RUNNING", "message": None, "executor": "local",
        "folder": folder, "started_at": row["created_at"], "ended_at": None,
    }  # fmt: skip
    store.commit(run_id, 1, tasks=[task | {"attempt": 1, "status": "RUNNING"}], attempts=[attempt])
    return f"/pipeline_runs/{run_id}/task_runs/{task['id']}", workspace / folder


def test_logs_in_ranges_while_they_grow(api: httpx.Client, store: Store, logged: tuple[str, Path]) -> None:
    path, folder = logged
    (folder / "log").write_bytes(b"0123456789")
    assert api.get(f"{path}/logs").json() == {
        "filenames": ["1/Extract"], "files": {"1/Extract": {"attemptNumber": 1, "displayName": "Extract"}},
    }  # fmt: skip

    def get(range: str | None = None, name: str = "1/Extract") -> httpx.Response:
        return api.get(f"{path}/logs/download", params={"filename": name}, headers={"Range": range} if range else {})

    whole = get()
    assert (whole.status_code, whole.content, whole.headers["x-file-status"]) == (200, b"0123456789", "WRITING")
    for wanted, content, where in (("bytes=0-", b"0123456789", "0-9"), ("bytes=7-", b"789", "7-9"), ("bytes=2-4", b"234", "2-4"),
                                   ("bytes=-3", b"789", "7-9"), ("bytes=-99", b"0123456789", "0-9")):  # fmt: skip
        part = get(wanted)
        assert (part.status_code, part.content) == (206, content)
        assert part.headers["content-range"] == f"bytes {where}/10"
    for wanted in ("bytes=10-", "bytes=5-2"):
        beyond = get(wanted)
        assert (beyond.status_code, beyond.headers["content-range"], beyond.content) == (416, "bytes */10", b"")
    assert get(name="1/Other").status_code == 404
    task = store.find_task_run(path.rsplit("/", 1)[1])
    assert task is not None
    store.commit(task["run_id"], 1, tasks=[task | {"status": "SUCCEEDED"}])
    assert get("bytes=10-").headers["x-file-status"] == "READY"
    (folder / "log").write_bytes(b"")
    assert get().status_code == 204


def test_only_files_of_the_attempt_are_read(api: httpx.Client, workspace: Path, logged: tuple[str, Path]) -> None:
    path, folder = logged
    (folder / "logs").mkdir()
    (folder / "logs" / "posted").write_text("from the webhook")
    (folder / "logs" / "link").symlink_to(workspace / "rehearse.toml")
    (folder / "1-build").mkdir()
    (folder / "1-build" / "run_results.json").write_text("{}")
    (folder / "1-build" / "manifest.json").symlink_to(workspace / "rehearse.toml")
    assert api.get(f"{path}/logs").json()["filenames"] == ["1/posted"]
    assert api.get(f"{path}/artifacts").json() == {"filenames": ["1-build/run_results.json", "run_results.json"]}
    assert api.get(f"{path}/artifacts/download", params={"filename": "run_results.json"}).content == b"{}"
    for name in ("../../../../rehearse.toml", "/etc/passwd", "1/../../log", "task.json", "manifest.json", "1/link", ""):
        for kind in ("logs", "artifacts"):
            assert api.get(f"{path}/{kind}/download", params={"filename": name}).status_code == 404, name


def test_keys(service: Service, api: httpx.Client) -> None:
    """Wrong ones 401, whatever is wrong; a read-only one reads; another workspace 403."""
    for header in ("", "Bearer", "Bearer wrong", f"Basic {service.keys.read_write}", "Bearer \u00e9"):
        answer = api.get("/pipelines", headers={"Authorization": header.encode("latin-1")})
        assert (answer.status_code, answer.json()) == (401, {"detail": "Unauthorized"})
    reader = {"Authorization": f"Bearer {service.keys.read_only}"}
    assert api.get("/pipelines", headers=reader).status_code == 200
    assert api.post("/pipelines/orders/start", json={"runInputs": {"day": "x"}}, headers=reader).status_code == 403
    assert api.get("/pipelines", headers={"X-Orchestra-Account-Id": service.account_id}).status_code == 200
    assert api.get("/pipelines", headers={"X-Orchestra-Account-Id": str(uuid4())}).status_code == 403
    accounts = api.get("http://testserver/public/v1/accounts").json()
    assert accounts == [{"id": service.account_id, "name": service.root.name}]


def test_who_may_talk_to_us(api: httpx.Client) -> None:
    """Rules 10 to 12: no other name, no other site, JSON only."""
    assert api.get("/health", headers={"Host": "attacker.example"}).status_code == 403
    start = "/pipelines/orders/start"
    for headers in ({"Origin": "http://attacker.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}):
        assert api.post(start, json={}, headers=headers).status_code == 403
    assert api.post(start, json={}, headers={"Origin": "http://testserver"}).status_code == 400
    assert api.post(start, content=b"{}", headers={"Content-Type": "text/plain"}).status_code == 415
    assert api.post(start, data={"a": "b"}).status_code == 415


def test_both_base_paths(api: httpx.Client, start: Start) -> None:
    start()
    old = api.get("http://testserver/engine/public/pipeline_runs").json()
    assert old == api.get("/pipeline_runs").json() and old["total"] == 1


def test_switches_for_tests_of_clients(service: Service) -> None:
    with client(service, rate=2) as limited:
        assert [limited.get("/pipelines").status_code for _ in range(3)] == [200, 200, 429]
        assert 1 <= int(limited.get("/pipelines").headers["Retry-After"]) <= 60
    with client(service, forced=(("GET", "*/task_runs", 503), ("*", "*/pipelines", 403))) as forced:
        assert [forced.get(path).status_code for path in ("/task_runs", "/pipelines", "/pipeline_runs")] == [
            503,
            403,
            200,
        ]
    with client(service, window_hours=168) as patient:
        assert patient.get("/pipeline_runs").status_code == 200


def test_a_store_that_is_gone_is_503(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REHEARSE_STORE", "postgresql://127.0.0.1:1/none")
    with client(service) as api:
        answer = api.get("/pipeline_runs")
        assert answer.status_code == 503 and "127.0.0.1:1/none cannot be used" in answer.json()["detail"]

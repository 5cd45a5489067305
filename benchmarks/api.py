"""How quick `rehearse serve` answers: 100,000 task runs in the store, 8 clients at once; starts; memory.

Usage: python benchmarks/api.py [REQUESTS]     (the environment of `make install`; nothing has to be up)

Prints p50 and p95 in milliseconds per kind of call, how many of 100 concurrent starts became runs and how many ended, and the
server's memory before and after 10,000 further requests (Linux).
"""

from __future__ import annotations

import http.client
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlencode, urlsplit
from uuid import uuid4

from startup import BIN

from rehearse.store.ids import pipeline_id
from rehearse.store.records import open_store, timestamp

RUNS, TASKS = 10_000, 10
CLIENTS = 8
TARGET_MS = 50.0
BASE = "/api/engine/public"
PIPELINE = """version: v1
name: Empty
pipeline:
  t: {name: T, integration: ORCHESTRA, integration_job: WAIT, parameters: {seconds: 0}}
"""


def main() -> None:
    requests = int(sys.argv[1]) if len(sys.argv) > 1 else 400
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        (root / "orchestra").mkdir()
        (root / "orchestra" / "empty.yml").write_text(PIPELINE)
        (root / "rehearse.toml").touch()
        ids = fill(root)
        command = [str(BIN / "rehearse"), "serve", "--port", "0"]
        server = subprocess.Popen(command, cwd=root, stderr=subprocess.PIPE, text=True)
        assert server.stderr is not None
        url, token = next(m.groups() for line in server.stderr if (m := re.search(r"at (\S+)/\?token=(\S+)", line)))
        try:
            measure(url, token, ids, requests, server.pid)
        finally:
            server.terminate()
            server.wait()


RUN_COLUMNS = (
    "id, pipeline, pipeline_id, name, status, created_at, started_at, ended_at, file, environment, inputs, definition, folder, "
    '"trigger", fence'
)
TASK_COLUMNS = (
    "id, run_id, position, task_id, name, created_at, started_at, ended_at, group_id, integration, job, status, attempt, "
    "simulated, parameters, outputs"
)
TASK_VALUES = ("g", "PYTHON", "PYTHON_EXECUTE_SCRIPT", "SUCCEEDED", 1, 0, '{"command": "python x.py"}', "{}")


def fill(root: Path) -> list[str]:
    """Runs of the last days, ten tasks each; their ids."""
    store = open_store(root)
    now = datetime.now(UTC)
    ids = [str(uuid4()) for _ in range(RUNS)]
    with store.database.transaction():
        for number, run_id in enumerate(ids):
            at = timestamp(now - timedelta(seconds=number * 50))
            alias = f"pipeline_{number % 50}"
            status = "FAILED" if number % 20 == 0 else "SUCCEEDED"
            run = (
                run_id,
                alias,
                pipeline_id(alias),
                alias.title(),
                status,
                at,
                at,
                at,
                "x.yml",
                "local",
                "{}",
                PIPELINE,
                "x",
                "M",
                1,
            )
            store.database.execute(f"INSERT INTO runs ({RUN_COLUMNS}) VALUES ({', '.join('?' * len(run))})", run)
            tasks = [
                (str(uuid4()), run_id, task, f"t{task}", f"T{task}", at, at, at, *TASK_VALUES) for task in range(TASKS)
            ]
            marks = ", ".join("?" * len(tasks[0]))
            store.database.execute_many(f"INSERT INTO task_runs ({TASK_COLUMNS}) VALUES ({marks})", tasks)
    store.close()
    return ids


def measure(url: str, token: str, ids: list[str], requests: int, pid: int) -> None:
    print(f"{RUNS * TASKS:,} task runs in the store, {CLIENTS} clients at once (target: p95 of {TARGET_MS:g} ms)")
    now = datetime.now(UTC)
    week = {"time_from": (now - timedelta(days=6)).isoformat(), "time_to": now.isoformat()}
    failed = {"status": "FAILED", "pipeline_ids": pipeline_id("pipeline_0")}
    calls = Calls(url, token, ids)
    for name, path, params in (
        ("status of a run", "/pipeline_runs/{id}/status", {}),
        ("runs, 50 of a week", "/pipeline_runs", week),
        ("runs, page 50 of 100", "/pipeline_runs", week | {"page": "50", "page_size": "100"}),
        ("failed runs of a pipeline", "/pipeline_runs", week | failed),
        ("task runs of a run", "/pipeline_runs/{id}/task_runs", {"page_size": "50"}),
        ("task runs, 50 of a week", "/task_runs", week),
        ("task runs of the last day", "/task_runs", {}),
        ("pipelines", "/pipelines", {}),
    ):
        times = calls.get(path, params, requests)
        p50, p95 = statistics.median(times), statistics.quantiles(times, n=20)[-1]
        print(f"  {name:<28} p50 {p50:6.1f} ms   p95 {p95:6.1f} ms")
    before = time.perf_counter()
    with ThreadPoolExecutor(100) as pool:
        answers = list(pool.map(lambda _: calls.post("/pipelines/empty/start"), range(100)))
    took = time.perf_counter() - before
    started = {json.loads(body)["pipelineRunId"] for status, body in answers if status == 200}
    print(f"100 concurrent starts: {len(started)} accepted in {took:.2f} s", end="", flush=True)
    ended = {"pipeline_ids": pipeline_id("empty"), "status": "SUCCEEDED", "page_size": "1"}
    deadline = time.monotonic() + 60
    while (done := json.loads(calls.body("/pipeline_runs", ended))["total"]) < 100 and time.monotonic() < deadline:
        time.sleep(0.2)
    print(f", {done} ended after {time.perf_counter() - before:.1f} s")
    first = memory(pid)
    calls.get("/pipeline_runs/{id}/status", {}, 10_000)
    print(f"memory: {first / 1e6:.0f} MB, after 10,000 requests {memory(pid) / 1e6:.0f} MB")


class Calls:
    """Clients that cost little themselves: a connection each, and no look into the answers."""

    def __init__(self, url: str, token: str, ids: list[str]):
        self._address = urlsplit(url).netloc
        self._headers = {"Authorization": f"Bearer {token}"}
        self._ids = ids

    def get(self, path: str, params: dict[str, str], count: int) -> list[float]:
        """Milliseconds of each call, made by CLIENTS at once."""
        times: list[float] = []

        def one(number: int) -> None:
            client = http.client.HTTPConnection(self._address)
            for index in range(number, count, CLIENTS):
                begun = time.perf_counter()
                self._ask(client, path.replace("{id}", self._ids[index * 7 % len(self._ids)]), params)
                times.append((time.perf_counter() - begun) * 1000)
            client.close()

        with ThreadPoolExecutor(CLIENTS) as pool:
            list(pool.map(one, range(CLIENTS)))
        return times

    def body(self, path: str, params: dict[str, str]) -> bytes:
        return self._ask(http.client.HTTPConnection(self._address), path, params)

    def post(self, path: str) -> tuple[int, bytes]:
        client = http.client.HTTPConnection(self._address)
        client.request("POST", f"{BASE}{path}", headers=self._headers)
        answer = client.getresponse()
        return answer.status, answer.read()

    def _ask(self, client: http.client.HTTPConnection, path: str, params: dict[str, str]) -> bytes:
        client.request("GET", f"{BASE}{path}?{urlencode(params)}", headers=self._headers)
        answer = client.getresponse()
        body = answer.read()
        assert answer.status == 200, body
        return body


def memory(pid: int) -> int:
    with open(f"/proc/{pid}/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    main()

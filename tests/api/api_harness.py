"""A workspace, its API in this process, and runs that end without an engine."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

from rehearse.api.app import create_app
from rehearse.api.keys import load_keys
from rehearse.api.service import Service, Switches
from rehearse.bindings.config import load_bindings
from rehearse.store.records import Store, timestamp

ENGINE = "/api/engine/public"
PIPELINE = """version: v1
name: Orders
inputs:
  day: {type: string}
  limit: {type: number, default: 10}
pipeline:
  load:
    name: Load
    tasks:
      extract:
        name: Extract
        integration: PYTHON
        integration_job: PYTHON_EXECUTE_SCRIPT
        parameters: {command: python -c pass}
      check:
        name: Check
        integration: PYTHON
        integration_job: PYTHON_EXECUTE_SCRIPT
        parameters: {command: python -c pass}
        depends_on: [extract]
"""
BINDINGS = """
[environments.dev]
SCHEMA = "dev"
TOKEN = "top-secret-token"

[environments.prod]
SCHEMA = "prod"

[connections.shop_12345]
integration = "POSTGRES"
url = "postgresql://127.0.0.1/shop"
default = true
"""


def make_workspace(folder: Path) -> Path:
    (folder / "orchestra").mkdir()
    (folder / "orchestra" / "orders.yml").write_text(PIPELINE)
    (folder / "rehearse.toml").write_text(BINDINGS)
    return folder


def make_service(workspace: Path) -> Service:
    return Service(workspace, load_keys(workspace), lambda: load_bindings(workspace))


def client(service: Service, **switches: Any) -> httpx.Client:
    """Speaks to the application without a socket."""
    from starlette.testclient import TestClient

    if switches:
        service = Service(service.root, service.keys, service.bindings, Switches(**switches))
    headers = {"Authorization": f"Bearer {service.keys.read_write}"}
    made: httpx.Client = TestClient(
        create_app(service), base_url=f"http://testserver{ENGINE}", headers=headers, raise_server_exceptions=True
    )
    return made


def finish(store: Store, run_id: str, status: str = "SUCCEEDED", ago: timedelta = timedelta()) -> None:
    """As if an engine had run it."""
    now = timestamp(datetime.now(UTC) - ago)
    fence = store.run(run_id)["fence"]
    tasks = [
        row | {"status": status, "attempt": 1, "started_at": now, "ended_at": now} for row in store.task_runs(run_id)
    ]
    run = {"status": status, "started_at": now, "ended_at": now}
    store.commit(run_id, fence, run=run | ({"created_at": now} if ago else {}), tasks=tasks)

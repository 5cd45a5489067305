"""A workspace with a pipeline, and its API in this process: see `api_harness`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from api_harness import client, make_service, make_workspace

from rehearse.api.service import Service
from rehearse.store.records import Store, open_store


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    return make_workspace(tmp_path)


@pytest.fixture
def service(workspace: Path) -> Service:
    return make_service(workspace)


@pytest.fixture
def store(workspace: Path) -> Iterator[Store]:
    store = open_store(workspace)
    yield store
    store.close()


@pytest.fixture
def api(service: Service) -> Iterator[httpx.Client]:
    with client(service) as made:
        yield made


@pytest.fixture
def start(api: httpx.Client) -> Callable[..., str]:
    def start(pipeline: str = "orders", **body: Any) -> str:
        answer = api.post(f"/pipelines/{pipeline}/start", json={"runInputs": {"day": "2026-01-01"}} | body)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["pipelineRunId"])

    return start

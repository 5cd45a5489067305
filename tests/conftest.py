"""Shared by all tests: the repository, its commands, and an environment that no developer's settings leak into."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from hypothesis import settings

# The same examples each time, however slow the machine: a run that fails says something about the change.
# `pytest --hypothesis-profile default` looks for new ones.
settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile("repeatable")

ROOT = Path(__file__).resolve().parents[1]
BIN = Path(sys.executable).parent


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def bin_dir() -> Path:
    return BIN


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(("SOURCES__", "DESTINATION__", "DUCKDB_PATH", "POSTGRES_", "DBT_", "REHEARSE_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("NO_COLOR", "1")


LONGEST = (
    "test_platform.py", "test_dbt_parity.py", "test_cases.py", "test_chaos.py", "test_clients.py", "test_clients_cli.py",
    "test_dbt_job.py", "test_jobs_environments.py", "test_contract.py", "test_recovery.py", "test_ingest_faults.py",
    "test_ingest_sandbox.py", "test_run.py", "test_supervisor.py",
)  # fmt: skip
"""Files that take longest come first, each on one processor: else one of them runs alone at the end."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: LONGEST.index(item.path.name) if item.path.name in LONGEST else len(LONGEST))

"""Shared by the tests of python/: the real sandbox, a warehouse of one's own, and the worker as a child process."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ingest_harness import Result, Sandbox, Worker


@pytest.fixture(scope="session")
def bytecode(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Where bytecode is not written each child compiles two thousand modules anew; here they share a cache."""
    return {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(tmp_path_factory.mktemp("bytecode"))}


@pytest.fixture(scope="session")
def sandbox(tmp_path_factory: pytest.TempPathFactory, bytecode: dict[str, str]) -> Iterator[Sandbox]:
    box = Sandbox(dict(bytecode), tmp_path_factory.mktemp("sandbox"))
    modules = (
        "dlt, dlt.destinations, dlt.destinations.impl.duckdb.duck, adbc_driver_postgresql.dbapi, sqlalchemy, httpx"
    )
    # The cache is filled while the systems start, and once instead of by seven workers at the same time.
    warming = subprocess.Popen(
        [sys.executable, "-c", f"import {modules}, simple_salesforce"], env={**os.environ, **bytecode}
    )
    box("up")
    warming.wait()
    try:
        for line in box("env").splitlines():
            words = shlex.split(line)
            if words[:1] == ["export"]:
                name, _, value = words[1].partition("=")
                box.env[name] = value
        yield box
    finally:
        box("reset")


@pytest.fixture
def empty(sandbox: Sandbox, tmp_path: Path) -> Worker:
    """A worker with no warehouse yet."""
    return Worker(tmp_path, sandbox.env)


@pytest.fixture(scope="session")
def first_load(
    sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Worker, dict[tuple[str, str], Result]]:
    """All seven objects loaded at once into a new warehouse. Not to be written to: see `loaded`."""
    worker = Worker(tmp_path_factory.mktemp("first_load"), sandbox.env)
    return worker, worker.all()


@pytest.fixture
def loaded(first_load: tuple[Worker, Any], tmp_path: Path) -> Worker:
    """A copy of the loaded warehouse to change at will, with the local pipeline folders of the first load."""
    worker, results = first_load
    assert {result.code for result in results.values()} == {0}
    shutil.copytree(worker.folder, tmp_path, dirs_exist_ok=True)
    return Worker(tmp_path, worker.env)

"""Accepting a run: recorded first, started by whichever engine comes, once."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from rehearse.bindings.config import load_bindings
from rehearse.engine.acceptance import Accepted, accept
from rehearse.engine.plans import plan_of_file
from rehearse.store.ids import id_of, pipeline_id
from rehearse.store.records import open_store

PIPELINE = """version: v1
name: Demo
inputs:
  word: {type: string, default: none}
configuration: {concurrency: {max_active: 2}}
pipeline:
  note:
    name: Note
    integration: PYTHON
    integration_job: PYTHON_EXECUTE_SCRIPT
    parameters:
      command: python -c "import sys; open('ran', 'a').write(sys.argv[1] + ' ')" ${{ inputs.word }}
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "orchestra").mkdir()
    (tmp_path / "orchestra" / "demo.yml").write_text(PIPELINE)
    (tmp_path / "rehearse.toml").write_text("")
    return tmp_path


def accept_one(root: Path, word: str = "hello", **fields: Any) -> Accepted:
    bindings = load_bindings(root)
    store = open_store(root)
    try:
        return accept(
            store, root, plan_of_file(root / "orchestra" / "demo.yml", bindings, {"word": word}, None), **fields
        )
    finally:
        store.close()


def rehearse(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "rehearse", *arguments], cwd=root, capture_output=True, text=True)


def test_fault_01_an_accepted_run_starts_once_with_the_next_engine(root: Path) -> None:
    accepted = accept_one(root)
    assert (accepted.status, accepted.is_new) == ("CREATED", True)
    resumed = rehearse(root, "resume")
    assert resumed.returncode == 0, resumed.stderr
    assert rehearse(root, "resume").returncode == 0
    assert (root / "ran").read_text() == "hello "
    with_store = open_store(root)
    row = with_store.run(accepted.run_id)
    with_store.close()
    assert (row["status"], row["pipeline_id"]) == ("SUCCEEDED", pipeline_id("demo"))


def test_fault_15_the_same_key_is_the_same_run(root: Path) -> None:
    found: list[Accepted] = []
    calls = [threading.Thread(target=lambda: found.append(accept_one(root, key="webhook/7"))) for _ in range(6)]
    for call in calls:
        call.start()
    for call in calls:
        call.join()
    assert len({accepted.run_id for accepted in found}) == 1 and sum(accepted.is_new for accepted in found) == 1
    assert accept_one(root, key="webhook/8").run_id != found[0].run_id


def test_a_run_too_many_is_skipped_and_says_so(root: Path) -> None:
    accepted = [accept_one(root) for _ in range(3)]
    assert [run.status for run in accepted] == ["CREATED", "CREATED", "SKIPPED"]
    assert accepted[2].message == "2 run(s) of demo are active, and max_active is 2"


def test_ids_have_the_form_of_version_4() -> None:
    assert UUID(id_of("a", 1)).version == 4 and id_of("a", 1) == id_of("a", 1) != id_of("a", 2)


def test_the_first_run_in_a_clone_says_what_it_executes(root: Path) -> None:
    first = rehearse(root, "run", "orchestra/demo.yml")
    assert f"The first run in {root.name}. Tasks run as you" in first.stderr
    assert """python -c "import sys; open('ran'""" in first.stderr
    assert "The first run" not in rehearse(root, "run", "orchestra/demo.yml").stderr

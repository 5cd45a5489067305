"""Every folder of tests/cases: a real pipeline, really run, with its expected outcome."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

CASES = Path(__file__).with_name("cases")


@pytest.mark.parametrize("case", sorted(path.name for path in CASES.iterdir() if path.is_dir() and path.name[0] != "."))
def test_case(case: str, tmp_path: Path, bin_dir: Path) -> None:
    shutil.copytree(CASES / case, tmp_path / case)
    shutil.copy(CASES / "rehearse.toml", tmp_path)
    expected = json.loads((CASES / case / "expected.json").read_text())
    command = [bin_dir / "rehearse", "run", f"{case}/pipeline.yml", "--json", *expected.get("arguments", [])]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.stdout, done.stderr
    result = json.loads(done.stdout)
    states = {t["task"] + (f"[{t['item']}]" if t["item"] is not None else ""): t["status"] for t in result["tasks"]}
    assert states == expected["tasks"], done.stderr
    assert (result["status"], done.returncode) == (expected["status"], expected["exit_code"])

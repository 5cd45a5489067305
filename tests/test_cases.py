"""Every folder of tests/cases: a real pipeline with its expected outcome, of `run`, `validate` or `plan`."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

CASES = Path(__file__).with_name("cases")
EXPECTED = {path.parent.name: json.loads(path.read_text()) for path in sorted(CASES.glob("*/expected.json"))}


def cases_of(verb: str) -> list[str]:
    return [name for name, expected in EXPECTED.items() if verb in expected]


def test_every_case_expects_something() -> None:
    folders = sorted(path.name for path in CASES.iterdir() if path.is_dir() and path.name[0] != ".")
    assert folders == list(EXPECTED)
    assert all({"run", "validate", "plan"} & set(expected) for expected in EXPECTED.values())


@pytest.mark.parametrize("case", cases_of("run"))
def test_run(case: str, tmp_path: Path, bin_dir: Path) -> None:
    shutil.copytree(CASES / case, tmp_path / case)
    shutil.copy(CASES / "rehearse.toml", tmp_path)
    expected = EXPECTED[case]["run"]
    command = [bin_dir / "rehearse", "run", f"{case}/pipeline.yml", "--json", *expected.get("arguments", [])]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.stdout, done.stderr
    result = json.loads(done.stdout)
    states = {t["task"] + (f"[{t['item']}]" if t["item"] is not None else ""): t["status"] for t in result["tasks"]}
    assert states == expected["tasks"], done.stderr
    assert (result["status"], done.returncode) == (expected["status"], expected["exit_code"])


@pytest.mark.parametrize("case", cases_of("validate"))
def test_validate(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = EXPECTED[case]["validate"]
    code, output = call(monkeypatch, case, "validate", expected)
    problems = json.loads(output)["problems"]
    assert [as_line(problem) for problem in problems] == expected["problems"]
    assert code == expected.get("exit_code", 2 if any(p["severity"] == "error" for p in problems) else 0)


@pytest.mark.parametrize("case", cases_of("plan"))
def test_plan(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = EXPECTED[case]["plan"]
    code, output = call(monkeypatch, case, "plan", expected)
    assert code == expected.get("exit_code", 0), output
    if "json" in expected:
        assert_contains(json.loads(output), expected["json"])


def call(monkeypatch: pytest.MonkeyPatch, case: str, verb: str, expected: dict[str, Any]) -> tuple[int, str]:
    """The verb in this process, from the folder of the cases. An error that we raise on purpose gives its exit code."""
    from rehearse.cli.app import make_app
    from rehearse.errors import RehearseError

    monkeypatch.chdir(CASES)
    files = [f"{case}/{name}" for name in expected.get("files", ["pipeline.yml"])]
    done = CliRunner().invoke(make_app(), [verb, *files, "--json", *expected.get("arguments", [])])
    if isinstance(done.exception, RehearseError):
        assert expected["error"] in f"{done.exception} ({done.exception.hint})"
        return done.exception.exit_code, ""
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code, done.stdout


def as_line(problem: dict[str, Any]) -> str:
    """`line:column severity code: message (hint)`, with the file in front unless it is pipeline.yml."""
    name = Path(problem["file"]).name
    file = "" if name == "pipeline.yml" else f"{name}:"
    hint = f" ({problem['hint']})" if problem["hint"] else ""
    place = f"{file}{problem['line']}:{problem['column']}"
    return f"{place} {problem['severity']} {problem['code']}: {problem['message']}{hint}"


def assert_contains(found: Any, expected: Any, path: str = "$") -> None:
    """Every key of `expected` is in `found` with that value; lists have the same length."""
    if isinstance(expected, dict):
        assert isinstance(found, dict), path
        for key, value in expected.items():
            assert key in found, f"{path}.{key}"
            assert_contains(found[key], value, f"{path}.{key}")
    elif isinstance(expected, list):
        assert isinstance(found, list) and len(found) == len(expected), f"{path}: {found}"
        for index, value in enumerate(expected):
            assert_contains(found[index], value, f"{path}[{index}]")
    else:
        assert found == expected, path

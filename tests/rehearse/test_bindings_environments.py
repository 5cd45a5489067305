"""Variables of environments: where a mistake is, and other values for one run, which survive the engine and are not secret."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from rehearse.bindings.config import load_bindings
from rehearse.bindings.environments import storable, with_overrides
from rehearse.errors import BindingError

ENV = {"NAME": "dev", "LIMIT": 5, "RATE": 0.5, "DRY": False, "LIST": [1], "DICT": {"a": 1}, "DB_PASSWORD": "x"}


def test_a_mistake_is_named_with_its_line(tmp_path: Path) -> None:
    for text, said, hint in (
        ('A = { type = "int" }', "A: 'value' is missing", 'write { type = "int", value = ... }'),
        ('A = { type = "int", valu = 5 }', "A: unknown key 'valu'", 'write { type = "int", value = ... }'),
        ('A = { type = "Int", value = 5 }', "A: unknown type 'Int'", "did you mean 'int'?"),
        ('A = { type = 3, value = 5 }', "A: unknown type '3'", "one of string, int,"),
        ('A = { type = "DICT", value = [] }', "A: [] is no DICT", None),
        ('A_TOKEN = { type = "int", value = "abc" }', "A_TOKEN: '********' is no int", None),
    ):  # fmt: skip
        (tmp_path / "rehearse.toml").write_text(f"[environments.e]\nB = 1\n{text}\n")
        with pytest.raises(BindingError) as caught:
            load_bindings(tmp_path)
        assert f"rehearse.toml:3: [environments.e]: {said}" in str(caught.value)
        assert hint is None or hint in str(caught.value.hint)


def test_a_table_that_only_looks_like_a_type_is_a_table(tmp_path: Path) -> None:
    (tmp_path / "rehearse.toml").write_text('[environments.e]\nA = { type = "sedan", doors = 5 }\n')
    assert load_bindings(tmp_path).environment("e")[1] == {"A": {"type": "sedan", "doors": 5}}


def test_credentials_are_known(tmp_path: Path) -> None:
    (tmp_path / "rehearse.toml").write_text(
        '[environments.e]\nW = { type = "integration_credential", value = "wh_12345" }\nX = "plain"\n'
    )
    assert load_bindings(tmp_path).credentials == {"e": {"W": "wh_12345"}}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"name": "7"}, {"NAME": "7"}), ({"LIMIT": " 7"}, {"LIMIT": 7}), ({"RATE": "2"}, {"RATE": 2}),
        ({"dry": "TRUE"}, {"DRY": True}), ({"LIST": '["x"]'}, {"LIST": ["x"]}), ({"DICT": "{}"}, {"DICT": {}}),
        ({"LIMIT": 9, "NAME": ""}, {"LIMIT": 9, "NAME": ""}),
    ],
)  # fmt: skip
def test_an_override_has_the_type_of_the_variable(given: dict[str, Any], expected: dict[str, Any]) -> None:
    assert with_overrides(ENV, given) == ENV | expected


@pytest.mark.parametrize(
    ("given", "said", "hint"),
    [
        ({"NAM": "x"}, "no variable 'NAM'", "did you mean 'NAME'?"), ({"ZZZ": "x"}, "no variable 'ZZZ'", "it has: NAME, LIMIT"),
        ({"LIMIT": "x"}, "'LIMIT' is a int, not 'x'", "write a number"), ({"LIMIT": "true"}, "not 'true'", None),
        ({"LIMIT": "1.5"}, "not '1.5'", None), ({"RATE": "NaN"}, "not 'NaN'", None), ({"DRY": "1"}, "is a bool", "true or false"),
        ({"LIST": "{}"}, "is a LIST", "write JSON: [1, 2]"), ({"DICT": "{"}, "is a DICT", "write JSON: {}"),
    ],
)  # fmt: skip
def test_an_override_that_does_not_fit(given: dict[str, Any], said: str, hint: str | None) -> None:
    with pytest.raises(BindingError) as caught:
        with_overrides(ENV, given)
    assert said in str(caught.value) and (hint is None or hint in str(caught.value.hint))


def test_a_secret_override_is_not_recorded_and_cannot_be_gone_on_with() -> None:
    kept = storable({"DB_PASSWORD": "hunter22", "NAME": "postgres://u:hunter22@h/d", "LIMIT": 3})
    assert kept == {"DB_PASSWORD": "********", "NAME": "********", "LIMIT": 3}
    with pytest.raises(
        BindingError, match="'DB_PASSWORD' was set for that run only, and as a secret it was not recorded"
    ):
        with_overrides(ENV, kept)


# Through the command line

PIPELINE = """
version: v1
name: p
pipeline:
  t:
    name: t
    integration: PYTHON
    integration_job: PYTHON_EXECUTE_SCRIPT
    depends_on: []
    parameters:
      source: INLINE
      code: |
        print('limit ${{ ENV.LIMIT }}, ${{ ENV.WHERE }}')
        raise SystemExit('${{ ENV.WHERE }}' == 'nowhere')
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "rehearse.toml").write_text(
        '[environments.dev]\nLIMIT = { type = "int", value = 5 }\nWHERE = "here"\nMY_TOKEN = "x"\n'
        '[environments.prod]\nLIMIT = 1\nWHERE = "there"\nMY_TOKEN = "y"\n'
    )
    (tmp_path / "p.yml").write_text(PIPELINE)
    return tmp_path


def rehearse(bin_dir: Path, folder: Path, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    command = [bin_dir / "rehearse", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, env=os.environ | env)
    assert "Traceback" not in done.stderr
    return done


def printed(folder: Path) -> str:
    newest = max((folder / ".rehearse" / "runs").iterdir(), key=lambda path: path.stat().st_mtime_ns)
    return (newest / "t" / "1" / "log").read_text()


def test_set_env_in_a_plan_and_in_a_run_and_in_what_repeats_it(bin_dir: Path, folder: Path) -> None:
    plan = rehearse(bin_dir, folder, "plan", "p.yml", "--set-env", "limit=7", "-v")
    assert "limit 7, here" in plan.stdout
    run = rehearse(bin_dir, folder, "run", "p.yml", "-e", "prod", "--set-env", "LIMIT=7", "--set-env", "where=a=b")
    assert run.returncode == 0 and printed(folder) == "limit 7, a=b\n"
    assert rehearse(bin_dir, folder, "retry").returncode == 0 and printed(folder) == "limit 7, a=b\n"
    rehearse(bin_dir, folder, "run", "p.yml", "--set-env", "WHERE=nowhere", "--set-env", "LIMIT=7")
    again = ("p.yml", "--from-failed", "latest")
    assert "limit 7, nowhere" in rehearse(bin_dir, folder, "plan", *again, "-v").stdout
    elsewhere = rehearse(bin_dir, folder, "plan", *again, "-v", "-e", "prod").stdout
    assert "limit 1, there" in elsewhere, "what was set in one environment means nothing in another"
    assert rehearse(bin_dir, folder, "run", *again, "--set-env", "where=there").returncode == 0
    assert printed(folder) == "limit 7, there\n"
    for text in ("LIMIT", "LIMT=3", "LIMIT=x"):
        refused = rehearse(bin_dir, folder, "run", "p.yml", "--set-env", text)
        assert refused.returncode == 2 and "error: " in refused.stderr


def test_a_run_that_is_gone_on_with_keeps_what_was_set(bin_dir: Path, folder: Path) -> None:
    rehearse(bin_dir, folder, "run", "p.yml", "--set-env", "LIMIT=7", REHEARSE_CRASH_AT="run.recorded")
    assert rehearse(bin_dir, folder, "resume").returncode == 0
    assert printed(folder) == "limit 7, here\n"


def test_a_secret_that_was_set_is_gone_with_its_engine(bin_dir: Path, folder: Path) -> None:
    given = ("--set-env", "MY_TOKEN=correct-horse-battery")
    rehearse(bin_dir, folder, "run", "p.yml", *given, REHEARSE_CRASH_AT="run.recorded")
    shown = rehearse(bin_dir, folder, "resume")
    assert "as a secret it was not recorded" in shown.stderr
    for path in (folder / ".rehearse").rglob("*"):
        assert not path.is_file() or b"correct-horse" not in path.read_bytes()
    assert json.loads(rehearse(bin_dir, folder, "runs", "--json").stdout)["runs"][0]["status"] == "FAILED"

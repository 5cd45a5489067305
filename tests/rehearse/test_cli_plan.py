"""`rehearse plan`: its flags, formats and errors, and that it leaves nothing behind."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from rehearse.cli.app import main
from rehearse.store.records import Owner, open_store, timestamp

PIPELINE = """\
version: v1
name: Nightly
inputs:
  day: {type: string, default: '${{ format_date(ORCHESTRA.CURRENT_TIME, "%Y-%m-%d %H:%M") }}'}
  size: {type: string, default: small, options: [small, large]}
  api_token: {type: string, optional: true}
pipeline:
  extract:
    depends_on: []
    tasks:
      load:
        name: Load ${{ MATRIX.table }}
        integration: PYTHON
        integration_job: PYTHON_EXECUTE_SCRIPT
        depends_on: []
        parameters: {command: 'python -c pass ${{ inputs.day }} ${{ inputs.api_token }} ${{ MATRIX.table }}'}
    matrix: {inputs: {table: [a, b]}}
  marts:
    depends_on: [extract]
    tasks:
      build:
        name: Build
        integration: PYTHON
        integration_job: PYTHON_EXECUTE_SCRIPT
        connection: ${{ ENV.CONNECTION }}
        depends_on: []
        parameters: {command: python -c pass}
"""
BINDINGS = """\
[environments.laptop]
CONNECTION = "fake"
[environments.cloud]
CONNECTION = "real"
[connections.fake]
integration = "PYTHON"
mode = "stub"
"""


class Done(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Plan = Callable[..., Done]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "nightly.yml").write_text(PIPELINE)
    (tmp_path / "rehearse.toml").write_text(BINDINGS)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def plan(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Plan:
    """Runs `rehearse plan nightly.yml` in this process."""

    def call(*flags: str) -> Done:
        monkeypatch.setattr(sys, "argv", ["rehearse", "plan", "nightly.yml", *flags])
        code: Any = 0
        try:
            main()
        except SystemExit as e:
            code = e.code or 0
        return Done(code, *capsys.readouterr())

    return call


def record(folder: Path, run_id: str, minute: int, tasks: dict[str, str], **more: Any) -> None:
    """Put an earlier run into the store."""
    created = timestamp(datetime(2026, 2, 1, 6, minute, tzinfo=UTC))
    run = {
        "id": run_id, "pipeline": "nightly", "name": "Nightly", "file": "nightly.yml", "status": "FAILED", "environment": "cloud",
        "inputs": {"day": "2026-01-31", "size": "large", "api_token": None, "extra": 1}, "definition": PIPELINE, "folder": "f",
        "trigger": "MANUAL", "created_at": created,
    }  # fmt: skip
    rows = []
    for position, (label, status) in enumerate(tasks.items()):
        task_id, _, item = label.removesuffix("]").partition("[")
        row = {
            "id": f"{run_id}-{label}", "run_id": run_id, "position": position, "group_id": "g", "task_id": task_id,
            "item": item or None, "name": task_id, "integration": "PYTHON", "job": "J", "status": status, "attempt": 1,
            "simulated": False, "carried": None, "parameters": {}, "outputs": {}, "created_at": created,
        }  # fmt: skip
        rows.append(row)
    store = open_store(folder)
    store.create_run(run | more, rows, Owner(1, "long ago", "here", str(created)), None)
    store.close()


def selected(done: Done) -> dict[str, Any]:
    """task id -> whether it is selected, or the status that it carries."""
    assert done.code == 0, done.err
    return {task["id"]: task["carried"] or task["selected"] for group in done.json["groups"] for task in group["tasks"]}


def test_the_tree_says_what_is_simulated_and_leaves_nothing_behind(plan: Plan, folder: Path) -> None:
    done = plan("--at", "2026-11-24T07:30+01:00")
    assert done.code == 0
    assert done.out.splitlines() == [
        "Nightly  nightly.yml, environment laptop",
        "├── inputs: day='2026-11-24 06:30', size='small', api_token=None",
        "├── extract",
        "│   ├── for each table (2): a, b",
        "│   └── load  PYTHON_EXECUTE_SCRIPT",
        "└── marts  after extract",
        "    └── build  PYTHON_EXECUTE_SCRIPT  simulated (stub)",
        "2 tasks; 3 task runs",
        "simulated: build",
    ]
    assert sorted(path.name for path in folder.iterdir()) == ["nightly.yml", "rehearse.toml"]


def test_verbose_shows_the_parameters_with_what_is_known(plan: Plan) -> None:
    out = plan("-v", "--at", "2026-11-24", "-i", "api_token=hunter2").out
    assert "for example a:" in out and "command: python -c pass 2026-11-24 00:00 ******** a" in out


def test_the_same_moment_gives_the_same_plan(plan: Plan) -> None:
    assert plan("--json", "--at", "2026-11-24 06:00") == plan("--format", "json", "--at", "2026-11-24T06:00Z")
    assert plan("--json").json["created_at"] <= timestamp(datetime.now(UTC))  # type: ignore[operator]


def test_json_and_mermaid(plan: Plan) -> None:
    content = plan("--json", "--input", "size=large", "--env", "cloud").json
    assert (content["schema_version"], content["environment"], content["inputs"]["size"]) == (1, "cloud", "large")
    assert (content["cannot_run_here"], content["simulated"]) == (["build"], [])
    assert plan("--format", "mermaid").out.startswith("flowchart LR\n    %% Nightly in environment laptop\n")
    tree = plan("--format", "tree", "--env", "cloud").out
    assert "unknown connection: real" in tree and tree.endswith("cannot run here: build\n")


def test_no_secret_is_printed_in_any_format(plan: Plan) -> None:
    for flags in (["--json"], ["--format", "mermaid"], ["-v"]):
        done = plan(*flags, "-i", "api_token=hunter2", "-i", "size=tiny")
        assert done.code == 0 and "hunter2" not in done.out + done.err
        assert "input 'size' is 'tiny', which is none of its options: small, large" in done.err


def test_tasks_are_selected(plan: Plan) -> None:
    assert selected(plan("--json", "--task", "load")) == {"load": True, "build": False}
    assert selected(plan("--json", "-t", "load", "--continue-downstream")) == {"load": True, "build": True}
    assert selected(plan("--json", "-t", "+marts")) == {"load": True, "build": True}
    assert "load  PYTHON_EXECUTE_SCRIPT  not selected" in plan("-t", "build").out


def test_from_failed_takes_inputs_and_environment_of_that_run(plan: Plan, folder: Path) -> None:
    record(folder, "aaaa-1", 1, {"load[a]": "SUCCEEDED", "load[b]": "WARNING", "build": "FAILED"})
    record(folder, "aaaa-2", 2, {"load[a]": "SUCCEEDED", "load[b]": "FAILED", "build": "SKIPPED"})
    record(folder, "bbbb-3", 3, {"load": "FAILED"}, pipeline="another")
    assert selected(plan("--json", "--from-failed", "AAAA-1")) == {"load": "WARNING", "build": True}
    latest = plan("--json", "--from-failed", "latest", "-i", "SIZE=small")
    assert selected(latest) == {"load": True, "build": True}
    assert latest.json["environment"] == "cloud"
    assert latest.json["inputs"] == {"day": "2026-01-31", "size": "small", "api_token": None, "extra": 1}
    assert plan("--json", "--from-failed", "latest", "--env", "laptop").json["environment"] == "laptop"
    assert "load  PYTHON_EXECUTE_SCRIPT  carried: WARNING" in plan("--from-failed", "aaaa-1").out


def test_runs_that_cannot_be_repeated(plan: Plan, folder: Path) -> None:
    missing = plan("--from-failed", "latest")
    assert missing.code == 2 and "nothing has run here yet" in missing.err and not (folder / ".rehearse").exists()
    record(folder, "bbbb-3", 3, {}, pipeline="another")
    assert (
        "there is no run 'latest' of nightly\n  start one with: rehearse run FILE"
        in plan("--from-failed", "latest").err
    )
    record(folder, "aaaa-1", 1, {"load": "SUCCEEDED", "build": "SUCCEEDED"})
    record(folder, "aaaa-2", 2, {})
    unknown = plan("--from-failed", "bbbb")
    assert unknown.code == 2 and "the newest runs: aaaa-2 FAILED 2026-02-01T06:02Z; aaaa-1" in unknown.err
    assert (
        "several runs of nightly begin with 'aaaa'\n  give more of the id: aaaa-2" in plan("--from-failed", "aaaa").err
    )
    assert "nothing failed in that run" in plan("--from-failed", "aaaa-1").err


@pytest.mark.parametrize(
    ("flags", "said", "hint"),
    [
        (["--input", "day"], "--input day: there is no '='", "write --input NAME=VALUE"),
        (["--input", "sise=large"], "the pipeline has no input 'sise'", "did you mean 'size'?"),
        (["--env", "laptp"], "there is no environment 'laptp'", "did you mean 'laptop'?"),
        (
            ["--task", "lod"],
            "there is no task or group 'lod' in nightly",
            "did you mean 'load'? groups and tasks: extract",
        ),
        (["--task", "load", "--from-failed", "x"], "--from-failed and --task both say", "give one of them"),
        (["--continue-downstream"], "--continue-downstream goes on from", "add --task NAME"),
        (["--at", "tomorrow"], "--at tomorrow: this is no time", "write it as 2026-11-24"),
        (["--at", "0001-01-01T00:00+23:00"], "this is no time", "write it as 2026-11-24"),
        (["--json", "--format", "mermaid"], "--json and --format mermaid ask for two formats", "give one of them"),
    ],
)
def test_mistakes(plan: Plan, flags: list[str], said: str, hint: str) -> None:
    done = plan(*flags)
    assert (done.code, done.out) == (2, "")
    assert said in done.err and hint in done.err


def test_a_secret_of_the_wrong_type_is_not_printed(plan: Plan, folder: Path) -> None:
    (folder / "rehearse.toml").write_text(BINDINGS + '[environments.other]\nAPI_TOKEN = "hunter2hunter2"\n')
    declared = "  n: {type: number, default: '${{ ENV.API_TOKEN }}'}\n"
    (folder / "nightly.yml").write_text(PIPELINE.replace("inputs:\n", f"inputs:\n{declared}", 1))
    for flags in ([], ["-i", "n=hunter2hunter2"]):
        done = plan("--env", "other", *flags)
        assert (done.code, done.out) == (2, "")
        assert done.err.startswith("error: the input 'n' must be a number; its value comes from a secret\n")
    limit = "configuration: {concurrency: {max_active: '${{ int(ENV.API_TOKEN) }}'}}\n"
    (folder / "nightly.yml").write_text(PIPELINE.replace("inputs:\n", f"{limit}inputs:\n", 1))
    done = plan("--env", "other")
    assert done.code == 2 and "it uses a secret" in done.err and "hunter2" not in done.err


def test_numbers_that_json_does_not_have(plan: Plan, folder: Path) -> None:
    (folder / "rehearse.toml").write_text(BINDINGS.replace("[environments.laptop]", "[environments.laptop]\nX = nan"))
    declared = "  n: {type: dict, default: {a: .nan}}\n  m: {type: string, default: '${{ ENV.X }}'}\n"
    text = PIPELINE.replace("inputs:\n", f"inputs:\n{declared}", 1).replace("table: [a, b]", "table: [.nan, .inf]")
    (folder / "nightly.yml").write_text(text)
    for flags in ([], ["-i", 'n={"a": 1e999}']):
        done = plan("--json", *flags)
        assert (done.code, done.out) == (2, "") and "JSON has no such number" in done.err
    done = plan("--json", "-i", 'n={"a": 1}')
    assert done.code == 0, done.err
    content = json.loads(done.out, parse_constant=lambda constant: pytest.fail(constant))
    assert (content["env"]["X"], content["inputs"]["m"]) == ("nan", "nan")


def test_what_a_file_holds_cannot_steer_the_terminal(
    plan: Plan, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def steers(text: str) -> bool:
        return any(not char.isprintable() and char != "\n" for char in text)

    text = PIPELINE.replace("  extract:", '  "ex\\e[31m":').replace("[extract]", '["ex\\e[31m"]')
    text = text.replace("      build:", '      "t\\e]0;x\\a":').replace("name: Nightly", 'name: "N\\e[2J\\u202e"')
    text = text.replace("table: [a, b]", 'table: ["a\\e[1m", b]').replace("Build", '"B\\e[3m"')
    (folder / "nightly.yml").write_text(text)
    for flags in ([], ["-v"], ["--format", "mermaid"], ["--json"], ["--task", "nope\x1b[1m"], ["-i", "size=\x1b[1m"]):
        done = plan(*flags)
        assert not steers(done.out + done.err), flags
        assert done.code == (2 if "--task" in flags else 0), done.err
    limit = 'configuration: {concurrency: {max_active: "${{ ENV.CONNECTION }}\\e[31m"}}\n'
    (folder / "nightly.yml").write_text(text.replace("inputs:\n", f"{limit}inputs:\n", 1))
    done = plan()
    assert done.code == 2 and "max_active" in done.err and not steers(done.err)
    broken = folder / "bro\x1b[31mken.yml"
    broken.write_text(text + '"extra\\e[31m": 1\n')
    for verb in (["plan"], ["validate"], ["validate", "--format", "github"], ["validate", "--json"]):
        monkeypatch.setattr(sys, "argv", ["rehearse", verb[0], broken.name, *verb[1:]])
        with pytest.raises(SystemExit):
            main()
        out = "".join(capsys.readouterr())
        assert "extra" in out and not steers(out), verb


def test_as_a_command(bin_dir: Path, folder: Path) -> None:
    done = subprocess.run(
        [bin_dir / "rehearse", "plan", "nightly.yml", "--json"], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0 and json.loads(done.stdout)["task_runs"] == 3


def test_help_names_every_flag(plan: Plan) -> None:
    text = plan("--help").out
    flags = (
        "--input",
        "--env",
        "--task",
        "--continue-downstream",
        "--from-failed",
        "--at",
        "--format",
        "--json",
        "--verbose",
    )
    assert [flag for flag in flags if flag not in text] == []

"""PYTHON_EXECUTE_SCRIPT: what `prepare` makes of parameters, run as real processes."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from process_harness import Done, attempt_in, run_steps

from rehearse.jobs import python
from rehearse.jobs.base import JobError, Launch

JOB = "PYTHON_EXECUTE_SCRIPT"
SHOW = "import json, os, sys; print(json.dumps([sys.argv[1:], {k: v for k, v in os.environ.items() if k.startswith('X_')}]))"


def prepared(root: Path, **parameters: Any) -> Launch:
    return python.prepare(JOB, parameters, None, attempt_in(root))


def ran(root: Path, **parameters: Any) -> Done:
    return run_steps(prepared(root, **parameters))


def test_a_command_of_the_repository(tmp_path: Path) -> None:
    (tmp_path / "jobs").mkdir()
    (tmp_path / "jobs" / "a.py").write_text(
        "import os, sys; print(sys.argv[1:], os.path.basename(os.getcwd())); sys.exit(3)"
    )
    done = ran(tmp_path, command="python a.py 'x y'  ", project_dir="jobs", build_command="exit 9")
    assert (done.code, done.log) == (3, "['x y'] jobs\n")


def test_code_in_the_pipeline_runs_in_the_repository(tmp_path: Path) -> None:
    (tmp_path / "ours.py").write_text("NAME = 'ours'")
    (tmp_path / ".rehearse" / "runs" / "r" / "attempt" / "1").mkdir(parents=True)
    (tmp_path / ".rehearse" / "runs" / "r" / "attempt" / "1" / "json.py").write_text("raise SystemExit('shadowed')")
    done = ran(tmp_path, source="INLINE", code="import json, os, ours\nprint(ours.NAME, os.getcwd())\n")
    assert (done.code, done.log) == (0, f"ours {tmp_path}\n")


def test_uv_runs_a_command_in_the_same_environment(tmp_path: Path) -> None:
    done = ran(
        tmp_path,
        command="uv run --offline --no-project python -c 'import sys; print(sys.prefix)'",
        package_manager="UV",
    )
    assert (done.code, done.log) == (0, f"{sys.prefix}\n")


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"command": "python 'a"}, "the command cannot be split into words: No closing quotation: python 'a"),
        ({"command": "bash x.sh"}, "the command must start with python, poetry or uv: bash x.sh"),
        ({"command": ""}, "the command must start with python, poetry or uv: "),
        ({"command": "python a.py", "project_dir": "../.."}, "project_dir '../..' is outside the repository"),
        ({"command": "python a.py", "project_dir": "nowhere"}, "project_dir 'nowhere' does not exist in "),
        ({"command": "python a.py", "environment_variables": "{"}, "environment_variables is not valid JSON"),
        ({"command": "python a.py", "environment_variables": '{"A=B": 1}'}, "'A=B' cannot be the name of a variable"),
        ({"command": "python a\0b"}, "word 2 of the command holds a NUL character, which no process can be given"),
        ({"command": "python a.py", "environment_variables": r'{"A": "b\u0000"}'}, "variable A holds a NUL character"),
        ({"command": "python a.py", "environment_variables": r'{"A": "\ud83d"}'}, "variable A holds half of a character"),
        ({"source": "INLINE", "code": "print('\0')"}, "the code holds a NUL character, which Python does not read"),
        ({"source": "INLINE", "code": "print('\ud83d')"}, "the code holds half of a character"),
        (
            {"command": "python a.py", "environment_variables": json.dumps({"ROWS": "é" * 70_000})},
            "variable ROWS has 140,000 bytes; a process takes 131,072 in one value",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_said_before_anything_starts(
    tmp_path: Path, parameters: dict[str, Any], message: str
) -> None:
    with pytest.raises(JobError) as error:
        prepared(tmp_path, **parameters)
    assert str(error.value).startswith(message)


def test_a_program_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    with pytest.raises(JobError) as error:
        prepared(tmp_path, command="poetry run x")
    assert str(error.value) == "the command needs poetry, which is not on the PATH" and error.value.hint


HOSTILE = [
    "it's \"quoted\"", "; rm -rf /", "$(touch pwned)", "`touch pwned`", "a\nb\r\n\tc", "🦆 naïve", "\u202eabc\u2066",
    "${{ inputs.secret }}", "../../etc/passwd", "%s {0} \\n", "--help", "", " ", "&& touch pwned", "*", "~", "{\"a\": [1]}",
]  # fmt: skip


def test_fault_29_parameters_arrive_verbatim(tmp_path: Path) -> None:
    """As environment variables and as words of the command: nothing is executed, and nothing expanded once more."""
    import shlex

    (tmp_path / "show.py").write_text(SHOW)
    variables = {f"X_{number}": value for number, value in enumerate(HOSTILE)}
    done = ran(
        tmp_path,
        command=f"python show.py {shlex.join(HOSTILE)}",
        environment_variables=json.dumps(variables | {"X_JSON": {"a": [None, "b"]}, "X_NULL": None, "X_TRUE": True}),
    )
    words, seen = json.loads(done.log)
    assert words == HOSTILE
    assert seen == variables | {"X_JSON": '{"a": [null, "b"]}', "X_NULL": "", "X_TRUE": "True"}
    assert sorted(path.name for path in tmp_path.iterdir()) == [".rehearse", "show.py"]


@pytest.mark.parametrize("text", ["; touch pwned", "| touch pwned", "$(touch pwned)", "> pwned", "`touch pwned`"])
def test_fault_29_no_shell_sees_a_command(tmp_path: Path, text: str) -> None:
    (tmp_path / "show.py").write_text(SHOW)
    words, _ = json.loads(ran(tmp_path, command=f"python show.py {text}").log)
    assert words == text.split()
    assert not (tmp_path / "pwned").exists()


def test_fault_29_code_arrives_verbatim(tmp_path: Path) -> None:
    code = f"text = {HOSTILE!r}\r\nprint(ascii(text))\n"
    done = ran(tmp_path, source="INLINE", code=code)
    assert done.log == f"{HOSTILE!a}\n"
    assert (tmp_path / ".rehearse/runs/r/attempt/1/inline.py").read_bytes() == code.encode()


def test_a_tasks_own_secrets_are_masked(tmp_path: Path) -> None:
    variables = {
        "API_TOKEN": "s3cr3t-t0ken",
        "REGION": "eu-central-1",
        "DB": "postgres://u:pa55w0rd-x@h/d",
        "KEY": "short",
    }
    launch = prepared(tmp_path, command="python -c pass", environment_variables=json.dumps(variables))
    assert set(launch.secrets) == {"s3cr3t-t0ken", "postgres://u:pa55w0rd-x@h/d", "pa55w0rd-x"}


def test_dlt_keeps_its_files_with_the_attempt(tmp_path: Path) -> None:
    command = "python -c 'import os; print(os.environ[\"DLT_DATA_DIR\"])'"
    assert ran(tmp_path, command=command).log == f"{attempt_in(tmp_path).folder / 'dlt_data'}\n"
    assert ran(tmp_path, command=command, environment_variables='{"DLT_DATA_DIR": "mine"}').log == "mine\n"

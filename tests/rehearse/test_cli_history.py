"""The verbs over past runs: runs, show, logs, cancel, approve, retry."""

from __future__ import annotations

import json
import os
import resource
import subprocess
from pathlib import Path

import pytest
from test_recovery import SIGN, TASK, Rehearse, kill, until, write

STUB = '[connections.f]\nintegration = "FIVETRAN"\ndefault = true\nmode = "stub"\n'


@pytest.fixture
def rehearse(bin_dir: Path, tmp_path: Path) -> Rehearse:
    return Rehearse(bin_dir, tmp_path)


@pytest.fixture
def past(rehearse: Rehearse) -> Rehearse:
    """A run with a failure, a retry, a stub and an item."""
    item = f"i: {{name: i, {TASK}, parameters: {{command: python -c print(1)}}}}"
    sync = "name: sync, integration: FIVETRAN, integration_job: FIVETRAN_SYNC_ALL, parameters: {connector_id: x}"
    more = (
        f"  m:\n    matrix: {{inputs: {{n: [a, b]}}}}\n    tasks: {{{item}}}\n  s:\n    tasks: {{sync: {{{sync}}}}}\n"
    )
    code = r"print('\x1b[31mred\x1b[0m \x07bell'); print('10%\r100%'); sys.stdout.write('no end'); sys.exit(1)"
    write(rehearse.folder, code, more="inputs: {day: {type: string, default: monday}}\n", retries=1)
    (rehearse.folder / "p.yml").write_text((rehearse.folder / "p.yml").read_text() + more)
    (rehearse.folder / "rehearse.toml").write_text(STUB)
    assert rehearse("run", "p.yml").returncode == 1
    return rehearse


def test_runs_lists_them(past: Rehearse) -> None:
    (past.folder / "other.yml").write_text((past.folder / "p.yml").read_text())
    past("run", "other.yml", "--task", "sync")
    lines = past("runs").stdout.splitlines()
    assert lines[0].split() == ["run", "pipeline", "status", "created", "took", "tasks", "started", "by"]
    assert [line.split()[1:3] for line in lines[1:]] == [["other", "SUCCEEDED"], ["p", "FAILED"]]
    assert "1 failed, 3 succeeded" in lines[2]
    found = json.loads(past("runs", "--json", "--pipeline", "p", "--status", "failed").stdout)["runs"]
    assert [(run["pipeline"], run["tasks"]) for run in found] == [("p", {"FAILED": 1, "SUCCEEDED": 3})]
    assert len(past("runs", "-n", "1").stdout.splitlines()) == 2
    assert "there is no such status" in past("runs", "--status", "good").stderr


def test_show_tells_how_each_task_ended(past: Rehearse) -> None:
    text = past("show").stdout
    lines = {line.split()[0]: line for line in text.splitlines() if line and not line.startswith(" ")}
    assert lines["t0"].split()[1:3] == ["FAILED", "2"] and "exit code 1" in lines["t0"]
    assert lines["i[a]"].split()[1:3] == ["SUCCEEDED", "1"] and "(simulated)" in lines["sync"]
    assert "inputs day=monday" in text and "has changed since" not in text
    found = json.loads(past("show", "--json").stdout)
    assert len(found["attempts"]) == 5 and found["run"]["inputs"] == {"day": "monday"}


def test_fault_34_show_says_that_the_file_has_changed(past: Rehearse) -> None:
    with (past.folder / "p.yml").open("a") as file:
        file.write("# changed\n")
    assert "p.yml has changed since; the run uses .rehearse/runs/" in past("show").stdout


def test_show_says_that_an_engine_is_gone(rehearse: Rehearse) -> None:
    write(rehearse.folder, SIGN)
    rehearse("run", "p.yml", REHEARSE_CRASH_AT="run.recorded")
    assert "is gone; go on with: rehearse resume" in rehearse("show").stdout


def test_a_rerun_says_what_it_carries(past: Rehearse) -> None:
    assert past("retry", "--from-failed").returncode == 1
    text = past("show").stdout
    assert "restart_from_failed of run" in text and text.count("succeeded in the earlier run") == 3


def test_logs_of_all_tasks_are_marked(past: Rehearse) -> None:
    lines = past("logs").stdout.splitlines()
    first = ["t0 | red \ufffdbell", "t0 | 100%", "t0 | no end"]
    assert sorted(lines) == sorted([*first, *(line.replace("t0", "t0 #2") for line in first), "i[a] | 1", "i[b] | 1"])


def test_logs_of_one_task_an_attempt_and_raw(past: Rehearse) -> None:
    assert past("logs", "latest", "i[b]").stdout == "1\n"
    assert past("logs", "latest", "t0", "--attempt", "2").stdout == "red \ufffdbell\n100%\nno end\n"
    raw = subprocess.run(
        [past.command, "logs", "latest", "t0", "--attempt", "1", "--raw"], cwd=past.folder, capture_output=True
    )
    assert raw.stdout == b"\x1b[31mred\x1b[0m \x07bell\n10%\r100%\nno end"
    assert "has no task 'gone'" in past("logs", "latest", "gone").stderr


def test_logs_follow_a_run_to_its_end(rehearse: Rehearse) -> None:
    wait = "while not os.path.exists('go'): time.sleep(0.05)"
    write(rehearse.folder, f"print('first', flush=True)\n{SIGN}\n{wait}\nprint('last')", "print('next')")
    process = rehearse.start("run", "p.yml")
    until(lambda: rehearse.starts)
    follower = rehearse.start("logs", "-f")
    assert follower.stdout is not None and follower.stdout.readline() == "t0 | first\n"
    (rehearse.folder / "go").touch()
    assert follower.communicate(timeout=20)[0] == "t0 | last\nt1 | next\n"
    assert process.wait(timeout=20) == 0


def test_fault_27_a_huge_log_is_printed_in_bounded_memory(past: Rehearse) -> None:
    """A line of 200 MB, under a limit of memory that it would not fit into."""
    log = next((past.folder / ".rehearse" / "runs").glob("*/i@a/1/log"))
    with log.open("wb") as file:
        file.truncate(200_000_000)
    done = subprocess.run(
        [past.command, "logs", "latest", "i[a]"], cwd=past.folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (190_000_000, 190_000_000)),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["cancel"], "has ended: FAILED"), (["approve"], "has ended: FAILED"), (["show", "zzz"], "there is no run 'zzz'"),
        (["resume", "latest"], "has ended: FAILED"), (["logs", "zzz"], "there is no run 'zzz'"),
    ],
)  # fmt: skip
def test_what_cannot_be_done_says_why(past: Rehearse, arguments: list[str], said: str) -> None:
    done = past(*arguments)
    assert done.returncode == 2 and said in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize("verb", ["runs", "show", "logs", "cancel", "approve"])
def test_where_nothing_has_run(rehearse: Rehearse, verb: str) -> None:
    (rehearse.folder / "rehearse.toml").touch()
    done = rehearse(verb)
    assert done.returncode == 2 and "nothing has run in" in done.stderr
    assert not (rehearse.folder / ".rehearse").exists()


def test_a_cancel_of_a_run_without_an_engine_is_done_by_the_next(rehearse: Rehearse) -> None:
    write(rehearse.folder, f"{SIGN}\ntime.sleep(99)")
    process = rehearse.start("run", "p.yml")
    until(lambda: rehearse.starts)
    kill(process)
    done = rehearse("cancel")
    assert done.returncode == 0 and "rehearse resume" in done.stderr
    assert rehearse("resume").returncode == 130 and rehearse.tasks() == {"t0": "CANCELLED"}


def test_the_terminal_gets_no_control_characters(past: Rehearse) -> None:
    said = past("show").stdout + past("logs").stdout + past("runs").stdout
    assert not {char for char in said if ord(char) < 32} - {"\n"} and os.linesep in said

"""An engine that dies, and the next one that goes on. The process is killed for real."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rehearse.store.records import open_store

TASK = "integration: PYTHON, integration_job: PYTHON_EXECUTE_SCRIPT"
SIGN = "open('starts', 'a').write(os.environ['ORCHESTRA_TASK_ATTEMPT_NUMBER'] + chr(10))"


def write(folder: Path, *tasks: str, more: str = "", retries: int = 0) -> None:
    """A chain of tasks t0, t1, ... with this code each."""
    lines = [f"version: v1\nname: chain\nconfiguration: {{retries: {retries}}}\n{more}pipeline:\n  g:\n    tasks:"]
    for number, code in enumerate(tasks):
        before = f"[t{number - 1}]" if number else "[]"
        parameters = json.dumps({"source": "INLINE", "set_outputs": True, "code": f"import os, sys, time\n{code}\n"})
        lines.append(f"      t{number}: {{name: t{number}, depends_on: {before}, {TASK}, parameters: {parameters}}}")
    (folder / "p.yml").write_text("\n".join(lines) + "\n")
    (folder / "rehearse.toml").touch()


class Rehearse:
    def __init__(self, bin_dir: Path, folder: Path):
        self.command = bin_dir / "rehearse"
        self.folder = folder

    def __call__(self, *arguments: str, timeout: float = 60, **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.command, *arguments],
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=timeout,
            env=os.environ | env,
        )

    def start(self, *arguments: str, **env: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [self.command, *arguments], cwd=self.folder, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env=os.environ | env,
        )  # fmt: skip

    def tasks(self, run_id: str | None = None) -> dict[str, str]:
        store = open_store(self.folder)
        try:
            record = store.run(run_id or "latest")
            return {row["task_id"]: row["status"] for row in store.task_runs(record["id"])}
        finally:
            store.close()

    def record(self, wanted: str = "latest") -> dict[str, Any]:
        store = open_store(self.folder)
        try:
            return dict(store.run(wanted))
        finally:
            store.close()

    @property
    def starts(self) -> list[str]:
        path = self.folder / "starts"
        return path.read_text().split() if path.exists() else []


@pytest.fixture
def rehearse(bin_dir: Path, tmp_path: Path) -> Rehearse:
    return Rehearse(bin_dir, tmp_path)


def until(condition: Callable[[], Any], what: str = "it took too long") -> Any:
    deadline = time.monotonic() + 20
    while not (found := condition()):
        assert time.monotonic() < deadline, what
        time.sleep(0.03)
    return found


def kill(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()


def test_fault_01_a_run_that_had_not_started_starts_once(rehearse: Rehearse) -> None:
    write(rehearse.folder, SIGN)
    assert rehearse("run", "p.yml", REHEARSE_CRASH_AT="run.recorded").returncode == -signal.SIGKILL
    assert rehearse.record()["status"] == "CREATED" and rehearse.starts == []
    done = rehearse("resume")
    assert done.returncode == 0, done.stderr
    assert rehearse.record()["status"] == "SUCCEEDED" and rehearse.starts == ["1"]
    assert "nothing to go on with" in rehearse("resume").stderr and rehearse.starts == ["1"]


def test_fault_02_a_task_goes_on_without_its_engine_and_is_adopted(rehearse: Rehearse) -> None:
    """While nobody looks it posts an output and ends; then what depends on it runs with that output."""
    sdk = "from orchestra_sdk.orchestra import OrchestraSDK as S"
    code = f"{SIGN}\ntime.sleep(1.0)\n{sdk}\nassert S(api_key=os.environ['ORCHESTRA_API_KEY']).set_output('n', 7)"
    write(rehearse.folder, code, "print(${{ tasks['t0'].outputs['n'] }})")
    process = rehearse.start("run", "p.yml")
    until(lambda: rehearse.starts)
    kill(process)
    [folder] = (rehearse.folder / ".rehearse" / "runs").iterdir()
    until((folder / "t0" / "1" / "exit.json").exists)
    done = rehearse("resume")
    assert done.returncode == 0 and "1 adopted" in done.stderr, done.stderr
    assert rehearse.tasks() == {"t0": "SUCCEEDED", "t1": "SUCCEEDED"} and rehearse.starts == ["1"]
    assert (folder / "t1" / "1" / "log").read_text() == "7\n"


def test_fault_02_a_task_that_still_runs_is_attended_again(rehearse: Rehearse) -> None:
    write(rehearse.folder, f"{SIGN}\nwhile not os.path.exists('go'): time.sleep(0.05)", SIGN)
    process = rehearse.start("run", "p.yml")
    until(lambda: rehearse.starts)
    kill(process)
    second = rehearse.start("resume")
    assert second.stderr is not None
    assert "1 re-attached" in second.stderr.readline()
    (rehearse.folder / "go").touch()
    assert second.wait(timeout=20) == 0
    assert rehearse.tasks() == {"t0": "SUCCEEDED", "t1": "SUCCEEDED"} and rehearse.starts == ["1", "1"]


def test_fault_03_a_death_between_the_end_of_a_task_and_its_record(rehearse: Rehearse) -> None:
    write(rehearse.folder, SIGN)
    assert rehearse("run", "p.yml", REHEARSE_CRASH_AT="attempt.ended").returncode == -signal.SIGKILL
    assert rehearse.tasks() == {"t0": "RUNNING"}
    assert "1 adopted" in rehearse("resume").stderr
    assert rehearse.tasks() == {"t0": "SUCCEEDED"} and rehearse.starts == ["1"]


def test_what_lost_its_supervisor_too_is_interrupted_and_retried_by_policy(rehearse: Rehearse) -> None:
    write(rehearse.folder, f"{SIGN}\nif len(open('starts').read().split()) == 1: time.sleep(99)", retries=1)
    process = rehearse.start("run", "p.yml")
    until(lambda: rehearse.starts)
    kill(process)
    [folder] = (rehearse.folder / ".rehearse" / "runs").iterdir()
    os.kill(json.loads((folder / "t0" / "1" / "claim.json").read_text())["pid"], signal.SIGKILL)
    done = rehearse("resume")
    assert "1 interrupted" in done.stderr and "interrupted: its supervisor was killed" in done.stderr
    assert rehearse.tasks() == {"t0": "SUCCEEDED"} and rehearse.starts == ["1", "2"]


def test_any_run_picks_up_what_was_abandoned(rehearse: Rehearse) -> None:
    write(rehearse.folder, f"{SIGN}\ntime.sleep(1)")
    process = rehearse.start("run", "p.yml")
    until(lambda: rehearse.starts)
    abandoned = rehearse.record()["id"]
    kill(process)
    (rehearse.folder / "other.yml").write_text((rehearse.folder / "p.yml").read_text().replace("time.sleep(1)", "pass"))
    assert rehearse("run", "other.yml", "--no-resume").returncode == 0
    assert rehearse.record(abandoned)["status"] == "RUNNING"
    assert rehearse("run", "other.yml").returncode == 0
    assert rehearse.record(abandoned)["status"] == "SUCCEEDED"


def test_fault_22_a_second_engine_refuses_a_run_that_is_driven(rehearse: Rehearse) -> None:
    write(rehearse.folder, f"{SIGN}\nwhile not os.path.exists('go'): time.sleep(0.05)")
    process = rehearse.start("run", "p.yml")
    until(lambda: rehearse.starts)
    record = rehearse.record()
    done = rehearse("resume", record["id"][:8])
    assert done.returncode == 2
    assert f"driven by process {process.pid} on" in done.stderr and record["engine_since"] in done.stderr
    (rehearse.folder / "go").touch()
    assert process.wait(timeout=20) == 0


def test_fault_22_an_engine_that_lost_its_run_stops_writing(rehearse: Rehearse) -> None:
    """It slept, another one took over, and it wakes up: it says so, leaves the task alone and writes nothing."""
    write(rehearse.folder, f"{SIGN}\nwhile not os.path.exists('go'): time.sleep(0.05)")
    process = rehearse.start("run", "p.yml")
    until(lambda: rehearse.starts)
    process.send_signal(signal.SIGSTOP)
    store = open_store(rehearse.folder)
    record = store.run("latest")
    from rehearse.store.records import Owner

    assert (
        store.take_over(record["id"], record["fence"], Owner(os.getpid(), "", "elsewhere", record["engine_since"])) == 2
    )
    (rehearse.folder / "go").touch()
    [folder] = (rehearse.folder / ".rehearse" / "runs").iterdir()
    until((folder / "t0" / "1" / "exit.json").exists)
    process.send_signal(signal.SIGCONT)
    _, said = process.communicate(timeout=20)
    assert "elsewhere" in said, said
    assert store.run("latest")["status"] == "RUNNING" and store.task_runs(record["id"])[0]["status"] == "RUNNING"
    store.close()


def test_fault_34_a_run_goes_on_with_the_file_as_it_was(rehearse: Rehearse) -> None:
    write(rehearse.folder, f"{SIGN}\ntime.sleep(0.5)", "print('as it was')")
    process = rehearse.start("run", "p.yml")
    until(lambda: rehearse.starts)
    kill(process)
    write(rehearse.folder, "sys.exit(1)")
    assert rehearse("resume").returncode == 0
    assert rehearse.tasks() == {"t0": "SUCCEEDED", "t1": "SUCCEEDED"}


def test_a_cancelled_run_is_cancelled_to_the_end_by_the_next_engine(rehearse: Rehearse) -> None:
    write(rehearse.folder, f"{SIGN}\ntime.sleep(99)", SIGN)
    process = rehearse.start("run", "p.yml", REHEARSE_CRASH_AT="stop.sent")
    until(lambda: rehearse.starts)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=20) == -signal.SIGKILL
    assert rehearse("resume").returncode == 130
    assert rehearse.tasks() == {"t0": "CANCELLED", "t1": "CANCELLED"} and rehearse.starts == ["1"]


def test_a_retry_that_waits_goes_on_waiting(rehearse: Rehearse) -> None:
    write(rehearse.folder, f"{SIGN}\nsys.exit(len(open('starts').read().split()) == 1)", retries=1)
    assert rehearse("run", "p.yml", REHEARSE_CRASH_AT="retry.scheduled").returncode == -signal.SIGKILL
    assert rehearse("resume").returncode == 0 and rehearse.starts == ["1", "2"]


def test_a_secret_input_is_not_stored_so_the_run_says_why_it_cannot_go_on(rehearse: Rehearse) -> None:
    write(rehearse.folder, SIGN, more="inputs: {api_token: {type: string}}\n")
    secret = "correct-horse-battery"
    done = rehearse("run", "p.yml", "-i", f"api_token={secret}", REHEARSE_CRASH_AT="run.recorded")
    assert done.returncode == -signal.SIGKILL
    assert secret.encode() not in (rehearse.folder / ".rehearse" / "rehearse.db").read_bytes()
    done = rehearse("resume")
    assert "api_token" in done.stderr and rehearse.record()["status"] == "FAILED" and rehearse.starts == []
    assert rehearse.tasks() == {"t0": "FAILED"}


@pytest.mark.parametrize(("verb", "status", "code"), [("approve", "SUCCEEDED", 0), ("reject", "FAILED", 1)])
def test_fault_35_an_approval_survives_a_restart(rehearse: Rehearse, verb: str, status: str, code: int) -> None:
    (rehearse.folder / "p.yml").write_text(
        "version: v1\nname: asks\npipeline:\n  g:\n    tasks:\n"
        "      ask: {name: ask, integration: ORCHESTRA, integration_job: APPROVAL, parameters: {message: 'ship it?'}}\n"
    )
    (rehearse.folder / "rehearse.toml").touch()
    process = rehearse.start("run", "p.yml", "--approvals", "wait", "--workers", "1")
    until(lambda: (rehearse.folder / ".rehearse").exists() and rehearse("runs", "--json").returncode == 0)
    until(lambda: rehearse.tasks() == {"ask": "RUNNING"})
    kill(process)
    process = rehearse.start("resume", "--approvals", "wait")
    until(lambda: rehearse.record()["engine_pid"] == process.pid)
    arguments = ["approve", "--message", "looks good"] if verb == "approve" else ["approve", "--reject"]
    assert rehearse(*arguments).returncode == 0
    assert process.wait(timeout=20) == code
    assert rehearse.tasks() == {"ask": status}


def test_an_approval_that_nobody_can_give_is_rejected(rehearse: Rehearse) -> None:
    (rehearse.folder / "p.yml").write_text(
        "version: v1\nname: asks\npipeline:\n  g:\n    tasks:\n"
        "      ask: {name: ask, integration: ORCHESTRA, integration_job: APPROVAL, parameters: {}}\n"
    )
    (rehearse.folder / "rehearse.toml").touch()
    assert rehearse("run", "p.yml").returncode == 1 and rehearse.tasks() == {"ask": "FAILED"}
    assert rehearse("run", "p.yml", "--approvals", "accept").returncode == 0


def test_cancel_from_another_terminal(rehearse: Rehearse) -> None:
    write(rehearse.folder, f"{SIGN}\ntime.sleep(99)", SIGN)
    process = rehearse.start("run", "p.yml")
    until(lambda: rehearse.starts)
    done = rehearse("cancel")
    assert done.returncode == 0, done.stderr
    assert process.wait(timeout=20) == 130 and rehearse.tasks() == {"t0": "CANCELLED", "t1": "CANCELLED"}


def test_too_many_runs_of_a_pipeline_are_refused(rehearse: Rehearse) -> None:
    more = "configuration: {concurrency: {max_active: 1}}\n"
    write(rehearse.folder, f"{SIGN}\nwhile not os.path.exists('go'): time.sleep(0.05)")
    text = (rehearse.folder / "p.yml").read_text().replace("configuration: {retries: 0}\n", more)
    (rehearse.folder / "p.yml").write_text(text)
    process = rehearse.start("run", "p.yml")
    until(lambda: rehearse.starts)
    done = rehearse("run", "p.yml", "--json")
    found = json.loads(done.stdout)
    assert (found["status"], done.returncode, found["tasks"][0]["status"]) == ("SKIPPED", 0, "SKIPPED"), done.stderr
    assert "max_active is 1" in done.stderr
    (rehearse.folder / "go").touch()
    assert process.wait(timeout=20) == 0 and rehearse.starts == ["1"]


def test_only_what_failed_runs_again_with_the_outputs_of_the_rest(rehearse: Rehearse) -> None:
    sdk = "from orchestra_sdk.orchestra import OrchestraSDK as S"
    first = f"{SIGN}\n{sdk}\nS(api_key=os.environ['ORCHESTRA_API_KEY']).set_output('n', 7)"
    write(
        rehearse.folder,
        first,
        "sys.exit(not os.path.exists('fixed'))",
        "print('n is', ${{ tasks['t0'].outputs['n'] }})",
    )
    assert rehearse("run", "p.yml").returncode == 1
    assert rehearse("retry", "--from-failed").returncode == 1
    (rehearse.folder / "fixed").touch()
    done = rehearse("retry", "--from-failed")
    assert done.returncode == 0, done.stderr
    assert rehearse.tasks() == {"t0": "SKIPPED", "t1": "SUCCEEDED", "t2": "SUCCEEDED"} and rehearse.starts == ["1"]
    assert (rehearse.folder / ".rehearse" / "latest" / "t2" / "1" / "log").read_text() == "n is 7\n"
    assert rehearse.record()["trigger"] == "RESTART_FROM_FAILED"


def test_a_child_run_ends_with_its_parent_and_cannot_start_itself_for_ever(rehearse: Rehearse) -> None:
    task = "integration: ORCHESTRA, integration_job: TRIGGER_PIPELINE"
    (rehearse.folder / "p.yml").write_text(
        "version: v1\nname: loop\npipeline:\n  g:\n    tasks:\n"
        f"      again: {{name: again, {task}, parameters: {{pipeline_id: p.yml}}}}\n"
    )
    (rehearse.folder / "rehearse.toml").touch()
    done = rehearse("run", "p.yml")
    assert done.returncode == 1 and "20 levels deep" in done.stderr


def test_ctrl_c_cancels_the_child_too(rehearse: Rehearse) -> None:
    write(rehearse.folder, f"{SIGN}\ntime.sleep(99)")
    (rehearse.folder / "p.yml").rename(rehearse.folder / "child.yml")
    (rehearse.folder / "p.yml").write_text(
        "version: v1\nname: parent\npipeline:\n  g:\n    tasks:\n      start: {name: start, integration: ORCHESTRA, "
        "integration_job: TRIGGER_PIPELINE, parameters: {pipeline_id: child.yml}}\n"
    )
    process = rehearse.start("run", "p.yml")
    until(lambda: rehearse.starts)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=20) == 130
    store = open_store(rehearse.folder)
    assert {run["pipeline"]: run["status"] for run in store.runs(10)} == {"p": "CANCELLED", "child": "CANCELLED"}
    store.close()


def test_a_run_that_goes_on_has_the_inputs_that_it_had(rehearse: Rehearse) -> None:
    """A default of the clock is evaluated once; so it is when a run is repeated."""
    more = "inputs: {at: {type: string, default: '${{ format_date(ORCHESTRA.CURRENT_TIME, \"%H:%M:%S.%f\") }}'}}\n"
    sign = "open('seen', 'a').write('${{ inputs.at }}' + chr(10))"
    write(rehearse.folder, f"{sign}\n{SIGN}\ntime.sleep(0.3)", f"{sign}\nsys.exit(1)", more=more)
    process = rehearse.start("run", "p.yml")
    until(lambda: rehearse.starts)
    kill(process)
    assert rehearse("resume").returncode == 1
    assert rehearse("retry", "--from-failed").returncode == 1
    seen = (rehearse.folder / "seen").read_text().split()
    assert len(seen) == 3 and len(set(seen)) == 1


@pytest.mark.parametrize(("checked_out", "seen"), [("main-2", "main-2"), (None, "")])
def test_the_branch_is_the_one_that_is_checked_out(rehearse: Rehearse, checked_out: str | None, seen: str) -> None:
    write(rehearse.folder, "print('${{ ORCHESTRA.CURRENT_BRANCH }}')")
    if checked_out:
        subprocess.run(["git", "init", "-q", "-b", checked_out], cwd=rehearse.folder, check=True)
    assert rehearse("run", "p.yml").returncode == 0
    assert (rehearse.folder / ".rehearse" / "latest" / "t0" / "1" / "log").read_text() == f"{seen}\n"
    assert rehearse.record()["branch"] == checked_out

"""`rehearse run` from outside: signals, processes, logs, records."""

from __future__ import annotations

import json
import os
import re
import signal
import sqlite3
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from rehearse.engine.plans import folder_name

MARKER = "rehearse-test-sleeper"


def write(folder: Path, code: str, bindings: str = "", **task: Any) -> None:
    lines = "\n".join(f"        {key}: {json.dumps(value)}" for key, value in task.items())
    (folder / "p.yml").write_text(f"""\
version: v1
name: one task
pipeline:
  g:
    tasks:
      only:
        name: only
        integration: PYTHON
        integration_job: PYTHON_EXECUTE_SCRIPT
        parameters: {{source: INLINE, set_outputs: true, code: {json.dumps(code)}}}
{lines}
  later:
    depends_on: [g]
    tasks:
      never:
        name: never
        integration: PYTHON
        integration_job: PYTHON_EXECUTE_SCRIPT
        parameters: {{command: python -V}}
""")
    (folder / "rehearse.toml").write_text(bindings)


def run(bin_dir: Path, folder: Path, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    command = [str(bin_dir / "rehearse"), "run", "p.yml", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, env=os.environ | env)


def log(folder: Path, task: str = "only") -> str:
    return (folder / ".rehearse" / "latest" / task / "1" / "log").read_text()


def processes(marker: str) -> list[str]:
    listed = subprocess.run(["ps", "-ewwo", "pid,args"], capture_output=True, text=True, check=True).stdout
    return [line for line in listed.splitlines() if marker in line]


def start(bin_dir: Path, folder: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [bin_dir / "rehearse", "run", "p.yml"], cwd=folder, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    )
    deadline = time.monotonic() + 20
    while not processes(MARKER + str(folder)):
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.05)
    return process


def sleeper(folder: Path, stubborn: bool = False) -> str:
    """Code whose process and grandchild carry a mark that `ps` shows."""
    ignore = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)\n" if stubborn else ""
    return (
        f"{ignore}import subprocess, sys, time\n"
        f"subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(99)', '{MARKER}{folder}'])\n"
        "time.sleep(99)\n"
    )


def test_fault_07_ctrl_c_stops_the_tasks_and_leaves_no_process(bin_dir: Path, tmp_path: Path) -> None:
    write(tmp_path, sleeper(tmp_path))
    process = start(bin_dir, tmp_path)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=15)
    assert process.returncode == 130
    assert "Stopping 1 task(s); press Ctrl-C again to kill them." in said
    assert "CANCELLED only" in said and "CANCELLED never" in said
    assert processes(MARKER + str(tmp_path)) == []


def test_fault_08_a_second_ctrl_c_kills_a_task_that_ignores_the_first(bin_dir: Path, tmp_path: Path) -> None:
    write(tmp_path, sleeper(tmp_path, stubborn=True))
    process = start(bin_dir, tmp_path)
    process.send_signal(signal.SIGINT)
    time.sleep(1)
    assert process.poll() is None, "it waits for the task to stop by itself"
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=8)
    assert process.returncode == 130
    assert processes(MARKER + str(tmp_path)) == []


def test_what_a_task_leaves_behind_ends_with_it(bin_dir: Path, tmp_path: Path) -> None:
    write(tmp_path, sleeper(tmp_path).rsplit("\n", 2)[0])
    assert run(bin_dir, tmp_path).returncode == 0
    assert processes(MARKER + str(tmp_path)) == []


def test_two_signals_at_once_are_a_cancel_and_a_kill(bin_dir: Path, tmp_path: Path) -> None:
    write(tmp_path, sleeper(tmp_path, stubborn=True))
    process = start(bin_dir, tmp_path)
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=8)
    assert process.returncode == 130 and "CANCELLED never" in said
    assert processes(MARKER + str(tmp_path)) == []


def test_losing_the_terminal_stops_the_run(bin_dir: Path, tmp_path: Path) -> None:
    write(tmp_path, sleeper(tmp_path))
    process = start(bin_dir, tmp_path)
    process.send_signal(signal.SIGHUP)
    process.communicate(timeout=8)
    assert process.returncode == 130 and processes(MARKER + str(tmp_path)) == []


@pytest.mark.parametrize("delay", [0.0, 0.002, 0.005, 0.02])
def test_a_cancel_just_after_the_start_is_not_lost(bin_dir: Path, tmp_path: Path, delay: float) -> None:
    write(tmp_path, "import time; time.sleep(30)")
    command = [bin_dir / "rehearse", "run", "p.yml"]
    process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    for line in process.stderr:
        if "RUNNING" in line:
            break
    time.sleep(delay)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=8)
    assert process.returncode == 130


def test_a_task_in_a_session_of_its_own_ends_too(bin_dir: Path, tmp_path: Path) -> None:
    write(tmp_path, sleeper(tmp_path).replace("'])", "'], start_new_session=True)").rsplit("\n", 2)[0])
    assert run(bin_dir, tmp_path).returncode == 0
    assert processes(MARKER + str(tmp_path)) == []


def test_a_killed_supervisor_takes_its_task_along(bin_dir: Path, tmp_path: Path) -> None:
    write(tmp_path, sleeper(tmp_path))
    process = start(bin_dir, tmp_path)
    claim = json.loads((tmp_path / ".rehearse" / "latest" / "only" / "1" / "claim.json").read_text())
    os.kill(claim["pid"], signal.SIGKILL)
    _, said = process.communicate(timeout=10)
    assert process.returncode == 1 and "its supervisor was killed" in said
    assert processes(MARKER + str(tmp_path)) == []


def test_a_reader_that_goes_away_stops_the_run_and_its_record_is_closed(bin_dir: Path, tmp_path: Path) -> None:
    write(tmp_path, "import time; time.sleep(0.5)")
    shell = f"{bin_dir / 'rehearse'} run p.yml 2>&1 | head -3"  # what it executes, and that it has begun
    subprocess.run(["bash", "-c", shell], cwd=tmp_path, capture_output=True, timeout=20)
    database = sqlite3.connect(tmp_path / ".rehearse" / "rehearse.db")
    deadline = time.monotonic() + 10
    while database.execute("select status from runs").fetchall() == [("RUNNING",)] and time.monotonic() < deadline:
        time.sleep(0.1)
    open_tasks = database.execute(
        "select count(*) from task_runs where status in ('RUNNING', 'QUEUED', 'CREATED', 'CANCELLING')"
    ).fetchone()
    assert open_tasks == (0,) and database.execute("select status from runs").fetchall() != [("RUNNING",)]


def test_what_cannot_be_started_says_why(bin_dir: Path, tmp_path: Path) -> None:
    write(tmp_path, "pass")
    text = (tmp_path / "p.yml").read_text().replace("set_outputs: true", 'environment_variables: \'{"A=B": "c"}\'')
    (tmp_path / "p.yml").write_text(text)
    assert "cannot be the name of a variable" in run(bin_dir, tmp_path).stderr


def test_the_state_is_for_its_owner_alone(bin_dir: Path, tmp_path: Path) -> None:
    write(tmp_path, "pass")
    run(bin_dir, tmp_path)
    assert (tmp_path / ".rehearse").stat().st_mode & 0o077 == 0


def test_fault_32_a_store_of_a_newer_version_is_refused(bin_dir: Path, tmp_path: Path) -> None:
    write(tmp_path, "pass")
    run(bin_dir, tmp_path)
    with sqlite3.connect(tmp_path / ".rehearse" / "rehearse.db") as database:
        database.execute("pragma user_version=99")
    done = run(bin_dir, tmp_path)
    assert done.returncode == 2 and "was written by a newer rehearse" in done.stderr


def test_fault_05_a_killed_task_says_by_which_signal(bin_dir: Path, tmp_path: Path) -> None:
    write(tmp_path, "import os; os.kill(os.getpid(), 9)")
    done = run(bin_dir, tmp_path)
    assert done.returncode == 1 and "killed by signal 9 (possibly out of memory)" in done.stderr


def test_secrets_are_masked_in_the_log_the_terminal_and_the_record(bin_dir: Path, tmp_path: Path) -> None:
    code = (
        "import os, sys, time, base64\n"
        "secret = os.environ['SHOP_PASSWORD']\n"
        "sys.stdout.write(secret[:5]); sys.stdout.flush(); time.sleep(0.2); print(secret[5:])\n"
        "print(base64.b64encode(secret.encode()).decode(), os.environ['ORCHESTRA_API_KEY'])\n"
        "from orchestra_sdk.orchestra import OrchestraSDK\n"
        "OrchestraSDK(api_key=os.environ['ORCHESTRA_API_KEY']).set_output('told', 'it is ' + secret)\n"
        "sys.exit(1)\n"
    )
    write(tmp_path, code, '[connections.p]\nintegration = "PYTHON"\ndefault = true\nenv = ["SHOP_*"]\n')
    done = run(bin_dir, tmp_path, "--json", SHOP_PASSWORD="correct-horse-battery")
    assert done.returncode == 1 and log(tmp_path).count("********") == 3
    database = sqlite3.connect(tmp_path / ".rehearse" / "rehearse.db")
    recorded = "".join(map(str, database.execute("select * from task_runs").fetchall()))
    everywhere = log(tmp_path) + done.stdout + done.stderr + recorded
    assert "correct-horse" not in everywhere and "it is ********" in recorded


def test_a_task_sees_an_allowlisted_environment_only(bin_dir: Path, tmp_path: Path) -> None:
    write(tmp_path, "import os; print(sorted(os.environ))")
    run(bin_dir, tmp_path, MY_OWN_TOKEN="x", AWS_SECRET_ACCESS_KEY="y")
    assert "MY_OWN_TOKEN" not in log(tmp_path) and "AWS_SECRET" not in log(tmp_path)
    for name in ("API_KEY", "TASK_RUN_ID", "PIPELINE_RUN_ID", "TASK_ATTEMPT_NUMBER", "WEBHOOK_URL"):
        assert f"ORCHESTRA_{name}" in log(tmp_path)


def test_huge_and_binary_output_is_kept_as_it_is(bin_dir: Path, tmp_path: Path) -> None:
    write(tmp_path, "import sys; sys.stdout.buffer.write(bytes(range(256)) * 40_000 + b'end'); sys.exit(1)")
    done = run(bin_dir, tmp_path)
    path = tmp_path / ".rehearse" / "latest" / "only" / "1" / "log"
    assert path.stat().st_size == 256 * 40_000 + 3 and path.read_bytes().endswith(b"end")
    assert not re.search(r"[\x00-\x08\x1b]", done.stderr), "the terminal gets no control characters"


def test_the_record_has_the_run_its_definition_and_its_tasks(bin_dir: Path, tmp_path: Path) -> None:
    write(tmp_path, "print('hello')")
    result = json.loads(run(bin_dir, tmp_path, "--json").stdout)
    database = sqlite3.connect(tmp_path / ".rehearse" / "rehearse.db")
    run_row = database.execute("select id, status, definition from runs").fetchone()
    assert run_row == (result["run_id"], "SUCCEEDED", (tmp_path / "p.yml").read_text())
    tasks = database.execute("select task_id, status, attempt from task_runs order by started_at").fetchall()
    assert tasks == [("only", "SUCCEEDED", 1), ("never", "SUCCEEDED", 1)]
    assert log(tmp_path) == "hello\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--input", "x"], "there is no '='"),
        (["--input", "wrong=1"], "has no input 'wrong'"),
        (["--env", "nowhere"], "there is no environment 'nowhere'"),
    ],
)
def test_bad_usage_is_exit_2_and_starts_nothing(bin_dir: Path, tmp_path: Path, arguments: list[str], said: str) -> None:
    write(tmp_path, "pass")
    done = run(bin_dir, tmp_path, *arguments)
    assert done.returncode == 2 and said in done.stderr and "Traceback" not in done.stderr
    assert not (tmp_path / ".rehearse").exists()


def test_a_misspelt_file_name_gets_a_suggestion(bin_dir: Path, tmp_path: Path) -> None:
    write(tmp_path, "pass")
    done = subprocess.run([bin_dir / "rehearse", "run", "q.yml"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 2 and "did you mean p.yml?" in done.stderr


def test_labels_that_look_alike_get_folders_of_their_own() -> None:
    names = {
        folder_name(label)
        for label in ("load@a/b", "load@a_b", "load@a b", "load@..", "..", "load@" + "x" * 500, "load@" + "x" * 501)
    }
    assert len(names) == 7 and all(len(name) < 100 and "/" not in name and not name.startswith(".") for name in names)
    assert folder_name("load_table@postgres.orders") == "load_table@postgres.orders"

"""The supervisor and the forge that makes it: one attempt, without an engine."""

from __future__ import annotations

import ast
import base64
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from rehearse.engine.attempt_folder import CLAIM, EXIT, read
from rehearse.engine.attempts import LOST, NEVER, RUNNING, clean_up, judge, look, stop
from rehearse.engine.forge import Forge

SECRET = "correct-horse-battery\nstaple/9"
PYTHON = sys.executable
Start = Callable[..., tuple[Path, socket.socket]]


@pytest.fixture(scope="module")
def forge() -> Iterator[Forge]:
    forge = Forge()
    yield forge
    forge.close()


def specification(folder: Path, *argv: str, env: dict[str, str] | None = None) -> dict[str, Any]:
    folder.mkdir()
    steps = [{"argv": list(argv), "env": {"PATH": os.defpath} | (env or {}), "cwd": str(folder.parent), "call": None}]
    return {
        "folder": str(folder), "steps": steps, "secrets": [SECRET], "timeout": None, "grace": 0.5,
        "task_run_id": "run-1", "token": "the-token", "outputs_limit": 5_000_000, "log_limit": 3_000_000,
        "crash_at": None,
    }  # fmt: skip


@pytest.fixture
def start(forge: Forge, tmp_path: Path) -> Start:
    def start(*argv: str, env: dict[str, str] | None = None, **fields: Any) -> tuple[Path, socket.socket]:
        folder = tmp_path / f"attempt{len(list(tmp_path.iterdir()))}"
        spec = specification(folder, *argv, env=env) | fields
        return Path(spec["folder"]), forge.start(spec)

    return start


def finish(started: tuple[Path, socket.socket]) -> tuple[dict[str, Any], bytes]:
    folder, channel = started
    with channel:
        channel.settimeout(30)
        assert channel.recv(1) == b""
    found = read(str(folder), EXIT)
    assert found is not None
    return found, (folder / "log").read_bytes()


def until(condition: Callable[[], Any], what: str) -> Any:
    deadline = time.monotonic() + 15
    while not (found := condition()):
        assert time.monotonic() < deadline, what
        time.sleep(0.02)
    return found


def processes(marker: str) -> list[str]:
    listed = subprocess.run(["ps", "-ewwo", "pid,stat,args"], capture_output=True, text=True, check=True).stdout
    return [line for line in listed.splitlines() if marker in line and " Z" not in line]


POST = """
import json, os, sys, urllib.request
def post(**event):
    event.setdefault("task_run_id", "run-1")
    request = urllib.request.Request(os.environ["ORCHESTRA_WEBHOOK_URL"], json.dumps(event).encode(),
        {"Authorization": "Bearer the-token", "Content-Type": "application/json"})
    try:
        return urllib.request.urlopen(request).status, None
    except urllib.error.HTTPError as e:
        return e.code, json.load(e)
"""


def test_the_supervisor_needs_only_the_standard_library(root: Path) -> None:
    code = "import sys; sys.path.append(sys.argv[1]); import rehearse.engine.forge_server"
    subprocess.run([PYTHON, "-I", "-S", "-c", code, str(root)], check=True)
    for name in ("supervisor", "receiver", "attempt_folder", "processes", "masking", "forge_server"):
        tree = ast.parse((root / "rehearse" / "engine" / f"{name}.py").read_text())
        modules = [node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module]
        assert all(m.split(".")[0] in sys.stdlib_module_names | {"rehearse"} for m in modules), name


def test_the_end_of_a_process_is_recorded(start: Start) -> None:
    ended, log = finish(start("sh", "-c", "echo out; echo err >&2; exit 3"))
    assert (ended["code"], ended["signal"], ended["reason"]) == (3, None, "exited")
    assert sorted(log.split()) == [b"err", b"out"]
    assert judge(ended, None) == ("FAILED", "exit code 3")


@pytest.mark.parametrize(("argv", "said"), [(("no-such-program",), "no-such-program"), (("a\0b",), "null byte")])
def test_what_cannot_be_started_says_why(start: Start, argv: tuple[str, ...], said: str) -> None:
    ended, _ = finish(start(*argv))
    assert ended["reason"] == "not_started" and said in ended["message"]


def test_an_attempt_starts_at_most_once(start: Start, forge: Forge, tmp_path: Path) -> None:
    """Two supervisors for the same folder: the one that comes second, whichever it is, leaves without a word."""
    mark = tmp_path / "mark"
    code = f"open({str(mark)!r}, 'a').write('x')"
    first = start(PYTHON, "-c", code)
    again = start(PYTHON, "-c", code, folder=str(first[0]))
    with again[1] as channel:
        assert channel.recv(1) == b""
    finish(first)
    assert mark.read_text() == "x"


def test_an_engine_that_dies_before_it_said_what_to_do_has_started_nothing(tmp_path: Path) -> None:
    code = """
import os, socket, sys
from rehearse.engine.forge import Forge
forge = Forge()
ours, theirs = socket.socketpair()
forge._send(theirs)
ours.sendall((1000).to_bytes(8, "big") + b'{"folder": ')
os.kill(os.getpid(), 9)
"""
    assert subprocess.run([PYTHON, "-c", code], cwd=tmp_path).returncode == -signal.SIGKILL
    assert look(tmp_path) == NEVER


def spares(forge: Forge) -> list[int]:
    """The supervisors that wait for a task."""
    assert forge._process is not None
    pid = forge._process.pid
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def is_gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except OSError:
        return True


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks into /proc")
def test_a_supervisor_that_is_killed_while_it_waits_is_replaced(tmp_path: Path) -> None:
    forge = Forge()
    forge.warm_up()
    [spare] = until(lambda: spares(forge), "there is no spare")
    os.kill(spare, signal.SIGKILL)
    until(lambda: is_gone(spare), "it lives on")
    folder = tmp_path / "attempt"
    channel = forge.start(specification(folder, "echo", "done"))
    ended, log = finish((folder, channel))
    assert (ended["code"], log) == (0, b"done\n")
    forge.close()


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks into /proc")
def test_a_supervisor_that_waits_ends_with_the_forge_and_one_that_works_does_not(tmp_path: Path) -> None:
    forge = Forge()
    folder = tmp_path / "attempt"
    channel = forge.start(specification(folder, "sh", "-c", "while [ ! -e go ]; do sleep 0.02; done; echo done"))
    claim = until(lambda: read(str(folder), CLAIM), "it never began")
    [spare] = until(lambda: [pid for pid in spares(forge) if pid != claim["pid"]], "there is no spare")
    assert forge._process is not None
    forge._process.kill()
    until(lambda: is_gone(spare), "it lives on")
    assert look(folder) == RUNNING
    (tmp_path / "go").touch()
    assert finish((folder, channel))[1] == b"done\n"
    forge.close()


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks into /proc")
def test_fault_03_a_killed_supervisor_takes_the_whole_task_with_it(start: Start, tmp_path: Path) -> None:
    """Its children, too: by the lifeline, without anybody who looks."""
    code = "import subprocess; p = subprocess.Popen(['sleep', '99']); print(p.pid, flush=True); p.wait()"
    folder, channel = start(PYTHON, "-c", code)
    grandchild = int(until(lambda: (folder / "log").exists() and (folder / "log").read_text(), "it never began"))
    claim = read(str(folder), CLAIM)
    assert claim is not None
    os.kill(claim["pid"], signal.SIGKILL)
    until(lambda: is_gone(grandchild), "it lives on")
    channel.close()


def test_fault_02_a_task_outlives_the_engine_that_started_it(tmp_path: Path) -> None:
    folder = tmp_path / "attempt"
    spec = specification(folder, "sh", "-c", "sleep 0.5; echo done")
    code = """
import json, os, sys, time
from rehearse.engine.forge import Forge
Forge().start(json.loads(sys.argv[1]))
while not os.path.exists(sys.argv[2]):
    time.sleep(0.01)
os.kill(os.getpid(), 9)
"""
    done = subprocess.run([PYTHON, "-c", code, json.dumps(spec), str(folder / CLAIM)])
    assert done.returncode == -signal.SIGKILL
    assert look(folder) == RUNNING
    ended = until(lambda: read(str(folder), EXIT), "it never ended")
    assert ended["code"] == 0 and (folder / "log").read_text() == "done\n"


def test_fault_05_a_killed_task_says_by_what_and_leaves_no_grandchild(start: Start, tmp_path: Path) -> None:
    marker = f"grandchild-of-{tmp_path.name}"
    code = (
        "import os, subprocess, sys\n"
        f"subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(99)', '{marker}'])\n"
        "os.kill(os.getpid(), 9)\n"
    )
    ended, _ = finish(start(PYTHON, "-c", code))
    assert judge(ended, None) == ("FAILED", "killed by signal 9 (possibly out of memory)")
    assert processes(marker) == []


def test_fault_06_a_task_that_ignores_the_signal_is_killed_after_the_grace(start: Start) -> None:
    started = start("sh", "-c", "trap '' INT TERM; echo ready; while true; do sleep 0.1; done")
    until(lambda: (started[0] / "log").exists() and (started[0] / "log").read_bytes(), "it never began")
    stop(started[0])
    ended, _ = finish(started)
    assert (ended["reason"], ended["signal"]) == ("cancelled", signal.SIGKILL)
    assert judge(ended, None)[0] == "CANCELLED"


def test_fault_08_a_second_request_kills_at_once(start: Start) -> None:
    started = start("sh", "-c", "trap '' INT TERM; echo ready; while true; do sleep 0.1; done", grace=60)
    until(lambda: (started[0] / "log").exists() and (started[0] / "log").read_bytes(), "it never began")
    stop(started[0], kill=True)
    ended, _ = finish(started)
    assert (ended["reason"], ended["signal"]) == ("cancelled", signal.SIGKILL)


@pytest.mark.parametrize("new_session", [False, True])
def test_fault_09_what_a_task_leaves_behind_ends_with_it(start: Start, tmp_path: Path, new_session: bool) -> None:
    marker = f"daemon-{tmp_path.name}-{new_session}"
    sleeper = f"[sys.executable, '-c', 'import time; time.sleep(99)', '{marker}']"
    code = f"import subprocess, sys; subprocess.Popen({sleeper}, start_new_session={new_session})"
    ended, _ = finish(start(PYTHON, "-c", code))
    assert ended["code"] == 0
    assert processes(marker) == []


def test_fault_09_a_killed_supervisor_takes_its_task_along(start: Start, tmp_path: Path) -> None:
    """Also what is in a session of its own: it carries the id of its task run."""
    marker = f"orphan-{tmp_path.name}"
    sleeper = f"[sys.executable, '-c', 'import time; time.sleep(99)', '{marker}']"
    code = f"import subprocess, sys, time; subprocess.Popen({sleeper}, start_new_session=True); time.sleep(99)"
    folder, channel = start(PYTHON, "-c", code, env={"ORCHESTRA_TASK_RUN_ID": marker})
    until(lambda: len(processes(marker)) == 2, "it never began")  # the task names the marker, too
    claim = read(str(folder), CLAIM)
    assert claim is not None
    os.kill(claim["pid"], signal.SIGKILL)
    with channel:
        assert channel.recv(1) == b""
    until(lambda: look(folder) == LOST, "it is still there")
    clean_up(folder, marker)
    until(lambda: not processes(marker), "something is left")


def test_a_timeout_ends_the_attempt(start: Start) -> None:
    ended, _ = finish(start("sleep", "99", timeout=0.2))
    assert judge(ended, 0.2) == ("FAILED", "timed out after 0.2 s")


def test_a_stop_before_the_start_is_not_lost(start: Start, tmp_path: Path) -> None:
    folder = tmp_path / "early"
    stop(folder)  # which makes the folder, when the attempt has not yet
    ended, _ = finish(start("sleep", "99", folder=str(folder)))
    assert ended["reason"] == "cancelled"


def test_fault_14_secrets_are_masked_in_log_and_outputs(start: Start) -> None:
    """Plain, base64 in every alignment, URL, JSON, split over writes, and inside an output."""
    raw = SECRET.encode()
    forms = [
        raw, *(base64.b64encode(b"x" * shift + raw) for shift in range(3)), urllib.parse.quote(SECRET).encode(),
        urllib.parse.quote_plus(SECRET).encode(), json.dumps(SECRET).encode(), repr(SECRET).encode(),
    ]  # fmt: skip
    code = f"""{POST}
for form in {forms!r}:
    sys.stdout.buffer.write(b"<" + form + b">")
for byte in {raw!r}:
    sys.stdout.buffer.write(bytes([byte])); sys.stdout.buffer.flush()
post(event_type="SET_OUTPUT", output_name="o", output_value={{"deep": ["x " + {SECRET!r}]}})
post(event_type="UPDATE_STATUS", status="WARNING", message="saw " + {SECRET!r})
post(event_type="LOG", log_name="l", data={SECRET!r})
"""
    started = start(PYTHON, "-c", code)
    ended, _ = finish(started)
    assert ended["code"] == 0
    everything = b"".join(path.read_bytes() for path in started[0].rglob("*") if path.is_file())
    for part in (b"correct-horse", b"battery", b"staple", *(base64.b64encode(b"x" * n + raw)[4:20] for n in range(3))):
        assert part not in everything
    assert ended["outputs"] == {"o": {"deep": ["x ********"]}} and ended["message"] == "saw ********"


def test_fault_27_huge_and_binary_output_is_cut_in_the_middle(start: Start) -> None:
    code = (
        "import sys\n"
        "out = sys.stdout.buffer\n"
        r"out.write(b'first \xff\x00\x1b[31m\r\n')" + "\n"
        "for _ in range(20): out.write(b'x' * 1_000_000)\n"
        r"out.write(b'\nlast line\n')"
    )
    ended, log = finish(start(PYTHON, "-c", code))
    assert ended["code"] == 0
    assert log.startswith(b"first \xff\x00\x1b[31m\r\n") and log.endswith(b"\nlast line\n")
    assert 3_000_000 < len(log) < 5_500_000 and b"bytes are left out here" in log


def test_fault_28_a_huge_output_is_rejected_with_advice(start: Start) -> None:
    code = f"{POST}\nprint(post(event_type='SET_OUTPUT', output_name='big', output_value='x' * 50_000_000))\n"
    code += "print(post(event_type='SET_OUTPUT', output_name='small', output_value=1))"
    ended, log = finish(start(PYTHON, "-c", code))
    assert b"413" in log and b"pass its path" in log
    assert ended["outputs"] == {"small": 1}


def test_fault_28_outputs_that_are_too_large_together_are_rejected(start: Start) -> None:
    code = f"{POST}\nfor n in range(4): print(post(event_type='SET_OUTPUT', output_name=f'o{{n}}', output_value='x' * 400))"
    ended, log = finish(start(PYTHON, "-c", code, outputs_limit=1000))
    assert list(ended["outputs"]) == ["o0", "o1"] and log.count(b"413") == 2
    assert "o3" in ended["rejected"] and "pass its path" in ended["rejected"]


def test_the_sdk_of_the_platform_is_understood(start: Start) -> None:
    """The real orchestra-sdk: outputs, statuses, and its log file."""
    code = (
        "from orchestra_sdk.orchestra import OrchestraSDK\n"
        "sdk = OrchestraSDK(api_key='the-token')\n"
        "assert sdk.set_output('rows', {'n': 3})\n"
        "assert sdk.set_output('ROWS', 4)\n"
    )
    run_id = "8d0f4a0e-7a1c-4e6f-9f39-7a7b4f0b9d11"
    env = {"ORCHESTRA_TASK_RUN_ID": run_id, "ORCHESTRA_API_KEY": "the-token"}
    ended, log = finish(start(PYTHON, "-c", code, env=env, task_run_id=run_id))
    assert ended["code"] == 0, log
    assert ended["outputs"] == {"ROWS": 4}


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        ({}, b"{}", 401),
        ({"Authorization": "Bearer wrong"}, b"{}", 401),
        ({"Authorization": "Bearer the-token"}, b"[1]", 422),
        ({"Authorization": "Bearer the-token"}, b"not json", 422),
        ({"Authorization": "Bearer the-token"}, b'{"task_run_id": "other", "event_type": "LOG"}', 404),
        ({"Authorization": "Bearer the-token"}, b'{"task_run_id": "run-1", "event_type": "NEW"}', 422),
        ({"Authorization": "Bearer the-token"}, b'{"task_run_id": "run-1", "event_type": "UPDATE_STATUS", "status": "X"}', 422),
        (
            {"Authorization": "Bearer the-token"},
            b'{"task_run_id": "run-1", "event_type": "SET_OUTPUT", "output_name": "a b", "output_value": 1}',
            422,
        ),
        (
            {"Authorization": "Bearer the-token"},
            b'{"task_run_id": "RUN-1", "event_type": "SET_OUTPUT", "output_name": "a", "output_value": 1}',
            200,
        ),
    ],
)  # fmt: skip
def test_the_webhook_answers_whatever_comes(start: Start, headers: dict[str, str], body: bytes, status: int) -> None:
    folder, channel = start("sh", "-c", "echo $ORCHESTRA_WEBHOOK_URL; sleep 30")
    url = until(lambda: (folder / "log").exists() and (folder / "log").read_text().strip(), "it never began")
    try:
        found = urllib.request.urlopen(urllib.request.Request(url, body, headers)).status
    except urllib.error.HTTPError as e:
        found = e.code
    assert found == status
    stop(folder, kill=True)
    finish((folder, channel))


def test_a_warm_process_runs_a_function_in_isolation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "warm_host.py").write_text(
        "import atexit, os, sys\n"
        "from rehearse.jobs.report import report\n"
        "state = []\n"
        "def main():\n"
        "    atexit.register(print, 'bye')\n"
        "    state.append(1)\n"
        "    os.environ['LEAK'] = 'x'\n"
        "    print(sys.argv[1:], os.getcwd(), sorted(os.environ)[:3], len(state))\n"
        "    report('WARNING', 'half', {'n': 1})\n"
        "    return int(sys.argv[1])\n"
    )
    forge = Forge(("json", "warm_host"))
    monkeypatch.setattr("rehearse.engine.forge._INHERITED", ("PATH", "PYTHONPATH"))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    try:
        for number in (3, 0):
            folder = tmp_path / str(number)
            folder.mkdir()
            argv = ["python", "-P", "-m", "warm_host", str(number), "a b"]
            step = {"argv": argv, "env": {"ONLY": "this"}, "cwd": str(folder), "call": "warm_host:main"}
            spec = {
                "folder": str(folder), "steps": [step], "secrets": [], "timeout": 20, "grace": 1, "task_run_id": "x",
                "token": "t", "outputs_limit": 1000, "log_limit": 1000, "crash_at": None,
            }  # fmt: skip
            ended, log = finish((folder, forge.start(spec)))
            said = f"['{number}', 'a b'] {folder} ['LEAK', 'ONLY', 'ORCHESTRA_WEBHOOK_URL'] 1\nbye\n"
            assert log.decode() == said
            assert (ended["code"], ended["status"], ended["message"], ended["outputs"]) == (
                number,
                "WARNING",
                "half",
                {"n": 1},
            )
    finally:
        forge.close()

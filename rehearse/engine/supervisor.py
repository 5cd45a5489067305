"""The parent of a task's processes: a small program that outlives the engine.

It reads a JSON specification on standard input, runs the steps one after another in a session of their own, writes their
output, masked, to the log, and records the end in `exit.json` by rename. It must start fast, so it is run with `-I -S` and
imports only the standard library.

Specification: {"steps": [{"argv": [str], "env": {str: str}, "cwd": str}], "folder": str, "secrets": [str],
"timeout": seconds or null, "grace": seconds}. Signals: SIGINT or SIGTERM asks the task to stop and kills it after the
grace period, a second one kills at once. exit.json: {"code": int or null, "signal": int or null, "reason": "exited" |
"timeout" | "cancelled" | "not_started", "message": str or null}. While a step runs, `pid` holds {"pid": int, "started": str or
null}.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from typing import Any

sys.path.append(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))

from rehearse.engine.masking import Masker

_stop_requests = 0


def _on_signal(number: int, frame: object) -> None:
    global _stop_requests
    _stop_requests += 1


def _kill(group: int, number: int) -> None:
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):
        pass


def _write(log: int, data: bytes) -> None:
    view = memoryview(data)
    try:
        while view:
            view = view[os.write(log, view) :]
    except OSError:
        pass  # a full disk costs lines of the log, not the task


def start_time(pid: int) -> str | None:
    """With the pid it names one process for ever; None where there is no /proc."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[19]
    except OSError:
        return None


def _adopt_orphans() -> None:
    """Linux: what a task's children leave behind becomes our child, even from a session of its own."""
    try:
        import ctypes

        ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER
    except (ImportError, OSError, AttributeError):
        pass


def _kill_orphans() -> None:
    deadline = time.monotonic() + 2
    while time.monotonic() < deadline:
        try:
            with open(f"/proc/self/task/{os.getpid()}/children") as file:
                orphans = [int(pid) for pid in file.read().split()]
        except OSError:
            return
        if not orphans:
            return
        for pid in orphans:
            try:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
            except OSError:
                pass


class _Clock:
    """Decides which signal is due: none, a polite one, or SIGKILL."""

    def __init__(self, timeout: float | None, grace: float):
        self.deadline = None if timeout is None else time.monotonic() + timeout
        self.grace = grace
        self.reason = "exited"
        self._kill_at: float | None = None

    def due(self) -> int | None:
        now = time.monotonic()
        if self._kill_at is None:
            if _stop_requests:
                self.reason = "cancelled"
            elif self.deadline is not None and now >= self.deadline:
                self.reason = "timeout"
            else:
                return None
            self._kill_at = now + self.grace
            return signal.SIGINT
        if now >= self._kill_at or _stop_requests > 1:
            return signal.SIGKILL
        return None


def _run_step(step: dict[str, Any], clock: _Clock, masker: Masker, log: int, wakeup: int, folder: str) -> int:
    """Run one command to its end; returns the code as `Popen` does, negative for a signal."""
    child = subprocess.Popen(
        step["argv"], env=step["env"], cwd=step["cwd"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, start_new_session=True,
    )  # fmt: skip
    assert child.stdout is not None
    try:
        _record(folder, "pid", {"pid": child.pid, "started": start_time(child.pid)})
    except OSError:
        pass  # a full disk: the task runs on, it only cannot be found again should we be killed
    pipe = child.stdout.fileno()
    open_pipe = True
    drain_until = None
    while True:
        if open_pipe:
            ready, _, _ = select.select(
                [pipe, wakeup], [], [], 0.05 if drain_until or clock.reason != "exited" else 0.5
            )
            if wakeup in ready:
                os.read(wakeup, 4096)
            if pipe in ready:
                chunk = os.read(pipe, 65536)
                open_pipe = bool(chunk)
                _write(log, masker.feed(chunk))
        number = clock.due()
        if number is not None:
            _kill(child.pid, number)
        if child.poll() is None:
            if not open_pipe:
                time.sleep(0.01)
            continue
        if drain_until is None:
            _kill(child.pid, signal.SIGKILL)  # what the task left behind in its session ends with it
            drain_until = time.monotonic() + 1
        if not open_pipe or time.monotonic() > drain_until:
            _write(log, masker.flush())
            return child.returncode


def _record(folder: str, name: str, content: dict[str, Any]) -> None:
    """Complete or not there at all."""
    temporary = os.path.join(folder, f"{name}.tmp")
    with open(temporary, "w") as file:
        json.dump(content, file)
        file.flush()
        os.fsync(file.fileno())
    os.rename(temporary, os.path.join(folder, name))


def main() -> None:
    _adopt_orphans()
    read_end, write_end = os.pipe()
    os.set_blocking(write_end, False)
    signal.set_wakeup_fd(write_end)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _on_signal)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT, signal.SIGTERM])  # the engine blocked them for our start
    spec = json.load(sys.stdin)
    folder = spec["folder"]
    clock = _Clock(spec["timeout"], spec["grace"])
    masker = Masker(spec["secrets"])
    log = os.open(os.path.join(folder, "log"), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    result: dict[str, Any] = {"code": None, "signal": None, "reason": "not_started", "message": None}
    for step in spec["steps"]:
        if _stop_requests:
            result.update(reason="cancelled")
            break
        try:
            code = _run_step(step, clock, masker, log, read_end, folder)
        except (OSError, ValueError) as e:  # no such program; a NUL in an argument, a '=' in the name of a variable
            result.update(reason="not_started", message=f"{step['argv'][0]}: {e}")
            break
        _kill_orphans()
        result.update(code=code if code >= 0 else None, signal=-code if code < 0 else None, reason=clock.reason)
        if code != 0 or clock.reason != "exited":
            break
    _record(folder, "exit.json", result)


if __name__ == "__main__":
    main()

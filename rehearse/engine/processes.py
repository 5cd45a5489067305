"""Processes of tasks: which one is meant, and that none is left behind. Only the standard library: the supervisor uses it."""

from __future__ import annotations

import ctypes
import fcntl
import os
import signal
import time
from collections.abc import Iterator
from typing import Any

MARKER = "ORCHESTRA_TASK_RUN_ID"
"""A variable that every process of a task inherits, whatever session it makes for itself."""
_SUBREAPER = 36  # of prctl(2)

try:
    _prctl: Any = ctypes.CDLL(None).prctl
except (OSError, AttributeError):  # not Linux
    _prctl = None


def start_time(pid: int) -> str | None:
    """With the pid it names one process for ever; None when there is no such process, or no /proc."""
    try:
        return _stat(pid)[19]
    except OSError:
        return None


def _stat(pid: int) -> list[str]:
    """The fields of proc(5), /proc/PID/stat, from the third one on. Raises OSError."""
    with open(f"/proc/{pid}/stat", "rb", 0) as file:
        return file.read().decode(errors="replace").rsplit(")", 1)[1].split()


def is_alive(pid: int, started: str | None) -> bool:
    """Whether that very process still runs. Without /proc (`started` None) the pid has to do."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    if started is None:
        return True
    return start_time(pid) == started and not _is_zombie(pid)


def _is_zombie(pid: int) -> bool:
    try:
        return _stat(pid)[0] == "Z"
    except OSError:
        return True


def kill_group(group: int, number: int) -> None:
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):
        pass


class Lifeline:
    """Ends a group of processes when this process ends, even by SIGKILL: its end of a pipe closes then, and the kernel signals
    the group that was tied to the other end (fcntl(2), F_SETSIG). The group holds that one: it gets `end` when it is started.

    A signal on the parent's death (prctl) would have to be asked for between fork and exec, which rules out vfork: that costs
    each task 2 ms. Linux only; elsewhere nothing.
    """

    def __init__(self) -> None:
        self.end, held = os.pipe()
        self._held: int | None = held

    def tie(self, group: int) -> None:
        """`group` has `end` now, and we need it no more."""
        if hasattr(fcntl, "F_SETSIG"):
            fcntl.fcntl(self.end, fcntl.F_SETOWN, -group)
            fcntl.fcntl(self.end, fcntl.F_SETSIG, signal.SIGKILL)
            fcntl.fcntl(self.end, fcntl.F_SETFL, os.O_ASYNC)
        os.close(self.end)

    def let_go(self) -> None:
        """Once the group is dead: whoever is left in it dies. In a member of the group: it holds nobody."""
        if self._held is not None:
            os.close(self._held)
        self._held = None


def adopt_orphans() -> None:
    """What our children leave behind becomes our child, even from a session of its own. Linux only."""
    if _prctl is not None:
        _prctl(_SUBREAPER, 1, 0, 0, 0)


def kill_children(seconds: float = 2.0) -> None:
    """End and reap all children of this process, and what they leave behind to us in turn."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            with open(f"/proc/self/task/{os.getpid()}/children") as file:
                children = [int(pid) for pid in file.read().split()]
        except OSError:
            return
        if not children:
            return
        for pid in children:
            try:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
            except OSError:
                pass


def kill_marked(task_run_id: str) -> int:
    """End every process of a task whose supervisor is gone; how many there were. Looks through /proc, so for rare use."""
    killed = 0
    for pid in _marked(f"{MARKER}={task_run_id}".encode()):
        try:
            os.kill(pid, signal.SIGKILL)
            killed += 1
        except OSError:
            pass
    return killed


def _marked(entry: bytes) -> Iterator[int]:
    for name in os.listdir("/proc") if os.path.isdir("/proc") else ():
        if name.isdigit() and int(name) != os.getpid():
            try:
                with open(f"/proc/{name}/environ", "rb") as file:
                    found = entry in file.read().split(b"\0")
            except OSError:
                continue
            if found:
                yield int(name)

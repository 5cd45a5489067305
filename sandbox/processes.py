"""Processes that outlive the command which started them, found again by pid and start time.

A pid alone is not enough: after a crash or a reboot it may belong to somebody else, who must not be killed.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

from sandbox.errors import SandboxError

LOOPBACK = "127.0.0.1"


def start_time(pid: int) -> str | None:
    """A text that no other process with this pid ever had; None if there is no such process, or only its zombie."""
    with contextlib.suppress(ChildProcessError, PermissionError):
        os.waitpid(pid, os.WNOHANG)  # if it was our own child: take note of its end
    if sys.platform.startswith("linux"):
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
            boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        except (FileNotFoundError, ProcessLookupError):
            return None
        return None if fields[0] in "ZX" else f"{boot}/{fields[19]}"
    listed = subprocess.run(
        ["ps", "-o", "stat=,lstart=", "-p", str(pid)], capture_output=True, text=True
    ).stdout.split()
    return None if not listed or listed[0].startswith("Z") else " ".join(listed[1:])


def is_running(pid: int | None, started: str | None) -> bool:
    return pid is not None and started is not None and start_time(pid) == started


def stop(pid: int | None, started: str | None, sign: signal.Signals, patience: float = 20.0) -> bool:
    """Send `sign` and wait for the end; False if it was not running. Raises SandboxError if it does not end."""
    if pid is None or not is_running(pid, started):
        return False
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, sign)
    deadline = time.monotonic() + patience
    while is_running(pid, started):
        if time.monotonic() > deadline:
            raise SandboxError(f"process {pid} did not end within {patience:.0f} s after {sign.name}", f"kill -9 {pid}")
        time.sleep(0.01)
    return True


@contextlib.contextmanager
def uninterrupted() -> Iterator[None]:
    """Hold back Ctrl-C until the end of the block, so that a process is never started without being recorded.

    A real handler and not SIG_IGN, because a child would inherit that. Only the main thread ever sees Ctrl-C.
    """
    held: list[int] = []

    def hold(number: int, frame: FrameType | None) -> None:
        held.append(number)

    try:
        before = signal.signal(signal.SIGINT, hold)
    except ValueError:
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if held:
        raise KeyboardInterrupt


def listen(port: int | None) -> socket.socket:
    """A listening socket on loopback: on `port` if that is free, else on any free one."""
    for candidate in (port or 0, 0):
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind((LOOPBACK, candidate))
            sock.listen(128)
        except OSError:
            sock.close()
            continue
        return sock
    raise SandboxError("no free port on 127.0.0.1")


def free_port(wanted: int | None) -> int:
    with listen(wanted) as sock:
        return int(sock.getsockname()[1])


def tail(path: Path, lines: int = 8) -> str:
    """The last lines of a log, for error messages."""
    try:
        return "\n".join(path.read_text(errors="replace").splitlines()[-lines:])
    except OSError:
        return "(no log)"

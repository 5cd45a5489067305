"""The engine's side of `forge_server`: start an attempt's supervisor in about a millisecond, and see it end."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from rehearse.errors import RehearseError

_SERVER = Path(__file__).with_name("forge_server.py")
_INHERITED = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "LD_LIBRARY_PATH")


class Forge:
    """A process that makes supervisors; restarted when it is gone. `preload`: modules that steps with a `call` use."""

    def __init__(self, preload: tuple[str, ...] = ()):
        self._preload = preload
        self._lock = threading.Lock()
        self._control: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def warm_up(self) -> None:
        """Start the process now, so that it is ready when it is needed."""
        with self._lock:
            self._ensure()

    def start(self, spec: dict[str, Any]) -> socket.socket:
        """Start a supervisor with this specification; reading from the socket ends when the supervisor does."""
        ours, theirs = socket.socketpair()
        with theirs:
            self._send(theirs)
        data = json.dumps(spec).encode()
        try:
            ours.sendall(len(data).to_bytes(8, "big") + data)
        except OSError:
            pass  # the supervisor died at once: the caller reads the end, and finds no claim
        return ours

    def close(self) -> None:
        with self._lock:
            if self._control is not None:
                self._control.close()
                self._control = None
            if self._process is not None:
                self._process.kill()  # it has nothing to put in order, and its supervisors go on
                self._process.wait()
                self._process = None

    def _send(self, channel: socket.socket) -> None:
        with self._lock:
            for _ in range(2):  # a forge that was killed is replaced, once
                try:
                    socket.send_fds(self._ensure(), [b"+"], [channel.fileno()])
                    return
                except OSError:
                    self._control = None
            raise RehearseError("the process that starts tasks cannot be started", "is the machine out of memory?")

    def _ensure(self) -> socket.socket:
        if self._control is None or self._process is None or self._process.poll() is not None:
            ours, theirs = socket.socketpair()
            with theirs:
                command = [sys.executable, *([] if self._preload else ["-I", "-S"]), str(_SERVER), str(theirs.fileno())]
                self._process = subprocess.Popen(
                    [*command, *self._preload], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL, start_new_session=True, pass_fds=(theirs.fileno(),),
                    env={name: os.environ[name] for name in _INHERITED if name in os.environ},
                )  # fmt: skip
            self._control = ours
        return self._control

"""The HTTP server in a thread of its own, at a port of this machine."""

from __future__ import annotations

import os
import socket
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from rehearse.errors import UsageError

if TYPE_CHECKING:
    from fastapi import FastAPI

DEFAULT_PORT = 8642
_TRIED = 20
LOOPBACK = ("127.0.0.1", "localhost", "::1")


def open_socket(host: str, port: int | None) -> tuple[socket.socket, str | None]:
    """A socket that listens, and what must be said: that the default port was taken, and by whom.

    `port`: None for the default one or the next that is free; 0 for any. Raises UsageError when the port that was asked for is
    taken.
    """
    first = DEFAULT_PORT if port is None else port
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for number in range(first, first + (_TRIED if port is None else 1)):
        # With the protocol named: else asyncio leaves TCP_NODELAY off, and each answer waits 40 ms for an acknowledgement.
        listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, number))
            listener.listen(256)
        except OSError as e:
            listener.close()
            if port is not None or number == first + _TRIED - 1:
                raise UsageError(
                    f"{host}:{number} cannot be used: {e.strerror or e}{held_by(number)}",
                    "name another one with --port, or leave --port out: then a free one is found",
                ) from e
            continue
        note = f"port {first} is taken{held_by(first)}; this is the next free one" if number != first else None
        return listener, note if port is None else None
    raise AssertionError("the last port either works or raises")


class Server:
    """Serves from `start` to `stop`."""

    def __init__(self, app: FastAPI, listener: socket.socket):
        import uvicorn

        config = uvicorn.Config(
            app, log_level="warning", access_log=False, lifespan="on", timeout_graceful_shutdown=2, server_header=False
        )
        self._server = uvicorn.Server(config)
        self._listener = listener
        self._thread = threading.Thread(target=self._run, name="http", daemon=True)
        host, port = listener.getsockname()[:2]
        shown = "127.0.0.1" if host in ("0.0.0.0", "127.0.0.1") else f"[{host}]" if ":" in host else host
        self.url = f"http://{shown}:{port}"

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join(timeout=5)
        self._listener.close()

    def _run(self) -> None:
        self._server.run(sockets=[self._listener])


def is_free(host: str, port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def held_by(port: int) -> str:
    """`, by process 12 (python)`, as far as we may see. Linux only. By its name: a command line may hold a password."""
    inodes = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            lines = Path(table).read_text().splitlines()[1:]
        except OSError:
            continue
        for fields in map(str.split, lines):
            if fields[3] == "0A" and int(fields[1].rpartition(":")[2], 16) == port:
                inodes.add(f"socket:[{fields[9]}]")
    for process in Path("/proc").glob("[0-9]*") if inodes else ():
        try:
            if any(os.readlink(link) in inodes for link in (process / "fd").iterdir()):
                return f", by process {process.name} ({(process / 'comm').read_text().strip()})"
        except OSError:
            continue
    return ""

"""Makes supervisors by forking: a process that has imported what they need, started once per engine.

Usage: forge_server.py FD [MODULE ...]. FD is a socket: each message is one byte with a socket attached, over which a
specification comes (length in 8 bytes, then JSON; see `supervisor`). That socket stays open while the supervisor lives, so
its end tells the engine of the end. With modules, those are imported first, and steps with a `call` are forked too instead
of started. The forge ends when the engine does; its supervisors go on.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import signal
import socket
import sys

if not __package__:  # started by path, without site-packages
    sys.path.append(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
    sys.path[:] = [
        path for path in sys.path if os.path.abspath(path or ".") != os.path.dirname(os.path.abspath(__file__))
    ]

from rehearse.engine.supervisor import Ready, supervise


def main() -> None:
    control = socket.socket(fileno=int(sys.argv[1]))
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT, signal.SIGTERM])
    warm = _preload(sys.argv[2:])
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel reaps our supervisors
    gc.freeze()  # what is imported stays shared with the children
    spare = _spare(control, warm)
    while True:
        data, descriptors, _, _ = socket.recv_fds(control, 1, 1)
        if not data:
            return
        for _ in range(2):  # a spare that was killed is replaced, once
            try:
                socket.send_fds(spare, [b"+"], descriptors)
                break
            except OSError:
                spare.close()
                spare = _spare(control, warm)
        os.close(descriptors[0])
        spare.close()
        spare = _spare(control, warm)  # while the one before is at work


def _spare(control: socket.socket, warm: bool) -> socket.socket:
    """A supervisor that is ready and waits for its task: a fork, and what comes before a task, cost that task no time."""
    ours, theirs = socket.socketpair()
    if os.fork():
        theirs.close()
        return ours
    control.close()
    ours.close()
    os.setsid()
    ready = Ready()
    data, descriptors, _, _ = socket.recv_fds(theirs, 1, 1)
    theirs.close()
    if data:  # else the engine has ended, and the forge with it
        _serve(socket.socket(fileno=descriptors[0]), warm, ready)
    os._exit(0)


def _preload(modules: list[str]) -> bool:
    """Import what the steps will need. What is missing they will say themselves, in a process of their own."""
    try:
        for module in modules:
            importlib.import_module(module)
    except Exception:
        return False
    return bool(modules)


def _serve(channel: socket.socket, warm: bool, ready: Ready) -> None:
    with channel.makefile("rb") as stream:
        length = int.from_bytes(stream.read(8), "big")
        data = stream.read(length)
    if len(data) == length > 0:  # else the engine died meanwhile, and nothing was started
        supervise(json.loads(data) | {"warm": warm}, lambda: _tell(channel), ready)


def _tell(channel: socket.socket) -> bool:
    """Tell the engine of the end, by closing the socket; whether it is still there to hear it."""
    with channel:
        try:
            return channel.recv(1, socket.MSG_DONTWAIT | socket.MSG_PEEK) != b""
        except BlockingIOError:  # it has nothing to say, and has not gone
            return True
        except OSError:
            return False


if __name__ == "__main__":
    main()

"""LINUX_SSH_EXECUTE_COMMAND and WINDOWS_SSH_COMMAND (section 9.11). Connection: see `ssh_client`.

The shell of the remote user gets the command as it is, as on the platform. When the task is stopped, so is the command.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rehearse.bindings.config import Connection
from rehearse.jobs.base import Attempt, Launch
from rehearse.jobs.calls import CallFailed, Outcome, launch, required
from rehearse.jobs.ssh_client import access, checked_command, connect

if TYPE_CHECKING:
    import paramiko  # type: ignore[import-untyped]

_PATIENCE_SECONDS = {"INT": 3.0, "TERM": 2.0, "KILL": 1.0}  # together less than the supervisor's own
_AFTER_EXIT_SECONDS = 2.0
_POLL_SECONDS = 0.2


def prepare(job: str, parameters: Mapping[str, Any], connection: Connection | None, attempt: Attempt) -> Launch:
    connection = required(connection, job)
    how, egress, hidden = access(connection, attempt.root)
    command = checked_command(job, parameters.get("command"))
    request = {"ssh": how, "command": command, "patience": _PATIENCE_SECONDS}
    return launch("ssh_command", request, egress, connection, attempt, *hidden)


def perform(request: dict[str, Any]) -> Outcome:
    import paramiko

    with contextlib.closing(connect(request["ssh"])) as client:
        try:
            channel = client.get_transport().open_session(timeout=30)
            channel.set_combine_stderr(True)  # both go to the log, in their order
            channel.settimeout(_POLL_SECONDS)
            channel.exec_command(request["command"])
            try:
                _stream(channel)
            except KeyboardInterrupt:
                _stop(channel, request["patience"])
                raise
        except (OSError, EOFError, paramiko.SSHException) as e:
            raise CallFailed(f"{request['ssh']['host']}: {' '.join(str(e).split()) or type(e).__name__}") from e
        code = channel.exit_status if channel.exit_status_ready() else -1
    if code == 0:
        return Outcome()
    if code == -1:
        return Outcome("FAILED", "the command ended without an exit code: killed by a signal, or the connection broke")
    return Outcome("FAILED", f"exit code {code}")


def _stream(channel: paramiko.Channel) -> None:
    """Copy the output until the command has ended. What it leaves in the background may hold its output open: that is not
    waited for."""
    quiet_since = None
    while True:
        try:
            data = channel.recv(65536)
        except TimeoutError:
            if channel.exit_status_ready():
                quiet_since = quiet_since or time.monotonic()
                if time.monotonic() - quiet_since > _AFTER_EXIT_SECONDS:
                    return
            continue
        quiet_since = None
        if not data:
            channel.status_event.wait(10)  # the exit code comes by itself
            return
        _write(data)


def _stop(channel: paramiko.Channel, patience: Mapping[str, float]) -> None:
    """End the remote command: ask, insist, kill. Closing the channel alone would leave it running."""
    for name, seconds in patience.items():
        print(f"sending {name} to the remote command", file=sys.stderr, flush=True)
        _signal(channel, name)
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            try:
                data = channel.recv(65536)
                _write(data)
            except TimeoutError:
                data = b"?"
            if not data or channel.exit_status_ready() or channel.closed:
                channel.close()
                return
    print("the remote command may go on: its server did not end it", file=sys.stderr, flush=True)
    channel.close()


def _signal(channel: paramiko.Channel, name: str) -> None:
    """RFC 4254, section 6.9, for which paramiko has no method."""
    from paramiko import Message
    from paramiko.common import cMSG_CHANNEL_REQUEST  # type: ignore[import-untyped]

    message = Message()
    message.add_byte(cMSG_CHANNEL_REQUEST)
    message.add_int(channel.remote_chanid)
    message.add_string("signal")
    message.add_boolean(False)
    message.add_string(name)
    channel.transport._send_user_message(message)


def _write(data: bytes) -> None:
    sys.stdout.flush()
    while data:
        data = data[os.write(sys.stdout.fileno(), data) :]

"""An SSH and SFTP server on this machine, in a thread: commands are run by a real shell, files are below a folder."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncssh
from asyncssh.packet import UInt32

USER, PASSWORD = "loader", "swordfish-1"


@dataclass
class SshServer:
    port: int
    host_key: str
    files: Path
    commands: list[str] = field(default_factory=list)
    signals: list[str] = field(default_factory=list)
    pids: list[int] = field(default_factory=list)
    is_deaf: bool = False
    """Whether it takes no notice of signals."""

    def fields(self, **others: Any) -> dict[str, Any]:
        found = {"host": "127.0.0.1", "port": self.port, "user": USER, "password": PASSWORD, "host_key": self.host_key}
        return {name: value for name, value in (found | others).items() if value is not None}


@contextlib.contextmanager
def ssh_server(folder: Path, key: asyncssh.SSHKey, authorized: asyncssh.SSHKey) -> Iterator[SshServer]:
    """`key` is that of the host, `authorized` one that the user may log in with."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    server = SshServer(0, " ".join(key.export_public_key().decode().split()[:2]), folder / "files")
    server.files.mkdir()
    keys = asyncssh.import_authorized_keys(authorized.export_public_key().decode())

    class Login(asyncssh.SSHServer):
        def password_auth_supported(self) -> bool:
            return True

        def validate_password(self, username: str, password: str) -> bool:
            return (username, password) == (USER, PASSWORD)

    class Files(asyncssh.SFTPServer):
        def __init__(self, chan: asyncssh.SSHServerChannel[bytes]):
            super().__init__(chan, chroot=str(server.files).encode())

    async def serve() -> asyncssh.SSHAcceptor:
        return await asyncssh.listen(
            "127.0.0.1", 0, server_host_keys=[key], server_factory=Login, authorized_client_keys=keys,
            process_factory=lambda process: _run(server, process), sftp_factory=Files, encoding=None,
        )  # fmt: skip

    acceptor = asyncio.run_coroutine_threadsafe(serve(), loop).result(30)
    server.port = acceptor.get_port()
    try:
        yield server
    finally:

        async def close() -> None:
            acceptor.close()
            tasks = asyncio.all_tasks() - {asyncio.current_task()}
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await asyncio.sleep(0.05)  # the pipes of what was killed close by themselves

        asyncio.run_coroutine_threadsafe(close(), loop).result(30)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(30)


async def _run(server: SshServer, process: asyncssh.SSHServerProcess[bytes]) -> None:
    server.commands.append(process.command or "")
    shell = await asyncio.create_subprocess_shell(
        process.command or "true", stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    server.pids.append(shell.pid)
    assert shell.stdout is not None and shell.stderr is not None

    async def listen() -> None:
        while True:
            try:
                if not await process.stdin.read(1):
                    return
            except asyncssh.SignalReceived as e:
                server.signals.append(e.signal)
                if not server.is_deaf:
                    _kill(shell.pid, getattr(signal, f"SIG{e.signal}"))

    async def copy(source: asyncio.StreamReader, target: Any) -> None:
        while data := await source.read(65536):
            target.write(data)

    listener = asyncio.ensure_future(listen())
    copies = asyncio.gather(copy(shell.stdout, process.stdout), copy(shell.stderr, process.stderr))
    try:
        while shell.returncode is None:  # `wait` would wait for its output, too
            await asyncio.sleep(0.02)
        code = shell.returncode
        with contextlib.suppress(OSError):
            if code < 0:
                process.exit_with_signal(signal.Signals(-code).name.removeprefix("SIG"))
                return
            # As sshd does: the exit code at once, the end only when nobody holds the output open any more.
            process.channel._send_request(b"exit-status", UInt32(code))
            await copies
            process.channel.close()
    finally:
        listener.cancel()
        copies.cancel()
        _kill(shell.pid, signal.SIGKILL)


def _kill(group: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, number)

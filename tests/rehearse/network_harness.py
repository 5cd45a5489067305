"""Runs what a job family prepared as its supervisor does: real processes, output to a log, reports through a pipe."""

from __future__ import annotations

import importlib
import json
import os
import signal
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from multiprocessing.reduction import DupFd
from pathlib import Path
from typing import Any

from rehearse.bindings.config import Connection, load_bindings
from rehearse.bindings.connections import SECRET
from rehearse.jobs.base import Attempt, Launch
from rehearse.jobs.registry import find_job
from rehearse.jobs.report import VARIABLE

TASK_RUN = "8d0f4a0e-7a1c-4e6f-9f39-7a7b4f0b9d11"
WEBHOOK = "http://127.0.0.1:9/"


@dataclass
class Ended:
    code: int
    log: str
    status: str | None = None
    message: str | None = None
    outputs: dict[str, Any] = field(default_factory=dict)
    operations: list[dict[str, Any]] = field(default_factory=list)


class Site:
    """A repository with one connection, and the attempts of a task of it."""

    def __init__(self, root: Path, integration: str, **fields: Any):
        self.root = root
        values = {"integration": integration, "default": True} | fields
        for name in SECRET:  # secrets never stand in the file
            if "${" not in str(values.get(name, "${")) and (name != "private_key" or "-----BEGIN" in values[name]):
                os.environ[f"REHEARSE_TEST_{name.upper()}"] = values[name]
                values[name] = f"${{REHEARSE_TEST_{name.upper()}}}"
        lines = [f"{name} = {json.dumps(value)}" for name, value in values.items() if value is not None]
        (root / "rehearse.toml").write_text("\n".join(["[connections.there]", *lines, ""]))
        self.connection: Connection = load_bindings(root).connections["there"]
        self.folder = root / "attempt"
        self.folder.mkdir(exist_ok=True)

    def prepare(self, job: str, parameters: Mapping[str, Any], connection: Connection | None = None) -> Launch:
        attempt = Attempt(self.root, self.folder, "run", TASK_RUN, 1, "webhook-token-1")
        used = connection or self.connection
        launch = find_job(job, used)(job, parameters, used, attempt)
        assert isinstance(launch, Launch)
        return launch

    def start(self, job: str, parameters: Mapping[str, Any]) -> Running:
        return Running(self.prepare(job, parameters), self.folder)

    def run(self, job: str, parameters: Mapping[str, Any], *, cold: bool = False) -> Ended:
        return Running(self.prepare(job, parameters), self.folder, cold=cold).end()


class Running:
    """A step, started as a program (`cold`) or as a fork of a process that has imported what it needs."""

    def __init__(self, launch: Launch, folder: Path, *, cold: bool = False):
        (step,) = launch.steps
        self.log = folder / "log"
        self._reports, end = os.pipe()
        env = step.env | {"ORCHESTRA_WEBHOOK_URL": WEBHOOK}
        self._process: subprocess.Popen[bytes] | BaseProcess
        if cold:
            argv = [sys.executable, *step.argv[1:]]
            with self.log.open("wb") as log:
                self._process = subprocess.Popen(
                    argv, env=env | {VARIABLE: str(end)}, cwd=step.cwd, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                    start_new_session=True, pass_fds=(end,),
                )  # fmt: skip
        else:
            assert step.call is not None
            self.log.touch()
            self._process = _FORKS.Process(
                target=_forked, args=(step.call, env, str(step.cwd), str(self.log), DupFd(end)), daemon=True
            )
            self._process.start()
        os.close(end)

    def is_running(self) -> bool:
        return (
            (self._process.poll() is None) if isinstance(self._process, subprocess.Popen) else self._process.is_alive()
        )

    def wait_for(self, text: str) -> None:
        """Until this stands in the log; fails when the process ends without it."""
        wait_until(lambda: text in self.log.read_text(errors="replace") or not self.is_running())
        assert text in self.log.read_text(errors="replace")

    def interrupt(self, number: int = signal.SIGINT) -> None:
        assert self._process.pid is not None
        os.killpg(self._process.pid, number)

    def end(self) -> Ended:
        with open(self._reports, "rb") as pipe:
            lines = pipe.read().splitlines()
        if isinstance(self._process, subprocess.Popen):
            code: int | None = self._process.wait(60)
        else:
            self._process.join(60)
            code = self._process.exitcode
        assert code is not None
        ended = Ended(code, self.log.read_text(errors="replace"))
        for said in map(json.loads, lines):
            ended.status = said["status"] or ended.status
            ended.message = said["message"] or ended.message
            ended.outputs |= said["outputs"]
            ended.operations += said["operations"]
        return ended


_FORKS = get_context("forkserver")
_FORKS.set_forkserver_preload(["pytest", "http.server", "rehearse.jobs.call_host", "httpx", "boto3", "paramiko"])


def _forked(call: str, env: dict[str, str], cwd: str, log: str, report: Any) -> None:
    os.setsid()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(env | {VARIABLE: str(report.detach())})
    output = os.open(log, os.O_WRONLY | os.O_APPEND)
    for number in (1, 2):
        os.dup2(output, number)
    sys.stdout = os.fdopen(1, "w", buffering=1, encoding="utf-8", errors="replace", closefd=False)
    sys.stderr = os.fdopen(2, "w", buffering=1, encoding="utf-8", errors="backslashreplace", closefd=False)
    module, function = call.split(":")
    code = getattr(importlib.import_module(module), function)()
    sys.stdout.flush()
    os._exit(code)


def wait_until(holds: Callable[[], Any], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.02)


@dataclass
class Request:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes


Respond = Callable[[BaseHTTPRequestHandler, Request], None]


@dataclass
class WebServer:
    port: int
    requests: list[Request]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextmanager
def web_server(respond: Respond, encrypted: ssl.SSLContext | None = None) -> Iterator[WebServer]:
    """A server on loopback that notes what it gets and answers as `respond` does."""
    requests: list[Request] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            requests.append(Request(self.command, self.path, {k.lower(): v for k, v in self.headers.items()}, body))
            try:
                respond(self, requests[-1])
            except OSError:
                pass  # the client had enough

        do_POST = do_PUT = do_GET

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    if encrypted:
        server.socket = encrypted.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    try:
        yield WebServer(server.server_address[1], requests)
    finally:
        server.shutdown()
        server.server_close()


def answer(handler: BaseHTTPRequestHandler, status: int, body: bytes | str = b"", **headers: str) -> None:
    data = body.encode() if isinstance(body, str) else body
    handler.send_response(status)
    for name, value in ({"Content_Length": str(len(data))} | headers).items():
        handler.send_header(name.replace("_", "-"), value)
    handler.end_headers()
    handler.wfile.write(data)

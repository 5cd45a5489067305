"""Run a SQL job as the supervisor does: its steps, each with a pipe for what it reports."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rehearse.bindings.config import Connection
from rehearse.jobs.base import Attempt, Launch
from rehearse.jobs.registry import module_of
from rehearse.jobs.report import VARIABLE


@dataclass
class Ended:
    """How a job ended. `message` is the last one that it reported; `log` is all that it printed."""

    code: int
    log: str
    status: str | None = None
    message: str | None = None
    outputs: dict[str, Any] = field(default_factory=dict)
    operations: list[dict[str, Any]] = field(default_factory=list)


class Running:
    """A job under way; `log` grows."""

    def __init__(self, launch: Launch):
        (step,) = launch.steps
        read, write = os.pipe()
        self.process = subprocess.Popen(
            step.argv, env=step.env | {VARIABLE: str(write)}, cwd=step.cwd, pass_fds=[write],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
        )  # fmt: skip
        os.close(write)
        self.log = ""
        self._said: list[dict[str, Any]] = []
        self._threads = [
            threading.Thread(target=self._read_log, daemon=True),
            threading.Thread(target=self._read_reports, args=(read,), daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def _read_log(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.log += line

    def _read_reports(self, fd: int) -> None:
        with os.fdopen(fd) as file:
            self._said += [json.loads(line) for line in file]

    def wait_for(self, holds: Callable[[], bool], seconds: float = 20) -> None:
        deadline = time.monotonic() + seconds
        while not holds():
            assert time.monotonic() < deadline and self.process.poll() is None, self.log
            time.sleep(0.02)

    def end(self, seconds: float = 60) -> Ended:
        """Raises subprocess.TimeoutExpired when it does not end by itself."""
        try:
            code = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            raise
        for thread in self._threads:
            thread.join(5)
        ended = Ended(code, self.log)
        for said in self._said:
            ended.status = said["status"] or ended.status
            ended.message = said["message"] or ended.message
            ended.outputs |= said["outputs"]
            ended.operations += said["operations"]
        return ended


def connection(integration: str, folder: Path, mode: str = "local", name: str = "c", **entries: Any) -> Connection:
    return Connection(name, integration, mode, root=folder, fields=entries)


def attempt(folder: Path, connections: Mapping[tuple[str, str | None], Connection] = {}) -> Attempt:
    return Attempt(
        folder, folder, "run", "task", 1, webhook_token="t",
        connections=lambda integration, name: connections.get((integration, name)),
    )  # fmt: skip


def prepare(job: str, parameters: Mapping[str, Any], bound: Connection | None, given: Attempt) -> Launch:
    from importlib import import_module

    launch = import_module(f"rehearse.jobs.{module_of(job)}").prepare(job, parameters, bound, given)
    assert isinstance(launch, Launch)
    return launch


def run(job: str, bound: Connection | None, given: Attempt, **parameters: Any) -> Ended:
    return Running(prepare(job, parameters, bound, given)).end()

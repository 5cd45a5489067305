"""Runs what a job family prepared the way a supervisor does: its output into one text, its reports through a pipe."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

from rehearse.bindings.config import Connection
from rehearse.jobs.base import Attempt, Launch, Step


@dataclass
class Done:
    """`code` of the last step; what its programs reported, merged as `jobs.report` documents."""

    code: int
    log: str
    status: str | None = None
    message: str | None = None
    operations: list[dict[str, Any]] = field(default_factory=list)


def attempt_in(root: Path, folder: str = "attempt", **more: Any) -> Attempt:
    path = root / ".rehearse" / "runs" / "r" / folder / "1"
    path.mkdir(parents=True, exist_ok=True)
    return Attempt(
        root=root,
        folder=path,
        run_id=str(uuid4()),
        task_run_id=str(uuid4()),
        number=1,
        webhook_token="t0ken-t0ken",
        **more,
    )


def connection(integration: str, root: Path, **fields: Any) -> Connection:
    return Connection("c", integration, env=("DUCKDB_PATH",), root=root, fields=fields)


def run_steps(launch: Launch, interrupt_at: str | None = None) -> Done:
    """All steps, to the first that fails. `interrupt_at`: send SIGINT once, when this text stands in the log."""
    done = Done(0, "")
    for step in launch.steps:
        _run(step, done, interrupt_at)
        if done.code:
            break
    return done


def _run(step: Step, done: Done, interrupt_at: str | None) -> None:
    reports, report_end = os.pipe()
    argv = [sys.executable, *step.argv[1:]] if step.argv[0] == "python" else step.argv
    said: list[bytes] = []
    with subprocess.Popen(
        argv, env=step.env | {"REHEARSE_REPORT_FD": str(report_end)}, cwd=step.cwd, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True, pass_fds=(report_end,),
    ) as process:  # fmt: skip
        os.close(report_end)
        reader = threading.Thread(target=lambda: said.extend(iter(lambda: os.read(reports, 65536), b"")))
        reader.start()
        assert process.stdout is not None
        for line in process.stdout:
            done.log += line.decode(errors="replace")
            if interrupt_at and interrupt_at in done.log:
                interrupt_at = None
                os.killpg(process.pid, signal.SIGINT)
        done.code = process.wait()
        reader.join()
        os.close(reports)
    _hear(b"".join(said), done)


def _hear(said: bytes, done: Done) -> None:
    for text in said.splitlines():
        report = json.loads(text)
        done.status = report["status"] or done.status
        done.message = report["message"] or done.message
        done.operations += report["operations"]


class WarmProcess:
    """Forks steps from one process that has imported `modules`; see `fork_harness`."""

    def __init__(self, modules: tuple[str, ...]):
        program = Path(__file__).with_name("fork_harness.py")
        self._process = subprocess.Popen(
            [sys.executable, str(program), *modules],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )
        self._count = 0

    def wait_until_ready(self) -> None:
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "ready\n"

    def run(self, *steps: Step) -> list[Done]:
        """All at once; each writes its log beside its attempt's folder."""
        assert self._process.stdin is not None and self._process.stdout is not None
        first = self._count
        files = []
        for step in steps:
            assert step.call is not None
            name = f"{tempfile.mkdtemp()}/"
            files.append((name + "log", name + "reports"))
            request = {
                "call": step.call,
                "env": step.env,
                "cwd": str(step.cwd),
                "log": name + "log",
                "reports": name + "reports",
            }
            self._process.stdin.write(json.dumps(request) + "\n")
            self._count += 1
        codes = dict(map(int, self._process.stdout.readline().split()) for _ in steps)
        results = []
        for number, (log, reports) in enumerate(files, first):
            done = Done(codes[number], Path(log).read_text(encoding="utf-8"))
            _hear(Path(reports).read_bytes(), done)
            shutil.rmtree(Path(log).parent)
            results.append(done)
        return results

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()

"""The parent of a task's processes: a small program that outlives the engine.

It runs the steps of an attempt one after another, each in a session of its own; writes their output, masked, to the log;
receives what they post to the webhook and report; and records the end in `exit.json` by rename. It is forked from
`forge_server`, which has imported this module: a task costs a fork, not the start of an interpreter. Only the standard
library, therefore.

Specification: {"folder": str, "steps": [{"argv": [str], "env": {str: str}, "cwd": str, "call": "module:function" or null}],
"secrets": [str], "timeout": seconds or null, "grace": seconds, "task_run_id": str, "token": str, "outputs_limit": bytes,
"log_limit": bytes, "crash_at": name or null}. Signals: SIGINT or SIGTERM asks the task to stop and kills it after the grace
period, a second one kills at once.

exit.json: {"code": int or null, "signal": int or null, "reason": "exited" | "timeout" | "cancelled" | "not_started", "message":
str or null, "status": what the task said of itself or null, "outputs": {name: value}, "operations": [...], "rejected": str or
null, "started_at": UTC text, "ended_at": UTC text}.
"""

from __future__ import annotations

import importlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Protocol

from rehearse.engine import receiver
from rehearse.engine.attempt_folder import CLAIM, EXIT, LOG, STOP, TASK, replace, sync, write_once
from rehearse.engine.masking import Masker
from rehearse.engine.processes import Lifeline, adopt_orphans, kill_children, kill_group, start_time

REPORT_VARIABLE = "REHEARSE_REPORT_FD"  # of jobs.report
_REPORT_LIMIT = 50_000_000
_TAIL = 1_000_000
_CHUNK = 65536

_stop_requests = 0


def _on_signal(number: int, frame: object) -> None:
    global _stop_requests
    if number != signal.SIGCHLD:
        _stop_requests += 1


class Child(Protocol):
    pid: int
    returncode: int | None

    def poll(self) -> int | None: ...


class Log:
    """The log of an attempt: everything up to `limit` bytes, then only the last megabyte."""

    def __init__(self, path: str, limit: int):
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._left = limit
        self._tail: deque[bytes] = deque()
        self._tail_size = self._dropped = 0

    def write(self, data: bytes) -> None:
        now, later = data[: self._left], data[self._left :]
        self._left -= len(now)
        self._write(now)
        if later:
            self._tail.append(later)
            self._tail_size += len(later)
            while self._tail_size - len(self._tail[0]) >= _TAIL:
                self._dropped += len(self._tail[0])
                self._tail_size -= len(self._tail.popleft())

    def close(self) -> None:
        if self._dropped:
            self._write(f"\n... {self._dropped:,} bytes are left out here ...\n".encode())
        for chunk in self._tail:
            self._write(chunk)
        os.close(self._file)

    def _write(self, data: bytes) -> None:
        view = memoryview(data)
        try:
            while view:
                view = view[os.write(self._file, view) :]
        except OSError:
            pass  # a full disk costs lines of the log, not the task


class _Clock:
    """Decides which signal is due: none, a polite one, or SIGKILL."""

    def __init__(self, timeout: float | None, grace: float, stop_file: str):
        self.deadline = None if timeout is None else time.monotonic() + timeout
        self.grace = grace
        self.reason = "exited"
        self._kill_at: float | None = None
        self._stop_file = stop_file

    @property
    def is_stopped(self) -> bool:
        return bool(_stop_requests) or os.path.exists(self._stop_file)

    def due(self) -> int | None:
        now = time.monotonic()
        if self._kill_at is None:
            if _stop_requests:
                self.reason = "cancelled"
            elif self.deadline is not None and now >= self.deadline:
                self.reason = "timeout"
            else:
                return None
            self._kill_at = now + self.grace
            if _stop_requests < 2:
                return signal.SIGINT
        if now >= self._kill_at or _stop_requests > 1:
            return signal.SIGKILL
        return None

    def patience(self) -> float:
        """Seconds until something may be due. Signals and the end of a child wake us anyhow."""
        moments = [moment for moment in (self.deadline, self._kill_at) if moment is not None]
        return max(0.0, min([30.0, *(moment - time.monotonic() for moment in moments)]))


class Supervisor:
    def __init__(self, spec: dict[str, Any], ready: Ready):
        self.spec = spec
        self.folder: str = spec["folder"]
        self.masker = Masker(spec["secrets"])
        self.log = Log(os.path.join(self.folder, LOG), spec["log_limit"])
        self.mailbox = receiver.Mailbox(
            self.folder, spec["task_run_id"], spec["token"], self.masker, spec["outputs_limit"]
        )
        self.clock = _Clock(spec["timeout"], spec["grace"], os.path.join(self.folder, STOP))
        self.server, self.wakeup = ready.server, ready.wakeup

    def run(self, done: Callable[[], bool]) -> None:
        """All steps, and the record of how they ended. `done` tells the engine, and whether there is one: it writes the end
        into its store at once, and forces that to the disk. Without one `exit.json` has to last."""
        started_at = _now()
        result: dict[str, Any] = {"code": None, "signal": None, "reason": "not_started", "message": None}
        for step in self.spec["steps"]:
            if self.clock.is_stopped:
                result.update(reason="cancelled")
                break
            try:
                code = self._step(step)
            except (OSError, ValueError) as e:  # no such program; a NUL in an argument, a '=' in the name of a variable
                result.update(reason="not_started", message=f"{step['argv'][0]}: {e}")
                break
            kill_children()
            result.update(
                code=code if code >= 0 else None, signal=-code if code < 0 else None, reason=self.clock.reason
            )
            if code != 0 or self.clock.reason != "exited":
                break
        self.crash("exited")
        self.mailbox.close()
        self.log.close()
        box = self.mailbox
        result["message"] = result["message"] or box.message
        result.update(status=box.status, outputs=box.outputs, operations=box.operations, rejected=box.rejected)
        replace(self.folder, EXIT, result | {"started_at": started_at, "ended_at": _now()})
        self.crash("recorded")
        if not done():
            sync(self.folder, EXIT)

    def crash(self, point: str) -> None:
        """A named crash point: for tests, the supervisor dies here as by `kill -9`."""
        if self.spec.get("crash_at") == f"supervisor.{point}":
            os.kill(os.getpid(), signal.SIGKILL)

    def _step(self, step: dict[str, Any]) -> int:
        """Run one command to its end; returns the code as `Popen` does, negative for a signal."""
        output, output_end = os.pipe()
        reports, report_end = os.pipe()
        lifeline = Lifeline()
        env = step["env"] | {
            "ORCHESTRA_WEBHOOK_URL": f"http://127.0.0.1:{self.server.getsockname()[1]}",
            REPORT_VARIABLE: str(report_end),
        }
        try:
            start = _fork if step.get("call") and self.spec.get("warm") else _spawn
            child = start(step, env, (output, reports, output_end, report_end), lifeline)
        except BaseException:
            for end in (output, reports, lifeline.end):
                os.close(end)
            lifeline.let_go()
            raise
        finally:
            os.close(output_end)
            os.close(report_end)
        lifeline.tie(child.pid)
        try:
            webhook = {"port": self.server.getsockname()[1], "token": self.spec["token"]}
            replace(self.folder, TASK, {"pid": child.pid, "started": start_time(child.pid), "webhook": webhook})
        except OSError:
            pass  # a full disk: the task runs on, it only cannot be found again should we be killed
        self.crash("started")
        if self.spec.get("crash_at") == "task.killed":
            kill_group(child.pid, signal.SIGKILL)
        try:
            return self._attend(child, output, reports)
        finally:
            os.close(output)
            os.close(reports)
            lifeline.let_go()

    def _attend(self, child: Child, output: int, reports: int) -> int:
        report = _Lines(self.mailbox.say)
        feeds: dict[int, Callable[[bytes], None]] = {
            output: lambda data: self.log.write(self.masker.feed(data)),
            reports: report.feed,
        }
        open_ends = set(feeds)
        drain_until: float | None = None
        while True:
            patience = 0.05 if drain_until else self.clock.patience()
            ready, _, _ = select.select([*open_ends, self.wakeup, self.server], [], [], patience)
            if self.wakeup in ready:
                os.read(self.wakeup, 4096)
            if self.server in ready:
                receiver.serve(self.server.accept()[0], self.mailbox)
            for end in open_ends & set(ready):
                chunk = os.read(end, _CHUNK)
                if chunk:
                    feeds[end](chunk)
                else:
                    open_ends.discard(end)
            number = self.clock.due()
            if number is not None:
                kill_group(child.pid, number)
            code = child.poll()
            if code is None:
                continue
            if drain_until is None:
                kill_group(child.pid, signal.SIGKILL)  # what the task left behind in its session ends with it
                drain_until = time.monotonic() + 1
            if not open_ends or time.monotonic() > drain_until:
                self.log.write(self.masker.flush())
                return code


class _Lines:
    """JSON objects, one per line, out of chunks."""

    def __init__(self, handle: Callable[[dict[str, Any]], None]):
        self._handle = handle
        self._held = b""

    def feed(self, data: bytes) -> None:
        self._held = (self._held + data)[-_REPORT_LIMIT:]
        *lines, self._held = self._held.split(b"\n")
        for line in lines:
            try:
                said = json.loads(line)
            except ValueError:
                continue
            if isinstance(said, dict):
                self._handle(said)


def _spawn(step: dict[str, Any], env: dict[str, str], pipes: tuple[int, int, int, int], lifeline: Lifeline) -> Child:
    output, report = pipes[2:]
    return subprocess.Popen(
        step["argv"], env=env, cwd=step["cwd"], stdin=subprocess.DEVNULL, stdout=output, stderr=output,
        start_new_session=True, pass_fds=(report, lifeline.end),
    )  # fmt: skip


class _Forked:
    def __init__(self, pid: int):
        self.pid = pid
        self.returncode: int | None = None

    def poll(self) -> int | None:
        if self.returncode is None:
            try:
                pid, status = os.waitpid(self.pid, os.WNOHANG)
            except ChildProcessError:
                pid, status = self.pid, 0
            if pid:
                self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode


def _fork(step: dict[str, Any], env: dict[str, str], pipes: tuple[int, int, int, int], lifeline: Lifeline) -> Child:
    """The step as a function in a child of ours: what we have imported it need not import again.

    The child leaves by SystemExit through all our callers, so that what it has registered for its exit is done.
    """
    if not os.path.isdir(step["cwd"]):
        raise FileNotFoundError(f"no folder {step['cwd']}")
    pid = os.fork()
    if pid:
        return _Forked(pid)
    os.setsid()
    lifeline.let_go()
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGTERM, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(pipes[2], 1)
    os.dup2(pipes[2], 2)
    kept = sorted((*pipes, lifeline.end))  # our callers close them on the way out
    for low, high in zip([2, *kept], [*kept, 4096], strict=True):
        os.closerange(low + 1, high)
    os.chdir(step["cwd"])
    os.environ.clear()
    os.environ.update(env)
    sys.stdout = os.fdopen(1, "w", buffering=1, encoding="utf-8", errors="replace", closefd=False)
    sys.stderr = os.fdopen(2, "w", buffering=1, encoding="utf-8", errors="backslashreplace", closefd=False)
    module, function = step["call"].split(":")
    sys.argv = [module, *step["argv"][4:]]  # python -P -m module ...
    raise SystemExit(getattr(importlib.import_module(module), function)())


class Ready:
    """What a supervisor can do before it knows its task, in its own process. Signals stay blocked until `supervise`."""

    def __init__(self) -> None:
        adopt_orphans()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD):
            signal.signal(number, _on_signal)
        self.identity = {"pid": os.getpid(), "started": start_time(os.getpid())}
        self.server = receiver.listen()
        self.wakeup, write_end = os.pipe()
        os.set_blocking(write_end, False)
        os.set_blocking(self.wakeup, False)
        signal.set_wakeup_fd(write_end, warn_on_full_buffer=False)


def supervise(spec: dict[str, Any], done: Callable[[], bool], ready: Ready) -> None:
    """Run an attempt, unless somebody has already: the claim is made once. Called in a process of its own."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT, signal.SIGTERM])  # blocked by the forge for our start
    if spec.get("crash_at") == "supervisor.received":
        os.kill(os.getpid(), signal.SIGKILL)
    if not write_once(spec["folder"], CLAIM, ready.identity):
        return
    supervisor = Supervisor(spec, ready)
    supervisor.crash("claimed")
    supervisor.run(done)


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")

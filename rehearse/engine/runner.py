"""Does what `decisions` decides: starts supervisors, waits for them, records what happened.

One loop in the calling thread owns the state machine and the store; threads only wait for processes. Everything that
happens reaches the loop as an event on one queue.
"""

from __future__ import annotations

import hashlib
import json
import os
import queue
import re
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol
from uuid import uuid4

from rehearse.bindings.config import Bindings
from rehearse.engine import decisions as d
from rehearse.engine.masking import Masker, secret_values
from rehearse.engine.supervisor import start_time
from rehearse.engine.webhook import Event, Webhook
from rehearse.errors import RehearseError
from rehearse.jobs.base import Attempt, Launch, Simulated, Step
from rehearse.jobs.registry import find_job, how
from rehearse.planning.plan import Plan
from rehearse.store.records import Store, timestamp

GRACE_SECONDS = 10.0
LOOK_UP_SECONDS = 0.1
"""How long a signal may go unnoticed: one that arrives just before the loop waits, or in another thread, does not wake it."""
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_SUPERVISOR = Path(__file__).with_name("supervisor.py")
_UNSAFE = re.compile(r"[^\w.=@-]+|^\.+")
_REPORTABLE = ("SUCCEEDED", "WARNING", "FAILED", "CANCELLED")


class Progress(Protocol):
    """Shows a run while it happens. Called from the engine's loop only."""

    def started(self, run_id: str, folder: Path, plan: Plan) -> None: ...
    def changed(self, run: d.TaskRun, log: Path | None) -> None: ...
    def cancelling(self, running: int) -> None: ...


@dataclass(frozen=True)
class Outcome:
    """How a run ended. `simulated` holds the labels of tasks that only a stub played."""

    run_id: str
    status: str
    seconds: float
    folder: Path
    tasks: list[d.TaskRun]
    simulated: frozenset[str]


@dataclass(frozen=True)
class _Ended:
    run: d.TaskRun
    attempt: int
    status: str
    message: str | None
    outputs: dict[str, Any]


@dataclass(frozen=True)
class _Begun:
    run: d.TaskRun


_Cancel = object()


class Runner:
    """Runs one plan in the foreground. `workers` bounds the attempts that run at the same time."""

    def __init__(self, plan: Plan, bindings: Bindings, progress: Progress, workers: int):
        self.plan = plan
        self.bindings = bindings
        self.progress = progress
        self.run_id = str(uuid4())
        self.machine = d.Machine(plan, self.run_id, _now, lambda: str(uuid4()))
        state = bindings.root / ".rehearse"
        state.mkdir(mode=0o700, exist_ok=True)  # logs are for the owner's eyes
        self.folder = state / "runs" / f"{_now():%Y%m%dT%H%M%S}-{self.run_id[:8]}"
        self.store = Store(state / "rehearse.db")
        self._events: queue.SimpleQueue[object] = queue.SimpleQueue()
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="task")
        self._supervisors: dict[str, subprocess.Popen[bytes]] = {}
        self._lock = threading.Lock()  # guards the dictionaries below against the waiting threads
        self._running: dict[str, d.TaskRun] = {}
        self._reported: dict[str, tuple[str, str | None]] = {}
        self._maskers: dict[str, Masker] = {}
        self._interrupted: set[str] = set()
        self._simulated: set[str] = set()
        self._webhook: Webhook | None = None
        self._wake = threading.Event()  # set when the run is cancelled: a stub that waits ends at once
        self._finished: str | None = None

    def run(self) -> Outcome:
        """Run to the end. Ctrl-C cancels, a second one kills; the caller sees CANCELLED as the status."""
        self.folder.mkdir(parents=True)
        (self.folder / "pipeline.yml").write_text(self.plan.text, encoding="utf-8")
        _point_latest(self.folder)
        started = time.monotonic()
        self._create_record()
        self._webhook = Webhook(self._on_event)
        previous = {number: signal.signal(number, self._on_signal) for number in _SIGNALS}
        try:
            self.progress.started(self.run_id, self.folder, self.plan)
            self._do(self.machine.start())
            while self._finished is None:
                try:
                    self._step(self._events.get(timeout=LOOK_UP_SECONDS))
                except queue.Empty:
                    pass
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)
            self._close()
        seconds = time.monotonic() - started
        return Outcome(self.run_id, self._finished, seconds, self.folder, self.machine.runs, frozenset(self._simulated))

    # The loop

    def _step(self, event: Any) -> None:
        if event is _Cancel:
            if self.machine.cancelled:
                self._kill_all()
            else:
                self._wake.set()
                self.progress.cancelling(len(self._running))
                self._do(self.machine.cancel())
        elif isinstance(event, _Begun):
            self._do(self.machine.running(event.run))
        elif isinstance(event, _Ended):
            with self._lock:
                self._running.pop(event.run.id, None)
            self._do(self.machine.ended(event.run, event.status, event.message, event.outputs))
        else:
            self._do(self.machine.retry_due(event))

    def _do(self, actions: list[d.Action]) -> None:
        rows = []
        for action in actions:
            if isinstance(action, d.Changed):
                rows.append(self._row(action.run))
                self.progress.changed(action.run, self._log(action.run))
        self.store.put_tasks(rows)  # recorded before anything is started
        for action in actions:
            if isinstance(action, d.Start):
                self._pool.submit(self._attempt, action)
            elif isinstance(action, d.Stop):
                self._interrupt(action.run.id)
            elif isinstance(action, d.Retry):
                timer = threading.Timer(action.after_seconds, self._events.put, [action.run])
                timer.daemon = True
                timer.start()
            elif isinstance(action, d.Finish):
                self._finished = action.status

    def _close(self) -> None:
        """End what is still there. That is nothing, unless the loop failed: then its tasks end with it, unseen."""
        unfinished = self._finished is None
        if unfinished:
            self._record(self.machine.cancel())
        self._wake.set()
        self._kill_all()
        self._pool.shutdown(wait=True, cancel_futures=True)
        while unfinished and not self._events.empty():
            event = self._events.get()
            if isinstance(event, _Ended):
                self._record(self.machine.ended(event.run, event.status, event.message, event.outputs))
        if self._webhook is not None:
            self._webhook.close()
        self.store.end_run(self.run_id, self._finished or "FAILED", _now())
        self.store.close()

    def _record(self, actions: list[d.Action]) -> None:
        self.store.put_tasks([self._row(action.run) for action in actions if isinstance(action, d.Changed)])

    def _on_signal(self, number: int, frame: object) -> None:
        self._events.put(_Cancel)

    # Attempts, in the pool's threads

    def _attempt(self, start: d.Start) -> None:
        run = start.run
        with self._lock:
            self._running[run.id] = run
        self._events.put(_Begun(run))
        try:
            ended = self._execute(start)
        except RehearseError as e:
            message = f"{e} ({e.hint})" if e.hint else str(e)
            ended = _Ended(run, start.attempt, "FAILED", message, {})
        except Exception as e:  # a defect of a job must not leave the run waiting for ever
            ended = _Ended(run, start.attempt, "FAILED", f"internal error: {type(e).__name__}: {e}", {})
        self._events.put(ended)

    def _execute(self, start: d.Start) -> _Ended:
        run, task = start.run, start.run.task
        if run.terminal or self.machine.cancelled:
            return _Ended(run, start.attempt, "CANCELLED", "cancelled before it started", {})
        assert self._webhook is not None
        connection = self.bindings.connection(task.integration, start.connection)
        if how(task.job, connection) == "stub":
            self._simulated.add(run.label)
        folder = self._attempt_folder(run)
        folder.mkdir(parents=True, exist_ok=True)
        attempt = Attempt(
            self.bindings.root, folder, self.run_id, run.id, start.attempt, self._webhook.url, self._webhook.token
        )
        prepared = find_job(task.job, connection)(task.job, start.parameters, connection, attempt)
        if isinstance(prepared, Simulated):
            if self._wake.wait(prepared.seconds):
                return _Ended(run, start.attempt, "CANCELLED", "stopped", {})
            return _Ended(run, start.attempt, prepared.status, prepared.message, self._kept(run, prepared.outputs))
        secrets = [self._webhook.token, *(secret_values(connection.known_values()) if connection else ())]
        masker = Masker(secrets)
        with self._lock:
            self._maskers[run.id] = masker
        self._supervise(run, prepared, folder, secrets)
        return self._judge(run, start.attempt, folder, masker)

    def _supervise(self, run: d.TaskRun, launch: Launch, folder: Path, secrets: list[str]) -> None:
        specification = {
            "steps": [{"argv": _resolved(step), "env": step.env, "cwd": str(step.cwd)} for step in launch.steps],
            "folder": str(folder), "secrets": secrets, "timeout": run.task.timeout_seconds, "grace": GRACE_SECONDS,
        }  # fmt: skip
        supervisor = _start_supervisor()
        with self._lock:
            self._supervisors[run.id] = supervisor
        if self.machine.cancelled:  # the Stop may have come before there was anything to signal
            self._interrupt(run.id)
        try:
            supervisor.communicate(json.dumps(specification).encode())
        finally:
            with self._lock:
                self._supervisors.pop(run.id, None)

    def _judge(self, run: d.TaskRun, attempt: int, folder: Path, masker: Masker) -> _Ended:
        """Status of the attempt: how the process ended, then what it said of itself (section 9.4)."""
        exit_file, result_file = folder / "exit.json", folder / "result.json"
        with self._lock:
            reported, reported_message = self._reported.pop(run.id, (None, None))
        if not exit_file.exists():
            _kill_recorded(folder / "pid")
            return _Ended(run, attempt, "FAILED", "its supervisor was killed", {})
        ended = json.loads(exit_file.read_text())
        result = json.loads(result_file.read_text()) if result_file.exists() else {}
        message = result.get("message") or reported_message
        if ended["reason"] == "cancelled":
            status, message = "CANCELLED", "stopped"
        elif ended["reason"] == "timeout":
            killed = ", then killed" if ended["signal"] == signal.SIGKILL else ""
            status, message = "FAILED", f"timed out after {run.task.timeout_seconds} s{killed}"
        elif ended["reason"] == "not_started":
            status, message = "FAILED", f"could not be started: {ended['message']}"
        elif ended["signal"]:
            hint = " (possibly out of memory)" if ended["signal"] == signal.SIGKILL else ""
            status, message = "FAILED", f"killed by signal {ended['signal']}{hint}"
        elif ended["code"]:
            status, message = "FAILED", message or f"exit code {ended['code']}"
        else:
            status = result.get("status") or reported or "SUCCEEDED"
        outputs = self._kept(run, masker.value(result.get("outputs", {})))
        return _Ended(run, attempt, status, masker.text(message) if message else None, outputs)

    def _on_event(self, event: Event) -> str | None:
        """An event of the webhook, in one of its threads. Returns an error text when no running task sent it."""
        with self._lock:
            run = self._running.get(str(event.get("task_run_id")))
            if run is None:
                return f"no task is running with the id {event.get('task_run_id')}"
            masker = self._maskers.get(run.id, Masker(()))
            if event.get("event_type") == "SET_OUTPUT":
                output = {str(event["output_name"]): masker.value(event.get("output_value"))}
                run.outputs.update(self._kept(run, output))
            elif event.get("event_type") == "UPDATE_STATUS" and event.get("status") in _REPORTABLE:
                self._reported[run.id] = (str(event["status"]), masker.text(str(event.get("message") or "")))
        return None

    def _kept(self, run: d.TaskRun, outputs: dict[str, Any]) -> dict[str, Any]:
        return outputs if run.task.keeps_outputs else {}

    # Processes, files, records

    def _interrupt(self, run_id: str) -> None:
        """Ask a task to stop, once: a second request means that it is to be killed."""
        with self._lock:
            supervisor = self._supervisors.get(run_id)
            if supervisor is not None and run_id not in self._interrupted:
                self._interrupted.add(run_id)
                supervisor.send_signal(signal.SIGINT)

    def _kill_all(self) -> None:
        with self._lock:
            for supervisor in self._supervisors.values():
                # Two requests, because the first one only asks. Popen knows when the process is gone.
                supervisor.send_signal(signal.SIGINT)
                supervisor.send_signal(signal.SIGTERM)

    def _attempt_folder(self, run: d.TaskRun) -> Path:
        key = run.iteration.key
        return self.folder / _file_name(run.task.id if key is None else f"{run.task.id}@{key}") / str(run.attempt)

    def _log(self, run: d.TaskRun) -> Path | None:
        path = self._attempt_folder(run) / "log"
        return path if run.attempt and path.exists() else None

    def _create_record(self) -> None:
        plan = self.plan
        self.store.create_run(
            id=self.run_id, pipeline=plan.alias, name=plan.name, file=plan.file, status="RUNNING",
            environment=plan.environment, inputs=plan.inputs, definition=plan.text, folder=str(self.folder),
            created_at=timestamp(plan.created_at),
        )  # fmt: skip
        # The runs of a matrix are known, and recorded, once its list is.
        self.store.put_tasks([self._row(run) for run in self.machine.runs if run.iteration.group.plan.matrix is None])

    def _row(self, run: d.TaskRun) -> dict[str, Any]:
        task = run.task
        return {
            "id": run.id, "run_id": self.run_id, "group_id": task.group_id, "task_id": task.id, "item": run.iteration.key,
            "name": run.name, "integration": task.integration, "job": task.job, "status": run.status,
            "attempt": run.attempt, "simulated": run.label in self._simulated, "message": run.message,
            "outputs": run.outputs, "started_at": timestamp(run.started_at), "ended_at": timestamp(run.ended_at),
        }  # fmt: skip


def _now() -> datetime:
    return datetime.now(UTC)


def _resolved(step: Step) -> list[str]:
    """`python` is the interpreter of this environment; other programs are found on the step's PATH."""
    return [sys.executable, *step.argv[1:]] if step.argv[0] == "python" else step.argv


def _start_supervisor() -> subprocess.Popen[bytes]:
    """The signals are blocked until the supervisor can handle them, so that none can kill it at its start."""
    previous = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT, signal.SIGTERM])
    try:
        return subprocess.Popen(
            [sys.executable, "-I", "-S", str(_SUPERVISOR)], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, start_new_session=True,
            env={name: os.environ[name] for name in ("LD_LIBRARY_PATH",) if name in os.environ},
        )  # fmt: skip
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, previous)


def _kill_recorded(path: Path) -> None:
    """End the task of a supervisor that was killed, if it is still the process that the supervisor recorded."""
    if path.exists():
        recorded = json.loads(path.read_text())
        if recorded["started"] is not None and start_time(recorded["pid"]) == recorded["started"]:
            os.killpg(recorded["pid"], signal.SIGKILL)


def _file_name(label: str) -> str:
    """A short name that is safe in a path and a shell; a digest keeps two labels apart that would look the same."""
    safe = _UNSAFE.sub("_", label)[:80]
    return safe if safe == label != "pipeline.yml" else f"{safe}-{hashlib.sha256(label.encode()).hexdigest()[:6]}"


def _point_latest(folder: Path) -> None:
    link = folder.parent.parent / "latest"
    temporary = link.with_name(f"latest.{os.getpid()}")
    temporary.symlink_to(folder.relative_to(link.parent))
    temporary.replace(link)

"""One attempt of a task: from a specification to how it ended. Runs in any process that has a checkout of the repository."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rehearse.bindings.config import Bindings, Connection
from rehearse.engine import attempt_folder
from rehearse.engine.attempt_folder import CLAIM, EXIT, LOG, STOP, TASK
from rehearse.engine.forge import Forge
from rehearse.engine.masking import Masker, secret_values
from rehearse.engine.processes import is_alive, kill_group, kill_marked
from rehearse.errors import RehearseError
from rehearse.jobs.base import Attempt, Launch, Prepared, Step
from rehearse.jobs.lineage import collect
from rehearse.jobs.recorded import End, Recorded, save
from rehearse.jobs.registry import find_job

GRACE_SECONDS = 10.0
LOG_LIMIT = 100_000_000
POLL_SECONDS = 0.05

ENDED, RUNNING, LOST, NEVER = "ended", "running", "lost", "never started"


@dataclass(frozen=True)
class AttemptSpec:
    """All that an attempt needs. `folder` is relative to the root of the checkout, wherever that is; `parameters` and
    `connection` have no expression left in them; `outputs_limit` counts bytes of JSON."""

    run_id: str
    task_run_id: str
    task_id: str
    item: str | None
    number: int
    integration: str
    job: str
    parameters: Mapping[str, Any]
    connection: str | None
    timeout_seconds: float | None
    folder: str
    token: str
    outputs_limit: int
    isolate: bool = False
    links: tuple[str, ...] = ()
    crash_at: str | None = None
    secrets: tuple[str, ...] = field(default=(), repr=False)
    """What `secrets.NAME` gave to expressions of this run: to be masked."""


@dataclass(frozen=True)
class Ended:
    """How an attempt ended: SUCCEEDED, WARNING, FAILED or CANCELLED. Everything in it is masked.

    `operations`: see `store.lineage`. `log`: what it printed, when that is not in the folder of this machine.
    """

    status: str
    message: str | None = None
    outputs: dict[str, Any] = field(default_factory=dict)
    operations: list[dict[str, Any]] = field(default_factory=list)
    ended_at: str | None = None
    log: bytes | None = None


class Workshop:
    """A checkout in which attempts are executed, with its bindings and the processes that start tasks. `forge`: one without
    preloaded modules that has started already."""

    def __init__(self, root: Path, bindings: Bindings, forge: Forge | None = None):
        self.root = root
        self.bindings = bindings
        self._forges: dict[tuple[str, ...], Forge] = {(): forge} if forge else {}
        self._lock = threading.Lock()

    def prepare(self, spec: AttemptSpec) -> tuple[Prepared, Connection | None]:
        """What the job asks for. Raises JobError, BindingError."""
        connection = self.bindings.connection(spec.integration, spec.connection)
        folder = self.root / spec.folder
        folder.mkdir(parents=True, exist_ok=True)
        attempt = Attempt(
            root=self.root, folder=folder, run_id=spec.run_id, task_run_id=spec.task_run_id, number=spec.number,
            webhook_token=spec.token, task_id=spec.task_id, item=spec.item, isolate=spec.isolate,
            connections=self.bindings.connection, links=_links(spec, connection),
        )  # fmt: skip
        # A recording is found whatever the secrets of who replays it are.
        is_recorded = connection is not None and connection.mode == "recorded"
        parameters = public_parameters(spec) if is_recorded else spec.parameters
        return find_job(spec.job, connection)(spec.job, parameters, connection, attempt), connection

    def execute(self, spec: AttemptSpec) -> Ended:
        """Run an attempt to its end, however it ends."""
        try:
            prepared, connection = self.prepare(spec)
            if not isinstance(prepared, Launch):
                raise TypeError(f"{spec.job} is not a job for a worker")
            return self._run(spec, prepared, self._secrets(spec, connection, prepared))
        except RehearseError as e:
            return Ended("FAILED", refusal(e, spec))
        except Exception as e:  # a defect of a job must not leave the run waiting for ever
            return Ended("FAILED", masked(f"internal error: {type(e).__name__}: {e}", spec.secrets))

    def attend(self, spec: AttemptSpec) -> Ended:
        """Wait for an attempt that an engine before us has started."""
        while look(self.root / spec.folder) == RUNNING:
            time.sleep(POLL_SECONDS)
        return self.conclude(spec)

    def conclude(self, spec: AttemptSpec, found: dict[str, Any] | None = None) -> Ended:
        """How an attempt ended that nobody runs any more, as its folder tells. `found`: what was read there already."""
        folder = self.root / spec.folder
        found = found or attempt_folder.read(str(folder), EXIT)
        if found is None:
            clean_up(folder, spec.task_run_id)
            return Ended("FAILED", "interrupted: its supervisor was killed", ended_at=_now())
        status, message = judge(found, spec.timeout_seconds)
        operations = [*found["operations"], *self._collected(spec, found)]
        self._record(spec, status, message, found["outputs"], operations)
        return Ended(status, message, found["outputs"], operations, found["ended_at"])

    def warm_up(self, preload: tuple[str, ...] = ()) -> None:
        self._forge(preload).warm_up()

    def close(self) -> None:
        for forge in self._forges.values():
            forge.close()

    def _run(self, spec: AttemptSpec, launch: Launch, secrets: list[str]) -> Ended:
        folder = self.root / spec.folder
        specification = {
            "folder": str(folder), "secrets": secrets, "timeout": spec.timeout_seconds, "grace": GRACE_SECONDS,
            "task_run_id": spec.task_run_id, "token": spec.token, "outputs_limit": spec.outputs_limit,
            "log_limit": int(os.environ.get("REHEARSE_LOG_LIMIT", LOG_LIMIT)), "crash_at": spec.crash_at,
            "steps": [
                {"argv": resolved(step), "env": step.env, "cwd": str(step.cwd), "call": step.call} for step in launch.steps
            ],
        }  # fmt: skip
        preload = next((step.preload for step in launch.steps if step.preload), ())
        for modules in dict.fromkeys((preload, ())):  # a warm process that cannot do it gives way to a plain one
            _wait_for_end(self._forge(modules).start(specification))
            if found := attempt_folder.read(str(folder), EXIT):
                return self.conclude(spec, found)
            if look(folder) != NEVER:
                break
        else:
            return Ended("FAILED", "its supervisor could not be started", ended_at=_now())
        return self.attend(spec)

    def _secrets(self, spec: AttemptSpec, connection: Connection | None, launch: Launch) -> list[str]:
        linked = [self.bindings.connection("", name) for name in _links(spec, connection)]
        known = [value for found in (connection, *linked) if found for value in secret_values(found.known_values())]
        return [spec.token, *spec.secrets, *known, *launch.secrets]

    def _collected(self, spec: AttemptSpec, found: dict[str, Any]) -> list[dict[str, Any]]:
        try:
            folder = self.root / spec.folder
            return collect(spec.job, folder, self.root, found["started_at"], found["ended_at"], found["outputs"])
        except Exception:  # what was done is done, also if its traces cannot be read
            return []

    def _record(
        self,
        spec: AttemptSpec,
        status: str,
        message: str | None,
        outputs: dict[str, Any],
        operations: list[dict[str, Any]],
    ) -> None:
        """Keep what a real system did, for connections in the mode `recorded`."""
        try:
            connection = self.bindings.connection(spec.integration, spec.connection)
            wanted = (
                connection is not None and connection.mode == "remote" and status in ("SUCCEEDED", "WARNING", "FAILED")
            )
            if (
                connection is not None
                and wanted
                and (connection.fields.get("record") or os.environ.get("REHEARSE_RECORD"))
            ):
                task = Recorded(spec.task_id, spec.item, spec.job, public_parameters(spec))
                mask = Masker(secret_values(connection.known_values())).value
                save(self.root, connection.id, task, End(status, message, outputs, operations), mask)
        except (RehearseError, OSError):
            pass  # what was done is done, also if it cannot be written down

    def _forge(self, preload: tuple[str, ...]) -> Forge:
        with self._lock:
            return self._forges.setdefault(preload, Forge(preload))


def _links(spec: AttemptSpec, connection: Connection | None) -> tuple[str, ...]:
    """The connections whose values a task may see beside its own."""
    declared = connection.fields.get("links", ()) if connection else ()
    return tuple(dict.fromkeys((*spec.links, *declared)))


def look(folder: Path) -> str:
    """What an attempt's folder says of it: ENDED, RUNNING, LOST (its supervisor was killed) or NEVER (started)."""
    text = str(folder)
    if attempt_folder.read(text, EXIT) is not None:
        return ENDED
    claim = attempt_folder.read(text, CLAIM)
    if claim is None:
        return NEVER
    if is_alive(claim["pid"], claim["started"]):
        return RUNNING
    return ENDED if attempt_folder.read(text, EXIT) is not None else LOST  # it may have ended between the two looks


def stop(folder: Path, *, kill: bool = False) -> None:
    """Ask an attempt to end, or kill it. One that has not begun yet will see that it need not."""
    try:
        folder.mkdir(parents=True, exist_ok=True)  # the attempt may be about to make it
        (folder / STOP).touch()
    except OSError:
        pass
    claim = attempt_folder.read(str(folder), CLAIM)
    if claim is not None and is_alive(claim["pid"], claim["started"]):
        for number in (signal.SIGINT, signal.SIGTERM)[: 2 if kill else 1]:  # the second request kills
            try:
                os.kill(claim["pid"], number)
            except ProcessLookupError:
                pass


def clean_up(folder: Path, task_run_id: str) -> None:
    """End what a killed supervisor left behind, wherever it hides."""
    task = attempt_folder.read(str(folder), TASK)
    if task is not None and task["started"] is not None and is_alive(task["pid"], task["started"]):
        kill_group(task["pid"], signal.SIGKILL)
    kill_marked(task_run_id)


def judge(ended: Mapping[str, Any], timeout_seconds: float | None) -> tuple[str, str | None]:
    """Status and message of an attempt: how the process ended, then what it said of itself (section 9.4)."""
    said: str | None = ended["message"]
    if ended["reason"] == "cancelled":
        return "CANCELLED", "stopped"
    if ended["reason"] == "timeout":
        killed = ", then killed" if ended["signal"] == signal.SIGKILL else ""
        return "FAILED", f"timed out after {timeout_seconds:g} s{killed}"
    if ended["reason"] == "not_started":
        return "FAILED", f"could not be started: {said}"
    if ended["signal"]:
        hint = " (possibly out of memory)" if ended["signal"] == signal.SIGKILL else ""
        return "FAILED", f"killed by signal {ended['signal']}{hint}"
    if ended["code"]:
        return "FAILED", said or f"exit code {ended['code']}"
    return ended["status"] or "SUCCEEDED", said or ended["rejected"]


def resolved(step: Step) -> list[str]:
    """`python` is the interpreter of this environment; other programs are found on the step's PATH."""
    return [sys.executable, *step.argv[1:]] if step.argv[0] == "python" else step.argv


def with_log(ended: Ended, folder: Path, limit: int) -> Ended:
    """The same with the end of the log, for a caller who cannot see our folder."""
    path = folder / LOG
    if not path.exists():
        return ended
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - limit))
        return replace(ended, log=file.read())


def public_parameters(spec: AttemptSpec) -> dict[str, Any]:
    """The parameters without what `secrets.NAME` gave."""
    found: dict[str, Any] = Masker(spec.secrets).value(dict(spec.parameters))
    return found


def refusal(error: RehearseError, spec: AttemptSpec) -> str:
    """Why an attempt could not begin. A job may quote a parameter."""
    return masked(f"{error} ({error.hint})" if error.hint else str(error), spec.secrets)


def masked(text: str, secrets: Iterable[str]) -> str:
    return Masker(secrets).text(text)


def _wait_for_end(channel: socket.socket) -> None:
    with channel:
        try:
            channel.recv(1)
        except OSError:
            pass


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")

"""Does what `decisions` decides: starts attempts, waits for them, records what happened. Drives any number of runs.

One loop in the calling thread owns the state machines and the store; threads only wait for processes. Everything that
happens reaches the loop as an event on one queue. What is decided is committed before it is done: whenever this process
dies, the record and the attempts' folders together tell the next engine how to go on.
"""

from __future__ import annotations

import heapq
import itertools
import os
import queue
import signal
import socket
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol
from uuid import uuid4

from rehearse.engine import crash
from rehearse.engine import states as d
from rehearse.engine.acceptance import lay_out, too_many
from rehearse.engine.active import ActiveRun, shown_parameters
from rehearse.engine.attempts import AttemptSpec, Ended, Workshop, refusal
from rehearse.engine.decisions import Machine
from rehearse.engine.pools import Pool
from rehearse.engine.processes import start_time
from rehearse.engine.receiver import ADVICE
from rehearse.engine.waits import ASK, Wait, answered, make_wait, of_child
from rehearse.errors import RehearseError
from rehearse.jobs.base import Approval, ChildRun, Launch
from rehearse.jobs.registry import how, needs_no_process, preload_of
from rehearse.planning.plan import SIMULATED, Plan
from rehearse.planning.selection import Carried
from rehearse.store.records import Fenced, Owner, Store, timestamp

LOOK_UP_SECONDS = 0.1
"""How long a signal may go unnoticed: one that arrives just before the loop waits, or in another thread, does not wake it."""
REQUEST_SECONDS = 0.25
HEARTBEAT_SECONDS = 5.0
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Progress(Protocol):
    """Shows runs while they happen. Called from the engine's loop only."""

    def started(self, active: ActiveRun) -> None: ...
    def resumed(self, active: ActiveRun, fates: Mapping[str, int]) -> None: ...
    def changed(self, active: ActiveRun, run: d.TaskRun) -> None: ...
    def asks(self, active: ActiveRun, run: d.TaskRun, message: str, answer: Callable[[bool, str], None]) -> None: ...
    def finished(self, active: ActiveRun) -> None: ...
    def cancelling(self, running: int) -> None: ...
    def note(self, text: str) -> None: ...


class _Silence:
    """A progress that shows nothing: nobody is there to see it."""

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *arguments: None


@dataclass(frozen=True)
class _Ended:
    active: ActiveRun
    run: d.TaskRun
    attempt: int
    ended: Ended


_Signal = object()


class Engine:
    """`approvals`: what becomes of APPROVAL tasks, a word of `waits.APPROVALS`."""

    def __init__(self, workshop: Workshop, store: Store, pool: Pool, progress: Progress, approvals: str = ASK):
        self.workshop = workshop
        self.root = workshop.root
        self.store = store
        self.pool = pool
        self.progress: Progress = progress
        self.approvals = approvals
        self.owner = Owner(os.getpid(), start_time(os.getpid()) or "", socket.gethostname(), timestamp(_now()) or "")
        self.active: dict[str, ActiveRun] = {}
        self.own: set[str] = set()
        """Runs that Ctrl-C cancels; others are left to the next engine."""
        self.noticed: Callable[[], None] = lambda: None
        """Called in the loop when somebody else has written to the store."""
        self._events: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._batch: list[tuple[ActiveRun, d.Action]] = []
        self._attempt_rows: list[tuple[ActiveRun, dict[str, Any]]] = []
        self._operations: list[tuple[ActiveRun, dict[str, Any]]] = []
        self._run_changes: dict[str, dict[str, Any]] = {}
        self._ready: deque[tuple[ActiveRun, d.TaskRun]] = deque()
        self._specs: dict[str, AttemptSpec] = {}  # of the attempts that run, by task run
        self._waits: dict[str, Wait] = {}
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()
        self._busy = 0
        self._signals = 0
        self._next_look = self._next_beat = 0.0

    # Runs

    def create(self, plan: Plan, carried: Mapping[str, Carried] = {}, **record: Any) -> ActiveRun:
        """Record a run, and start it unless too many of its pipeline are active (section 4.6): then it ends SKIPPED.

        `record`: more columns of the store, such as `trigger`, `previous_run` and `selection`.
        """
        active, row, tasks = lay_out(self.root, plan, carried, record)
        created = self.store.create_run(row | {"executor": self.pool.name}, tasks, self.owner, plan.max_active)
        crash.point("run.recorded")
        active.fence = created.fence
        if created.refused_by:
            active.status = "SKIPPED"
            for run in active.machine.runs:
                run.status = "SKIPPED"
            active.message = too_many(plan, created.refused_by)
            return active
        self.active[active.id] = active
        self._warm_up(active)
        self.progress.started(active)
        self.decide(active, active.machine.start())
        return active

    def adopt(self, record: Mapping[str, Any], plan: Plan, fence: int, carried: Mapping[str, Carried]) -> ActiveRun:
        """Go on with a run whose engine died, from its record; see `recovery` for its attempts."""
        rows = list(self.store.task_runs(record["id"]))
        machine = Machine.restore(
            plan, record["id"], _now, lambda: str(uuid4()), rows, record["status"], carried=carried
        )
        active = ActiveRun(record["id"], plan, machine, self.root, record["folder"], fence)
        active.has_started = record["started_at"] is not None
        active.simulated |= {row["id"] for row in rows if row["simulated"]}
        active.children |= {row["id"]: row["child_run"] for row in rows if row["child_run"]}
        active.connections |= {row["id"]: row["connection"] for row in rows}
        active.deadlines |= {row["id"]: datetime.fromisoformat(row["wait_until"]) for row in rows if row["wait_until"]}
        self.active[active.id] = active
        self._warm_up(active)
        return active

    def drive(self, until: Callable[[], bool] | None = None) -> None:
        """Run the loop until every run has ended; with `until`, until that says so. Ctrl-C cancels, a second one kills."""
        over = until or (lambda: not self.active)
        previous = {number: signal.signal(number, self._on_signal) for number in _SIGNALS}
        try:
            self._flush()
            while not over():
                self._wait_for_events()
                self._look_around()
                self._flush()
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)

    def close(self) -> None:
        """Let go of everything. Runs that have not ended, because something failed, end now, as far as that is possible."""
        if self.active:
            self._give_up()
        self.pool.close()
        self.workshop.close()

    def leave(self) -> None:
        """Let go of all runs as they are: their tasks go on, and the next engine does."""
        self.active.clear()

    @property
    def interrupted(self) -> bool:
        """Whether a signal has asked us to stop."""
        return self._signals > 0

    def cancel(self, active: ActiveRun) -> None:
        if not active.machine.cancelled:
            self._run_changes.setdefault(active.id, {})["status"] = "CANCELLING"
            self.decide(active, active.machine.cancel())

    # The loop

    def _wait_for_events(self) -> None:
        due = self._timers[0][0] - time.monotonic() if self._timers else LOOK_UP_SECONDS
        try:
            event = self._events.get(timeout=max(0.0, min(LOOK_UP_SECONDS, due)))
            while True:  # all that has happened meanwhile becomes one commit
                self._handle(event)
                event = self._events.get_nowait()
        except queue.Empty:
            pass
        while self._timers and self._timers[0][0] <= time.monotonic():
            heapq.heappop(self._timers)[2]()

    def _handle(self, event: Any) -> None:
        if event is _Signal:
            self._interrupt()
        elif isinstance(event, _Ended):
            if self._specs.pop(event.run.id, None) is not None:
                self._busy -= 1
            if event.active.id in self.active:
                crash.point("attempt.ended")
                self.end_attempt(event.active, event.run, event.ended)
        else:
            event()

    def _look_around(self) -> None:
        now = time.monotonic()
        if now >= self._next_look:
            self._next_look = now + REQUEST_SECONDS
            if self.store.changed():
                self.noticed()
                for request in self.store.requests(list(self.active)):
                    self.store.handled(request["id"], self._answer(request))
        if now >= self._next_beat:
            self._next_beat = now + HEARTBEAT_SECONDS
            self.store.heartbeat([(active.id, active.fence) for active in self.active.values()], timestamp(_now()))

    def decide(self, active: ActiveRun, actions: Iterable[d.Action]) -> None:
        """Take note of what was decided. It is done by `_flush`."""
        for action in actions:
            if not isinstance(action, d.Ready):
                self._batch.append((active, action))
            elif needs_no_process(action.run.task.job) or action.run.task.runs in (("stub",), ("recorded",)):
                self._begin(active, action.run)
            else:
                self._ready.append((active, action.run))

    def _begin(self, active: ActiveRun, run: d.TaskRun) -> None:
        if not active.has_started and active.machine.status == "RUNNING":
            active.has_started = True
            self._run_changes.setdefault(active.id, {}).update(status="RUNNING", started_at=timestamp(_now()))
        self.decide(active, active.machine.begin(run))

    def _flush(self) -> None:
        """Fill the free slots; commit what was decided; do it. Again, until nothing is left to do now."""
        while True:
            while self._ready and self._busy + self._starting() < self.pool.slots:
                active, run = self._ready.popleft()
                if active.id in self.active and run.status == "QUEUED":
                    self._begin(active, run)
            batch, self._batch = self._batch, []
            if not batch and not self._run_changes:
                return
            for run_id in dict.fromkeys([*(active.id for active, _ in batch), *self._run_changes]):
                if run_id in self.active:
                    self._commit(self.active[run_id], [action for active, action in batch if active.id == run_id])
            for active, action in batch:
                if active.id in self.active:
                    self._perform(active, action)

    def _starting(self) -> int:
        return sum(isinstance(action, d.Start) for _, action in self._batch)

    def _commit(self, active: ActiveRun, actions: list[d.Action]) -> None:
        changed = {action.run.id: action.run for action in actions if isinstance(action, d.Changed)}
        change = self._run_changes.pop(active.id, {})
        for action in actions:
            if isinstance(action, d.Start):
                action.run.run_parameters = shown_parameters(action.run.task.parameters, action.parameters)
                active.connections[action.run.id] = action.connection
                row = active.attempt_row(action.run, self.pool.name, "RUNNING", None)
                self._attempt_rows.append((active, row))
            elif isinstance(action, d.Finish):
                change |= {"status": action.status, "ended_at": timestamp(_now()), "message": active.message}
                crash.point("finish.before")
        crash.point("commit.before")
        try:
            self.store.commit(
                active.id, active.fence, run=change or None, tasks=[active.row(run) for run in changed.values()],
                attempts=[row for owner, row in self._attempt_rows if owner is active],
                operations=[row for owner, row in self._operations if owner is active],
            )  # fmt: skip
        except Fenced as e:
            self._drop(active, str(e))
            return
        self._attempt_rows = [(owner, row) for owner, row in self._attempt_rows if owner is not active]
        self._operations = [(owner, row) for owner, row in self._operations if owner is not active]
        crash.point("commit.after")
        for run in changed.values():
            self.progress.changed(active, run)

    def _perform(self, active: ActiveRun, action: d.Action) -> None:
        if isinstance(action, d.Start):
            self._start(active, action)
        elif isinstance(action, d.Stop):
            self._stop(action.run)
        elif isinstance(action, d.Retry):
            crash.point("retry.scheduled")
            self.after(action.after_seconds, lambda: self.decide(active, active.machine.retry_due(action.run)))
        elif isinstance(action, d.Finish):
            self._finish(active, action.status)

    # Attempts

    def _start(self, active: ActiveRun, start: d.Start) -> None:
        run = start.run
        spec = active.spec(start)
        try:
            connection = self.workshop.bindings.connection(spec.integration, spec.connection)
            kind = how(spec.job, connection)
            if kind in SIMULATED:
                active.simulated.add(run.id)
            # A message that goes into the outbox is simulated, too, but has a log: a process writes it.
            if kind in ("stub", "recorded") or needs_no_process(spec.job):
                prepared, _ = self.workshop.prepare(spec)
                assert not isinstance(prepared, Launch)
                self.begin_wait(make_wait(active, run, prepared, _now(), self.approvals))
                return
        except RehearseError as e:
            self.end_attempt(active, run, Ended("FAILED", refusal(e, spec)))
            return
        crash.point("attempt.before")
        self.watch(active, run, spec, self.pool.submit(spec))
        crash.point("attempt.after")

    def watch(self, active: ActiveRun, run: d.TaskRun, spec: AttemptSpec, future: Any) -> None:
        """Hear of the end of an attempt."""
        attempt = run.attempt
        self._specs[run.id] = spec
        self._busy += 1

        def done(future: Any) -> None:
            try:
                ended = future.result()
            except BaseException as e:  # a cluster that lost the attempt, an executor that was shut down
                ended = Ended("FAILED", f"interrupted: {type(e).__name__}: {e}")
            self._events.put(_Ended(active, run, attempt, ended))

        future.add_done_callback(done)

    def end_attempt(self, active: ActiveRun, run: d.TaskRun, ended: Ended) -> None:
        """An attempt is over."""
        if run.terminal:
            return
        status, message = ended.status, ended.message
        outputs = ended.outputs if run.task.keeps_outputs else {}
        if not active.count_outputs(outputs):
            status, message, outputs = "FAILED", f"its outputs are too large: {ADVICE}", {}
        active.deadlines.pop(run.id, None)
        if ended.log is not None:
            folder = self.root / active.attempt_folder(run)
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "log").write_bytes(ended.log)
        executor = "engine" if needs_no_process(run.task.job) else self.pool.name
        self._attempt_rows.append((active, active.attempt_row(run, executor, status, message)))
        self._operations += [
            (active, {**operation, "task_run_id": run.id, "run_id": active.id, "attempt": run.attempt})
            for operation in ended.operations
        ]
        self.decide(active, active.machine.ended(run, status, message, outputs))

    def _stop(self, run: d.TaskRun, *, kill: bool = False) -> None:
        wait, spec = self._waits.get(run.id), self._specs.get(run.id)
        if wait is not None and isinstance(wait.prepared, ChildRun) and wait.active.children.get(run.id) in self.active:
            self.cancel(self.active[wait.active.children[run.id]])
        elif wait is not None:
            self.end_wait_soon(wait, Ended("CANCELLED", "stopped"))
        elif spec is not None:
            self.pool.stop(spec, kill=kill)
            crash.point("stop.sent")

    def after(self, seconds: float, call: Callable[[], None]) -> None:
        heapq.heappush(self._timers, (time.monotonic() + seconds, next(self._numbers), call))

    # Waits

    def begin_wait(self, wait: Wait) -> None:
        """Wait for a time, a person or a run; known to the store, so that it goes on over a restart."""
        run, active = wait.run, wait.active
        self._waits[run.id] = wait
        if wait.until is not None:
            active.deadlines[run.id] = wait.until
            then = wait.then
            assert then is not None
            self.after((wait.until - _now()).total_seconds(), lambda: self.end_wait(wait, then))
        if isinstance(wait.prepared, ChildRun):
            self._begin_child(wait, wait.prepared)
        self._batch.append((active, d.Changed(run)))
        crash.point("wait.begun")
        if isinstance(wait.prepared, Approval) and self.approvals == ASK:
            self.progress.asks(
                active,
                run,
                wait.prepared.message,
                lambda accepted, by: self.end_wait_soon(wait, answered(accepted, by, None)),
            )

    def end_wait(self, wait: Wait, ended: Ended) -> None:
        if self._waits.get(wait.run.id) is wait:
            del self._waits[wait.run.id]
            if wait.active.id in self.active:
                self.end_attempt(wait.active, wait.run, ended)

    def end_wait_soon(self, wait: Wait, ended: Ended) -> None:
        """End a wait from within a decision, or from another thread."""
        self._events.put(lambda: self.end_wait(wait, ended))

    def _begin_child(self, wait: Wait, child: ChildRun) -> None:
        from rehearse.engine.children import start_child

        try:
            start_child(self, wait, child)
        except RehearseError as e:
            self.end_wait_soon(wait, Ended("FAILED", f"{e} ({e.hint})" if e.hint else str(e)))

    def _answer(self, request: Mapping[str, Any]) -> str:
        active = self.active[request["run_id"]]
        if request["kind"] == "cancel":
            self.cancel(active)
            if (request["argument"] or {}).get("force"):
                for spec in [spec for spec in self._specs.values() if spec.run_id == active.id]:
                    self.pool.stop(spec, kill=True)
            return "cancelling"
        waits = [wait for wait in self._waits.values() if wait.active is active and isinstance(wait.prepared, Approval)]
        wait = next((w for w in waits if request["task_run_id"] in (None, w.run.id)), None)
        if wait is None:
            return "nothing waits for an approval"
        argument = request["argument"] or {}
        self.end_wait(wait, answered(request["kind"] == "approve", request["requested_by"], argument.get("message")))
        return f"{request['kind']}d {wait.run.label}" if request["kind"] == "approve" else f"rejected {wait.run.label}"

    # Ends

    def _finish(self, active: ActiveRun, status: str) -> None:
        crash.point("finish.after")
        active.status, active.ended_at = status, _now()
        del self.active[active.id]
        self.progress.finished(active)
        if active.parent is not None:
            parent, run = active.parent
            wait = self._waits.get(run.id)
            if wait is not None:
                ended = of_child(active.id, status, active.message)
                stopped = parent.machine.cancelled and ended.status == "FAILED"
                self.end_wait(wait, Ended("CANCELLED", "stopped") if stopped else ended)

    def _drop(self, active: ActiveRun, why: str) -> None:
        """Somebody else drives this run: its attempts go on, but we no longer look."""
        del self.active[active.id]
        active.status = active.status or "RUNNING"
        self._attempt_rows = [(owner, row) for owner, row in self._attempt_rows if owner is not active]
        self._operations = [(owner, row) for owner, row in self._operations if owner is not active]
        self.progress.note(why)

    def _interrupt(self) -> None:
        self._signals += 1
        mine = [active for active in self.active.values() if active.first.id in self.own]
        for active in [active for active in self.active.values() if active not in mine]:
            self._drop(active, f"run {active.id[:8]} of {active.plan.alias} is left to the next engine")
        if not mine:
            return
        if self._signals == 1:
            self.progress.cancelling(sum(run.status == "RUNNING" for active in mine for run in active.machine.runs))
            for active in mine:
                self.cancel(active)
        else:
            self._kill()

    def _kill(self) -> None:
        for spec in list(self._specs.values()):
            self.pool.stop(spec, kill=True)

    def _give_up(self) -> None:
        self.progress = _Silence()
        self._kill()
        deadline = time.monotonic() + 5
        try:
            for active in list(self.active.values()):
                self.cancel(active)
                for run in active.machine.in_flight():
                    if run.id not in self._specs and run.id not in self._waits:  # decided, but not started yet
                        self.end_attempt(active, run, Ended("CANCELLED", "stopped"))
            self._flush()
            while self.active and time.monotonic() < deadline:
                self._wait_for_events()
                self._flush()
        except Exception:
            pass  # what is not recorded the next engine finds out

    def _on_signal(self, number: int, frame: object) -> None:
        self._events.put(_Signal)

    def _warm_up(self, active: ActiveRun) -> None:
        """Start the processes that start tasks while there is still something else to do."""
        tasks = [task for task in active.plan.tasks if task.is_executed and not needs_no_process(task.job)]
        plain = () if active.isolate else {preload_of(task.job, task.parameters, self.root) for task in tasks}
        for modules in {(), *plain} if tasks else ():
            self.workshop.warm_up(modules)


def _now() -> datetime:
    return datetime.now(UTC)

"""Named places at which a test lets the engine die, as by `kill -9`: REHEARSE_CRASH_AT=NAME or NAME:N for the N-th passage.

Names of the engine are below. `supervisor.received`, `.claimed`, `.started`, `.exited`, `.recorded` and `task.killed` concern
the N-th attempt that the engine starts.
"""

from __future__ import annotations

import os
import signal
from collections import Counter

VARIABLE = "REHEARSE_CRASH_AT"
POINTS = (
    "run.recorded", "commit.before", "commit.after", "attempt.before", "attempt.after", "attempt.ended",
    "retry.scheduled", "wait.begun", "child.recorded", "stop.sent", "finish.before", "finish.after",
    "recovery.taken", "recovery.looked",
)  # fmt: skip
TRIGGER_POINTS = ("schedule.started", "sensor.started", "event.started", "alert.written", "alert.sent")
"""Of `serve`."""
SUPERVISOR_POINTS = (
    "supervisor.received", "supervisor.claimed", "supervisor.started", "supervisor.exited", "supervisor.recorded",
    "task.killed",
)  # fmt: skip

_passed: Counter[str] = Counter()


def point(name: str) -> None:
    """Die here if that is wanted."""
    assert name in POINTS or name in TRIGGER_POINTS, name
    if _is_wanted(name):
        os.kill(os.getpid(), signal.SIGKILL)


def of_attempt() -> str | None:
    """Where the supervisor of the attempt that starts now is to die."""
    return next((name for name in SUPERVISOR_POINTS if _is_wanted(name)), None)


def _is_wanted(name: str) -> bool:
    wanted, _, number = os.environ.get(VARIABLE, "").partition(":")
    if wanted != name:
        return False
    _passed[name] += 1
    return _passed[name] == int(number or 1)

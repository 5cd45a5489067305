"""Jobs that are not run here: a declared stub ends as its binding says, an undeclared one fails and says what to declare."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rehearse.bindings.config import Connection
from rehearse.jobs.base import Attempt, JobError, Simulated


def prepare(job: str, parameters: Mapping[str, Any], connection: Connection | None, attempt: Attempt) -> Simulated:
    if connection is None or connection.mode != "stub":
        integration = connection.integration if connection else "..."
        raise JobError(
            f"{job} cannot be run on this machine",
            f'declare what it does here: a connection with integration = "{integration}", mode = "stub" in rehearse.toml',
        )
    ending = connection.ending(job, attempt.task_id)
    seconds = float(ending.get("seconds", 0))
    if attempt.number <= ending.get("failures", 0):
        message = f"simulated: attempt {attempt.number} of {ending['failures']} that are declared to fail"
        return Simulated("FAILED", message, {}, seconds)
    message = ending.get("message", "simulated: declared as a stub in rehearse.toml")
    return Simulated(ending.get("status", "SUCCEEDED"), message, dict(ending.get("outputs", {})), seconds)

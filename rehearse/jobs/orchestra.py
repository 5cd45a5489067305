"""The jobs that the engine does itself, without a process: WAIT, APPROVAL, TRIGGER_PIPELINE (section 9.8)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from rehearse.bindings.config import Connection
from rehearse.jobs.base import Approval, Attempt, ChildRun, JobError, Pause, Prepared

_SECONDS = {"duration_seconds": 1, "seconds": 1, "duration_mins": 60, "duration_minutes": 60, "minutes": 60}


def prepare(job: str, parameters: Mapping[str, Any], connection: Connection | None, attempt: Attempt) -> Prepared:
    if job == "WAIT":
        return Pause(_duration(parameters))
    if job == "APPROVAL":
        approvers = parameters.get("approvers") or []
        return Approval(str(parameters.get("message") or ""), tuple(map(str, approvers)))
    inputs = parameters.get("run_inputs") or {}
    if not isinstance(inputs, Mapping):
        raise JobError(f"run_inputs must be a mapping, not {inputs!r:.50}")
    return ChildRun(str(parameters["pipeline_id"]), dict(inputs), parameters.get("branch") or None)


def _duration(parameters: Mapping[str, Any]) -> float:
    """Seconds. The parameters of WAIT are not documented (Q21), so the likely names are understood."""
    given = {name: value for name, value in parameters.items() if name in _SECONDS and value is not None}
    if len(given) != 1:
        raise JobError("WAIT needs one duration", f"give one of {', '.join(_SECONDS)}")
    name, value = next(iter(given.items()))
    try:
        seconds = float(value) * _SECONDS[name]
    except (TypeError, ValueError):
        seconds = math.nan
    if not 0 <= seconds < math.inf:
        raise JobError(f"{name} is {value!r}, which is no duration")
    return seconds

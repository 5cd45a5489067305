"""`mode = "recorded"`: a job ends as it did when the real system did it. Recordings are files that can be committed:
recordings/<connection>/<task>[-<digest of the item>]-<digest of job and parameters>.json. What is in them has been masked, and
nothing in them changes from day to day, so that a diff shows what did.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rehearse.bindings.config import Connection
from rehearse.jobs.base import Attempt, JobError, Simulated
from rehearse.planning.secrets import redact

FOLDER = "recordings"
VARIABLE = "REHEARSE_RECORD"
_UNSAFE = re.compile(r"[^\w.=-]+|^\.+")
_TIMES = ("started_at", "ended_at")


@dataclass(frozen=True)
class Recorded:
    """What a recording is of. `item`: the key of the matrix item."""

    task_id: str
    item: str | None
    job: str
    parameters: Mapping[str, Any]

    @property
    def shown(self) -> dict[str, Any]:
        """The parameters as they may be written down. A recording is found by these: whoever replays it needs no secret."""
        found: dict[str, Any] = json.loads(json.dumps(redact("", dict(self.parameters)), default=str))
        return found

    def path(self, root: Path, connection_id: str) -> Path:
        return root / FOLDER / _safe(connection_id) / f"{self.prefix}-{_digest([self.job, self.shown])}.json"

    @property
    def prefix(self) -> str:
        return _safe(self.task_id) if self.item is None else f"{_safe(self.task_id)}-{_digest(self.item)}"


@dataclass(frozen=True)
class End:
    """How an attempt ended; see `store.lineage` for the operations."""

    status: str
    message: str | None = None
    outputs: Mapping[str, Any] = field(default_factory=dict)
    operations: Sequence[Mapping[str, Any]] = ()


def save(
    root: Path, connection_id: str, task: Recorded, end: End, mask: Callable[[Any], Any] = lambda value: value
) -> Path:
    """Write down how an attempt ended, and return where. `mask` hides the secrets that are not told by their names."""
    path = task.path(root, connection_id)
    path.parent.mkdir(parents=True, exist_ok=True)
    operations = [{name: value for name, value in each.items() if name not in _TIMES} for each in end.operations]
    content = {
        "task": task.task_id, "item": task.item, "job": task.job, "parameters": task.shown, "status": end.status,
        "message": end.message, "outputs": dict(end.outputs), "operations": operations,
    }  # fmt: skip
    masked = mask(json.loads(json.dumps(content, default=str)))
    temporary = path.with_suffix(".tmp")
    text = json.dumps(masked, indent=2, sort_keys=True, ensure_ascii=False)
    temporary.write_text(text + "\n", encoding="utf-8")
    temporary.replace(path)
    return path


def prepare(job: str, parameters: Mapping[str, Any], connection: Connection | None, attempt: Attempt) -> Simulated:
    """Raises JobError when this was not recorded, and says what is nearest to it."""
    assert connection is not None
    task = Recorded(attempt.task_id, attempt.item, job, parameters)
    path = task.path(attempt.root, connection.id)
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return Simulated(
            found["status"], found["message"], found["outputs"], operations=tuple(found.get("operations", ()))
        )
    except FileNotFoundError:
        raise JobError(_what_differs(path, task), _how_to_record(connection)) from None
    except (OSError, ValueError, KeyError, TypeError) as e:
        raise JobError(f"{path} cannot be read: {type(e).__name__}: {e}", _how_to_record(connection)) from e


def _what_differs(path: Path, task: Recorded) -> str:
    """Of the recordings of this task the one with the fewest differences."""
    others = []
    for other in sorted(path.parent.glob(f"{_safe(task.task_id)}-*.json")):
        try:
            found = json.loads(other.read_text(encoding="utf-8"))
            if found["task"] != task.task_id:
                continue
            pairs = {"item": (found.get("item"), task.item), "job": (found["job"], task.job)}
            names = sorted({*found["parameters"], *task.shown})
            pairs |= {name: (found["parameters"].get(name), task.shown.get(name)) for name in names}
        except (OSError, ValueError, KeyError, TypeError):
            continue
        others.append((other.name, [(name, *pair) for name, pair in pairs.items() if pair[0] != pair[1]]))
    if not others:
        return f"there is no recording of this task in {FOLDER}/{path.parent.name}/"
    name, differences = min(others, key=lambda found: len(found[1]))
    listed = "; ".join(f"{field} was {_short(old)} and is {_short(new)}" for field, old, new in differences[:3])
    return f"this was not recorded; nearest is {name}, where {listed or 'a secret was different'}"


def _how_to_record(connection: Connection) -> str:
    return f'record it: mode = "remote" and record = true in [connections.{connection.id}], then run it once'


def _safe(name: str) -> str:
    """A short name that is safe in a path; a digest keeps two apart that would look the same."""
    safe = _UNSAFE.sub("_", name)[:80]
    return safe if safe == name else f"{safe}-{_digest(name)}"


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:12]


def _short(value: Any) -> str:
    text = "not given" if value is None else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:57]}..."

"""`mode = "recorded"`: a job ends as it did when the real system did it. Recordings are files that can be committed:
recordings/<connection>/<task>-<digest of job and parameters>.json. What is in them has been masked.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rehearse.bindings.config import Connection
from rehearse.jobs.base import Attempt, JobError, Simulated
from rehearse.planning.secrets import redact

FOLDER = "recordings"
VARIABLE = "REHEARSE_RECORD"
_UNSAFE = re.compile(r"[^\w.=-]+|^\.+")


def save(
    root: Path, connection: Connection, task_id: str, job: str, parameters: Mapping[str, Any], status: str,
    message: str | None, outputs: Mapping[str, Any], operations: Sequence[Mapping[str, Any]],
) -> Path:  # fmt: skip
    """Write down how an attempt ended. Nothing in it changes from day to day, so that a diff shows what did."""
    path = _path(root, connection.id, task_id, job, parameters)
    path.parent.mkdir(parents=True, exist_ok=True)
    timeless = [{k: v for k, v in operation.items() if k not in ("started_at", "ended_at")} for operation in operations]
    content = {
        "task": task_id, "job": job, "parameters": redact("", dict(parameters)), "status": status, "message": message,
        "outputs": outputs, "operations": timeless,
    }  # fmt: skip
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(content, indent=2, sort_keys=True, default=str) + "\n", encoding="utf-8")
    temporary.replace(path)
    return path


def prepare(job: str, parameters: Mapping[str, Any], connection: Connection | None, attempt: Attempt) -> Simulated:
    """Raises JobError when this was not recorded, and says what is nearest to it."""
    assert connection is not None
    path = _path(attempt.root, connection.id, attempt.task_id, job, parameters)
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise JobError(_what_differs(path, parameters), _how_to_record(connection)) from None
    except (OSError, ValueError) as e:
        raise JobError(f"{path} cannot be read: {e}", _how_to_record(connection)) from e
    return Simulated(found["status"], found["message"], found["outputs"], operations=tuple(found.get("operations", ())))


def _path(root: Path, connection_id: str, task_id: str, job: str, parameters: Mapping[str, Any]) -> Path:
    text = json.dumps([task_id, job, parameters], sort_keys=True, default=str)
    digest = hashlib.sha256(text.encode()).hexdigest()[:12]
    return root / FOLDER / _UNSAFE.sub("_", connection_id)[:80] / f"{_UNSAFE.sub('_', task_id)[:80]}-{digest}.json"


def _what_differs(path: Path, parameters: Mapping[str, Any]) -> str:
    shown = redact("", dict(parameters))
    others = []
    for other in sorted(path.parent.glob(f"{path.stem.rpartition('-')[0]}-*.json")):
        try:
            before = json.loads(other.read_text(encoding="utf-8"))["parameters"]
        except (OSError, ValueError, KeyError):
            continue
        others.append((other.name, [name for name in {*before, *shown} if before.get(name) != shown.get(name)]))
    if not others:
        return f"there is no recording of this task in {path.parent.name}/"
    name, different = min(others, key=lambda found: len(found[1]))
    return f"this was not recorded; nearest is {name}, where {', '.join(sorted(different)) or 'a secret'} was different"


def _how_to_record(connection: Connection) -> str:
    return f'record it: mode = "remote" and record = true in [connections.{connection.id}], then run it once'

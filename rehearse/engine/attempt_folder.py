"""The folder of one attempt, which says what became of it whoever asks. Only the standard library: the supervisor uses it.

claim.json   {"pid", "started"} of the supervisor; made once, so that an attempt starts at most once
task.json    {"pid", "started"} of the process that runs now, and "webhook": {"port", "token"} for what comes through `serve`
stop         somebody wants the attempt to end
log          what the task printed, masked
events.jsonl what it posted to its webhook, masked
exit.json    how it ended: see `supervisor`. Once it is there, nothing changes any more
"""

from __future__ import annotations

import json
import os
from typing import Any

CLAIM, TASK, STOP, LOG, EVENTS, EXIT = "claim.json", "task.json", "stop", "log", "events.jsonl", "exit.json"


def write_once(folder: str, name: str, content: dict[str, Any]) -> bool:
    """Make a file that is complete from the beginning; False when it was there already."""
    temporary = _write_temporary(folder, name, content)
    try:
        os.link(temporary, os.path.join(folder, name))
    except FileExistsError:
        return False
    finally:
        os.unlink(temporary)
    return True


def replace(folder: str, name: str, content: dict[str, Any]) -> None:
    """Complete or not there at all."""
    temporary = _write_temporary(folder, name, content)
    os.rename(temporary, os.path.join(folder, name))


def sync(folder: str, name: str) -> None:
    """Also over a power cut."""
    for path in (os.path.join(folder, name), folder):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        except OSError:
            pass  # some file systems cannot, for a folder
        finally:
            os.close(descriptor)


def read(folder: str, name: str) -> dict[str, Any] | None:
    """The content; None when it is not there, or not whole (the disk was full)."""
    try:
        with open(os.path.join(folder, name), "rb", 0) as file:
            content = json.loads(file.read())
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None


def _write_temporary(folder: str, name: str, content: dict[str, Any]) -> str:
    temporary = os.path.join(folder, f".{name}.{os.getpid()}")
    with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb", 0) as file:
        left = memoryview(json.dumps(content).encode())
        while left:
            left = left[file.write(left) :]
    return temporary

"""What a check is given, and what it finds."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from rehearse.bindings.config import Bindings
from rehearse.planning.plan import PlannedTask

OK, WARN, FAIL = "ok", "warn", "fail"


@dataclass(frozen=True)
class Finding:
    """`why` and `then`, the next command, only where something is not as it should be."""

    level: str
    what: str
    why: str | None = None
    then: str | None = None


@dataclass(frozen=True)
class Patient:
    """The repository. `tasks`: of the pipelines that are looked at, with the file of each."""

    root: Path
    bindings: Bindings
    offline: bool = False
    tasks: list[tuple[Path, PlannedTask]] = field(default_factory=list)


def git(root: Path, *arguments: str) -> subprocess.CompletedProcess[bytes] | None:
    """What git says in the repository; None when there is no git."""
    try:
        return subprocess.run(["git", *arguments], cwd=root, capture_output=True, stdin=subprocess.DEVNULL)
    except OSError:
        return None


def would_take(root: Path, path: str) -> bool:
    """Whether git knows a file, or would take it up with `git add`."""
    answer = git(root, "check-ignore", "-q", path)
    return answer is not None and answer.returncode == 1


Check = Callable[[Patient], Iterable[Finding] | Iterator[Finding]]

"""From the texts of a task to what an operating system takes: words without a shell, and values that fit."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import sys
from collections.abc import Mapping
from typing import Any

from rehearse.jobs.base import JobError
from rehearse.planning.secrets import secret_texts

PROGRAMS = ("python", "poetry", "uv")
_LONGEST = 131_072  # bytes Linux takes for one argument, and for one variable with its name; the final NUL included


def split_command(command: str) -> list[str]:
    """`python a.py 'x y'` to its words. No shell ever sees it: `;`, `|` and `$( )` are plain characters. Raises JobError."""
    try:
        argv = shlex.split(command)
    except ValueError as e:
        raise JobError(f"the command cannot be split into words: {e}: {command}", "close the quote") from e
    if not argv or argv[0] not in PROGRAMS:
        raise JobError(
            f"the command must start with python, poetry or uv: {command}", "shell lines belong in build_command"
        )
    return argv


def check_program(argv: list[str], env: dict[str, str]) -> None:
    """Raises JobError when the program is not on the task's PATH."""
    if argv[0] != "python" and shutil.which(argv[0], path=env.get("PATH")) is None:
        raise JobError(
            f"the command needs {argv[0]}, which is not on the PATH", f"install {argv[0]}, or start the command with python"
        )  # fmt: skip


def check_passable(argv: list[str], env: dict[str, str]) -> None:
    """Raises JobError for what no process can be given: NUL, text that is not Unicode, more than 128 KiB in one value."""
    for number, word in enumerate(argv):
        _check(f"word {number + 1} of the command", word)
    for name, value in env.items():
        if not name or "=" in name or "\0" in name:
            raise JobError(f"{name!r} cannot be the name of a variable", "rename it in environment_variables")
        _check(f"variable {name}", value, f"{name}=")


def _check(what: str, value: str, before: str = "") -> None:
    if "\0" in value:
        raise JobError(f"{what} holds a NUL character, which no process can be given", "remove it, or pass a file")
    try:
        size = len(os.fsencode(value))
    except UnicodeEncodeError as e:
        raise JobError(f"{what} holds half of a character ({value[e.start]!r})", "is its JSON cut in two?") from e
    if sys.platform == "linux" and len(os.fsencode(before)) + size >= _LONGEST:
        raise JobError(f"{what} has {size:,} bytes; a process takes 131,072 in one value", "pass the path of a file")


def own_secrets(environment_variables: str | Mapping[str, Any] | None) -> tuple[str, ...]:
    """The values in a task's own variables that are to be masked, as those of a connection are."""
    values: Any = environment_variables or {}
    if isinstance(values, str):
        try:
            values = json.loads(values)
        except ValueError:
            return ()  # Attempt.environment says so
    return tuple(secret_texts(values))

"""`rehearse logs`"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from rehearse.cli.history import Run, label, open_history

_CHUNK = 65536
_POLL_SECONDS = 0.2


def logs(
    run: Run = "latest",
    task: Annotated[str | None, typer.Argument(metavar="TASK", help="Only of this task, or of TASK[ITEM].")] = None,
    attempt: Annotated[int | None, typer.Option(min=1, help="Only of this attempt.", show_default="all")] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the run has ended.")] = False,
    raw: Annotated[
        bool, typer.Option("--raw", help="Bytes as they are, without names and with control characters.")
    ] = False,
) -> None:
    """Print what the tasks of a run printed."""
    from rehearse.errors import UsageError
    from rehearse.language.statuses import TERMINAL

    with open_history() as (root, store):
        record = store.run(run)
        readers: dict[Path, _Reader] = {}
        while True:
            over = store.find_run(record["id"])
            ended = over is None or over["status"] in TERMINAL
            tasks = {row["id"]: row for row in store.task_runs(record["id"])}
            wanted = {i: row for i, row in tasks.items() if task in (None, row["task_id"], label(row))}
            if task is not None and not wanted and ended:
                names = ", ".join(dict.fromkeys(label(row) for row in tasks.values()))
                raise UsageError(f"run {record['id'][:8]} has no task '{task}'", f"it has: {names}")
            for found in store.attempts(record["id"]):
                if found["task_run_id"] in wanted and attempt in (None, found["number"]):
                    path = root / found["folder"] / "log"
                    readers.setdefault(path, _Reader(path, _prefix(wanted, found, task), raw))
            for reader in readers.values():
                reader.copy()
            if ended or not follow:
                break
            time.sleep(_POLL_SECONDS)
        for reader in readers.values():
            reader.finish()


def _prefix(tasks: dict[str, dict[str, Any]], attempt: dict[str, Any], task: str | None) -> str:
    """Which task a line is of, unless all are of the same."""
    if len(tasks) == 1 and task is not None:
        return ""
    number = f" #{attempt['number']}" if attempt["number"] > 1 else ""
    return f"{label(tasks[attempt['task_run_id']])}{number} | "


class _Reader:
    """Copies a growing file to stdout, in pieces, line by line when lines are to be marked."""

    def __init__(self, path: Path, prefix: str, raw: bool):
        self._path = path
        self._prefix = prefix
        self._raw = raw
        self._at = 0
        self._held = b""

    def copy(self) -> None:
        """What is new."""
        try:
            with self._path.open("rb") as file:
                file.seek(self._at)
                while chunk := file.read(_CHUNK):
                    self._at += len(chunk)
                    self._write(chunk)
        except FileNotFoundError:
            pass  # it has printed nothing, or it ran elsewhere
        sys.stdout.flush()

    def finish(self) -> None:
        """The end of a file that does not end with a line break."""
        if self._held:
            self._print(self._held)
            self._held = b""
        sys.stdout.flush()

    def _write(self, chunk: bytes) -> None:
        if self._raw:
            sys.stdout.buffer.write(chunk)
            return
        *lines, self._held = (self._held + chunk).split(b"\n")
        for line in lines:
            self._print(line)
        if len(self._held) > _CHUNK:  # a line of megabytes is shown in pieces
            self._print(self._held)
            self._held = b""

    def _print(self, line: bytes) -> None:
        from rehearse.cli.problems import printable

        text = line.decode(errors="replace").rstrip("\r").rpartition("\r")[2]  # of a progress bar, the last state
        sys.stdout.write(f"{printable(self._prefix)}{printable(_without_colours(text), keep=chr(9))}\n")


def _without_colours(text: str) -> str:
    import re

    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text) if "\x1b" in text else text

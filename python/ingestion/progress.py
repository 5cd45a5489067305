"""How far a load is, for somebody who watches: on a terminal, and only when it takes longer than two seconds."""

from __future__ import annotations

import sys
import time
from typing import Any

QUIET_SECONDS = 2.0


def is_watched() -> bool:
    return sys.stderr.isatty()


class Progress:
    """`total`: rows that are expected; None when nobody knows. To be closed. Nothing is shown where stderr is no terminal."""

    def __init__(self, what: str, total: int | None, console: Any = None, quiet: float = QUIET_SECONDS):
        self._what, self._total, self._console, self._quiet = what, total, console, quiet
        self._is_watched = console is not None or is_watched()
        self._started, self._rows = time.monotonic(), 0
        self._bar: Any = None
        self._task: Any = None

    def advance(self, rows: int) -> None:
        self._rows += rows
        if self._bar is not None:
            self._bar.update(self._task, completed=self._rows, rate=self._rate())
        elif self._is_watched and time.monotonic() - self._started >= self._quiet:
            self._show()

    def close(self) -> None:
        if self._bar is not None:
            self._bar.stop()

    def _show(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        console = self._console or Console(stderr=True)
        columns = [TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed:,} rows {task.fields[rate]}"),
                   TimeRemainingColumn()]  # fmt: skip
        self._bar = Progress(*columns, console=console, transient=True)
        self._task = self._bar.add_task(self._what, total=self._total, completed=self._rows, rate=self._rate())
        self._bar.start()

    def _rate(self) -> str:
        return f"({self._rows / max(time.monotonic() - self._started, 0.001):,.0f}/s)"

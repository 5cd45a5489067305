"""Runs while they happen: a line per state change, and on a terminal a last line that says what is running."""

from __future__ import annotations

import re
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rehearse.cli.output import MARKS, STYLES, duration, is_terminal, talk, tell
from rehearse.cli.problems import printable
from rehearse.engine.active import ActiveRun
from rehearse.engine.states import TaskRun

_TAIL_LINES = 12
_TAIL_BYTES = 8192
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


class Lines:
    """Prints to stderr. `running` maps a task run's id to its label and start, in order of start."""

    def __init__(self, here: Path, live: Any = None):
        self._here = here
        self._live = live
        self._running: dict[str, tuple[str, float]] = {}
        self._shown: dict[str, tuple[str, int]] = {}
        self._began: dict[str, float] = {}
        self._main: str | None = None

    def started(self, active: ActiveRun) -> None:
        self._began[active.id] = time.monotonic()
        if active.parent is None and self._main is None:
            self._main = active.id
        started_by = f", started by {active.parent[1].label}" if active.parent else ""
        tell(
            (active.plan.name, "bold"),
            f"  run {active.id[:8]}{started_by}, logs in {self._short(active.root / active.folder)}",
        )

    def resumed(self, active: ActiveRun, fates: Mapping[str, int]) -> None:
        self._began[active.id] = time.monotonic()
        found = ", ".join(f"{count} {fate}" for fate, count in fates.items()) or "nothing was running"
        tell((active.plan.name, "bold"), f"  going on with run {active.id[:8]}, whose rehearse died: {found}")

    def changed(self, active: ActiveRun, run: TaskRun) -> None:
        state = (run.status, run.attempt)
        if (not run.task.selected and run.carried is None) or self._shown.get(run.id) == state:
            return
        self._shown[run.id] = state
        if run.terminal:
            del self._shown[run.id]  # it comes no more, and ten thousand of them take room
        if run.status in ("RUNNING", "CANCELLING"):
            self._running.setdefault(run.id, (self._label(active, run), time.monotonic()))
            if self._live is None and run.status == "RUNNING":
                self._line(active, run, "")
        elif run.status != "QUEUED" or run.attempt:
            _, since = self._running.pop(run.id, ("", 0.0))
            took = duration(time.monotonic() - since) if since else ""
            self._line(active, run, took)
            if run.status in ("FAILED", "QUEUED"):
                self._show_tail(active.log(run))
        self._refresh()

    def asks(self, active: ActiveRun, run: TaskRun, message: str, answer: Callable[[bool, str], None]) -> None:
        """Ask on the terminal; `rehearse approve` from another one is as good."""
        tell((f"? {self._label(active, run)} ", "bold yellow"), message or "wants an approval",
             f"  approve? [y/N], or elsewhere: rehearse approve {active.id[:8]}")  # fmt: skip
        threading.Thread(target=_ask, args=(answer,), daemon=True).start()

    def finished(self, active: ActiveRun) -> None:
        """Who watches single runs says it at the end, with `ended`."""

    def cancelling(self, running: int) -> None:
        tell(f"Stopping {running} task(s); press Ctrl-C again to kill them.", style="magenta")

    def note(self, text: str) -> None:
        tell(text, style="yellow")

    def ended(self, active: ActiveRun) -> None:
        counts: dict[str, int] = {}
        simulated = []
        for run in active.machine.runs:
            status = run.status.lower() if run.task.selected or run.carried else "not selected"
            counts[status] = counts.get(status, 0) + 1
            if run.id in active.simulated:
                simulated.append(run.label)
        summary = ", ".join(f"{count} {status}" for status, count in counts.items())
        status = active.status or "left"
        took = f" in {duration(time.monotonic() - self._began[active.id])}" if active.id in self._began else ""
        tell((status, STYLES.get(status, "")), f"{took}: {active.message or summary}")
        if simulated:
            tell(f"simulated, not run: {', '.join(sorted(simulated))}", style="yellow")
        if status in ("FAILED", "CANCELLED"):
            tell(f"go on from there: rehearse retry {active.id[:8]} --from-failed", style="dim")

    def _label(self, active: ActiveRun, run: TaskRun) -> str:
        prefix = "" if self._main in (active.id, None) else f"{active.plan.alias}/"
        return printable(prefix + run.label)

    def _line(self, active: ActiveRun, run: TaskRun, took: str) -> None:
        clock = f"{datetime.now(UTC):%H:%M:%SZ}"
        mark = MARKS.get(run.status, "·")
        attempt = f" attempt {run.attempt}" if run.attempt > 1 or run.status == "QUEUED" else ""
        message = f"  {run.message.splitlines()[0]}" if run.message else _figures(run.outputs)
        style = STYLES.get(run.status, "")
        tell(
            (f"{clock} ", "dim"),
            (f"{mark} {run.status:<9} ", style),
            f"{self._label(active, run)}{attempt}",
            (f"  {took}" if took else "", "dim"),
            message,
        )

    def _show_tail(self, log: Path | None) -> None:
        if log is None:
            return
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - _TAIL_BYTES))
            lines = file.read().decode(errors="replace").splitlines()[-_TAIL_LINES:]
        for line in lines:
            tell(f"    │ {_COLOUR.sub('', line)}", style="dim")
        tell(f"    └ {self._short(log)}", style="dim")

    def _short(self, path: Path) -> str:
        return str(path.relative_to(self._here)) if path.is_relative_to(self._here) else str(path)

    def _refresh(self) -> None:
        if self._live is not None:
            from rich.spinner import Spinner
            from rich.text import Text

            labels = [label for label, _ in self._running.values()]
            shown = ", ".join(labels[:4]) + (f" and {len(labels) - 4} more" if len(labels) > 4 else "")
            self._live.update(Spinner("dots", Text(shown, "cyan")) if labels else Text(""))


class ServedLines(Lines):
    """Of a server: every task with its pipeline, and a line for each run that ends."""

    def _label(self, active: ActiveRun, run: TaskRun) -> str:
        return printable(f"{active.plan.alias}/{run.label}")

    def finished(self, active: ActiveRun) -> None:
        took = duration(time.monotonic() - self._began.pop(active.id, time.monotonic()))
        status = active.status or ""
        tell((f"{datetime.now(UTC):%H:%M:%SZ} ", "dim"), (active.plan.name, "bold"), f"  run {active.id[:8]} ",
             (status, STYLES.get(status, "")), f" in {took}", f": {active.message}" if active.message else "")  # fmt: skip


def _ask(answer: Callable[[bool, str], None]) -> None:
    answer(sys.stdin.readline().strip().lower() in ("y", "yes"), "the terminal")


def _figures(outputs: dict[str, Any]) -> str:
    """The numbers among a task's outputs: how many rows, above all."""
    numbers = [f"{name}={value:,}" for name, value in outputs.items() if isinstance(value, (int, float))]
    return f"  {' '.join(numbers[:4])}" if numbers else ""


@contextmanager
def make_progress(here: Path, kind: type[Lines] = Lines) -> Iterator[Lines]:
    """Live on a terminal, plain lines elsewhere."""
    if not is_terminal():
        yield kind(here)
        return
    from rich.live import Live

    with Live(console=talk(), transient=True, refresh_per_second=10, redirect_stdout=False) as live:
        yield kind(here, live)

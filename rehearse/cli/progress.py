"""A run while it happens: a line per state change, and on a terminal a last line that says what is running."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.live import Live
from rich.spinner import Spinner
from rich.text import Text

from rehearse.cli.output import MARKS, STYLES, duration, talk, tell
from rehearse.cli.problems import printable
from rehearse.engine.decisions import TaskRun
from rehearse.engine.runner import Outcome
from rehearse.planning.plan import Plan

_TAIL_LINES = 12
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


class Lines:
    """Prints to stderr. `running` maps a task run's id to its label and start, in order of start."""

    def __init__(self, here: Path, live: Live | None):
        self._here = here
        self._live = live
        self._running: dict[str, tuple[str, float]] = {}

    def started(self, run_id: str, folder: Path, plan: Plan) -> None:
        tell((plan.name, "bold"), f"  run {run_id[:8]}, logs in {self._short(folder)}")

    def changed(self, run: TaskRun, log: Path | None) -> None:
        if not run.task.selected:
            return
        if run.status in ("RUNNING", "CANCELLING"):
            self._running.setdefault(run.id, (printable(run.label), time.monotonic()))
            if self._live is None and run.status == "RUNNING":
                self._line(run, "")
        else:
            _, since = self._running.pop(run.id, ("", 0.0))
            took = duration(time.monotonic() - since) if since else ""
            self._line(run, took)
            if run.status == "FAILED" or (run.status == "QUEUED" and run.attempt):
                self._show_tail(run, log)
        self._refresh()

    def cancelling(self, running: int) -> None:
        tell(f"Stopping {running} task(s); press Ctrl-C again to kill them.", style="magenta")

    def ended(self, outcome: Outcome, plan: Plan) -> None:
        counts: dict[str, int] = {}
        for run in outcome.tasks:
            status = run.status.lower() if run.task.selected else "not selected"
            counts[status] = counts.get(status, 0) + 1
        summary = ", ".join(f"{count} {status}" for status, count in counts.items())
        style = STYLES.get(outcome.status, "")
        tell((outcome.status, style), f" in {duration(outcome.seconds)}: {summary}")
        if outcome.simulated:
            tell(f"simulated, not run: {', '.join(sorted(outcome.simulated))}", style="yellow")
        for alert in plan.alerts:
            if outcome.status in alert.statuses or "ANY_COMPLETED" in alert.statuses:
                sinks = ", ".join(
                    f"{d.integration} {d.destination or d.connection_id or ''}".strip() for d in alert.destinations
                )
                tell(f"alert, not sent from this machine: '{alert.name}' to {sinks}", style="yellow")

    def _line(self, run: TaskRun, took: str) -> None:
        clock = f"{datetime.now(UTC):%H:%M:%SZ}"
        mark = MARKS.get(run.status, "·")
        attempt = f" attempt {run.attempt}" if run.attempt > 1 or run.status == "QUEUED" else ""
        message = f"  {run.message.splitlines()[0]}" if run.message else _figures(run.outputs)
        style = STYLES.get(run.status, "")
        tell(
            (f"{clock} ", "dim"),
            (f"{mark} {run.status:<9} ", style),
            f"{run.label}{attempt}",
            (f"  {took}" if took else "", "dim"),
            message,
        )

    def _show_tail(self, run: TaskRun, log: Path | None) -> None:
        if log is None:
            return
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - 8192))
            lines = file.read().decode(errors="replace").splitlines()[-_TAIL_LINES:]
        for line in lines:
            tell(f"    │ {_COLOUR.sub('', line)}", style="dim")
        tell(f"    └ {self._short(log)}", style="dim")

    def _short(self, path: Path) -> str:
        return str(path.relative_to(self._here)) if path.is_relative_to(self._here) else str(path)

    def _refresh(self) -> None:
        if self._live is not None:
            labels = [label for label, _ in self._running.values()]
            shown = ", ".join(labels[:4]) + (f" and {len(labels) - 4} more" if len(labels) > 4 else "")
            self._live.update(Spinner("dots", Text(shown, "cyan")) if labels else Text(""))


def _figures(outputs: dict[str, Any]) -> str:
    """The numbers among a task's outputs: how many rows, above all."""
    numbers = [f"{name}={value:,}" for name, value in outputs.items() if isinstance(value, (int, float))]
    return f"  {' '.join(numbers[:4])}" if numbers else ""


@contextmanager
def make_progress(here: Path) -> Iterator[Lines]:
    """Live on a terminal, plain lines elsewhere."""
    if not talk.is_terminal:
        yield Lines(here, None)
        return
    with Live(console=talk, transient=True, refresh_per_second=10, redirect_stdout=False) as live:
        yield Lines(here, live)

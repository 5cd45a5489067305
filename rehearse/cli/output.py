"""How things look: errors, statuses, durations."""

from __future__ import annotations

import sys
from functools import cache
from typing import TYPE_CHECKING

from rehearse.cli.problems import printable, show_problem
from rehearse.errors import InvalidPipeline, RehearseError

if TYPE_CHECKING:
    from rich.console import Console

STYLES = {"SUCCEEDED": "green", "WARNING": "yellow", "FAILED": "bold red", "CANCELLED": "magenta", "SKIPPED": "dim"}
MARKS = {"SUCCEEDED": "✓", "WARNING": "!", "FAILED": "✗", "CANCELLED": "■", "SKIPPED": "-", "QUEUED": "↻"}


def complain(error: RehearseError) -> None:
    if isinstance(error, InvalidPipeline):
        for problem in error.problems:
            show_problem(problem)
        return
    tell(("error: ", "bold red"), str(error))
    if error.hint:
        tell(f"  {error.hint}")


def tell(*parts: str | tuple[str, str], style: str = "") -> None:
    """A line of talk, of texts or (text, style): nothing in it steers the terminal."""
    spans = [part if isinstance(part, tuple) else (part, "") for part in parts]
    shown = [(printable(text.expandtabs(4)), look) for text, look in spans]
    if is_terminal():
        from rich.text import Text

        talk().print(Text.assemble(*shown, style=style))
    else:  # without rich, whose import takes longer than an empty task
        sys.stderr.write("".join(text for text, _ in shown) + "\n")
        sys.stderr.flush()


def is_terminal() -> bool:
    return sys.stderr.isatty()


@cache
def talk() -> Console:
    from rich.console import Console

    return Console(stderr=True, highlight=False, soft_wrap=True, emoji=False)


def duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    return f"{int(seconds // 60)} m {int(seconds % 60):02d} s"

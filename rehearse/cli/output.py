"""How things look: errors, statuses, durations."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from rehearse.cli.problems import printable, show_problem
from rehearse.errors import InvalidPipeline, RehearseError

talk = Console(stderr=True, highlight=False, soft_wrap=True, emoji=False)
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
    spans = (part if isinstance(part, tuple) else (part, "") for part in parts)
    talk.print(Text.assemble(*((printable(text.expandtabs(4)), look) for text, look in spans), style=style))


def duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    return f"{int(seconds // 60)} m {int(seconds % 60):02d} s"

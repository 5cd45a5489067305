"""What the verbs over past runs share."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rehearse.store.records import Store

Run = Annotated[str, typer.Argument(metavar="RUN", help="An id, its beginning, or 'latest'.")]


@contextmanager
def open_history() -> Iterator[tuple[Path, Store]]:
    """The repository's root and its store. Raises UsageError when nothing has run here; creates nothing then."""
    from rehearse.bindings.config import find_root
    from rehearse.errors import UsageError
    from rehearse.store.records import has_store, open_store

    root = find_root(Path.cwd())
    if not has_store(root):
        raise UsageError(f"nothing has run in {root} yet", "start with: rehearse run FILE")
    store = open_store(root)
    try:
        yield root, store
    finally:
        store.close()


def label(row: dict[str, Any]) -> str:
    return row["task_id"] if row["item"] is None else f"{row['task_id']}[{row['item']}]"


def took(row: dict[str, Any]) -> str:
    """How long it ran, up to now if it still does."""
    from rehearse.cli.output import duration

    if not row["started_at"]:
        return ""
    end = datetime.fromisoformat(row["ended_at"]) if row["ended_at"] else datetime.now(UTC)
    return duration((end - datetime.fromisoformat(row["started_at"])).total_seconds())


def clock(text: str | None) -> str:
    return f"{text[:10]} {text[11:19]}Z" if text else ""


def me() -> str:
    """Who asks, for the record."""
    import getpass

    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"


def print_table(titles: list[str], rows: list[list[str]], styles: dict[str, str] | None = None) -> None:
    """Columns on stdout, as wide as their content; a cell whose text is a status gets its colour on a terminal."""
    import sys

    from rehearse.cli.output import STYLES
    from rehearse.cli.problems import printable

    shown = [[printable(cell) for cell in row] for row in rows]
    widths = [max(len(cell) for cell in column) for column in zip(titles, *shown, strict=True)]
    colours = {"green": "green", "yellow": "yellow", "bold red": "red", "magenta": "magenta"}
    coloured = sys.stdout.isatty() and os.environ.get("NO_COLOR") is None
    for number, row in enumerate([titles, *shown]):
        cells = []
        for cell, width in zip(row, widths, strict=True):
            padded = cell.ljust(width)
            colour = colours.get(STYLES.get(cell, ""))
            if coloured and (colour or number == 0):
                padded = typer.style(padded, fg=colour, bold=number == 0)
            cells.append(padded)
        print("  ".join(cells).rstrip())

"""Problems of pipeline files, as people, programs and GitHub read them. Without rich, whose import is half of a `validate`."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import typer

from rehearse.language.problems import Problem


def say(text: str, **style: object) -> None:
    """A line of talk, coloured on a terminal that wants it."""
    colour = None if os.environ.get("NO_COLOR") is None else False
    typer.secho(text, err=True, color=colour, **style)  # type: ignore[arg-type]


def show_problem(problem: Problem) -> None:
    place = f"{problem.file}:{problem.position.line}:{problem.position.column}: "
    colour = typer.colors.RED if problem.severity == "error" else typer.colors.YELLOW
    severity = typer.style(f"{problem.severity}: ", fg=colour, bold=problem.severity == "error")
    say(
        typer.style(place, bold=True)
        + severity
        + _printable(problem.message)
        + typer.style(f"  [{problem.code}]", dim=True)
    )
    if problem.hint:
        say(f"    {_printable(problem.hint)}")


def print_json(files: Sequence[Path], problems: Iterable[Problem]) -> None:
    result = {
        "schema_version": 1, "files": [str(file) for file in files], "problems": [problem.as_dict() for problem in problems],
    }  # fmt: skip
    json.dump(result, sys.stdout, indent=2)
    sys.stdout.write("\n")


def print_annotation(problem: Problem) -> None:
    """A workflow command of GitHub Actions, which puts the problem beside the line of the pull request."""
    message = problem.message + (f" ({problem.hint})" if problem.hint else "")
    place = {"file": problem.file, "line": problem.position.line, "col": problem.position.column, "title": problem.code}
    properties = ",".join(f"{name}={_escape(str(value), ',:')}" for name, value in place.items())
    print(f"::{problem.severity} {properties}::{_escape(message)}")


def _escape(text: str, more: str = "") -> str:
    for char in "%\r\n" + more:
        text = text.replace(char, f"%{ord(char):02X}")
    return text


def _printable(text: str) -> str:
    """A file can hold anything; what it holds must not steer the terminal."""
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)

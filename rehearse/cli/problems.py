"""Problems of pipeline files, as people, programs and GitHub read them. Without rich, whose import is half of a `validate`."""

from __future__ import annotations

import json
import os
import sys
from typing import Any

import typer

from rehearse.language.problems import Problem


def say(text: str, *, err: bool = True) -> None:
    """A line of talk, or without `err` of data, coloured on a terminal that wants it."""
    colour = None if os.environ.get("NO_COLOR") is None else False
    typer.echo(text, err=err, color=colour)


def show_problem(problem: Problem, *, err: bool = True) -> None:
    """For people. Problems are what `validate` is asked for, and so its data; elsewhere they are talk."""
    place = f"{printable(problem.file)}:{problem.position.line}:{problem.position.column}: "
    colour = typer.colors.RED if problem.severity == "error" else typer.colors.YELLOW
    severity = typer.style(f"{problem.severity}: ", fg=colour, bold=problem.severity == "error")
    code = typer.style(f"  [{problem.code}]", dim=True)
    say(typer.style(place, bold=True) + severity + printable(problem.message) + code, err=err)
    if problem.hint:
        say(f"    {printable(problem.hint)}", err=err)


def print_json(value: Any) -> None:
    """Data for other programs: one JSON document on stdout."""
    json.dump(value, sys.stdout, indent=2, default=str)
    sys.stdout.write("\n")


def print_annotation(problem: Problem) -> None:
    """A workflow command of GitHub Actions, which puts the problem beside the line of the pull request."""
    message = problem.message + (f" ({problem.hint})" if problem.hint else "")
    place = {"file": problem.file, "line": problem.position.line, "col": problem.position.column, "title": problem.code}
    properties = ",".join(f"{name}={_escape(str(value), ',:')}" for name, value in place.items())
    print(printable(f"::{problem.severity} {properties}::{_escape(message)}"))


def _escape(text: str, more: str = "") -> str:
    for char in "%\r\n" + more:
        text = text.replace(char, f"%{ord(char):02X}")
    return text


def printable(text: str, keep: str = "") -> str:
    """A file can hold anything; what it holds must not steer the terminal. `keep`: such as line breaks, where they are meant."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() or char in keep else "\N{REPLACEMENT CHARACTER}" for char in text)

"""`rehearse validate`"""

from __future__ import annotations

import glob
import os
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rehearse.cli.common import wants_json

if TYPE_CHECKING:
    from rehearse.bindings.config import Bindings
    from rehearse.language.validation import Policy


class Format(StrEnum):
    text = "text"
    json = "json"
    github = "github"


def validate(
    paths: Annotated[
        list[str] | None,
        typer.Argument(metavar="[PATH...]", help="Files, folders or patterns.", show_default="orchestra/"),
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Take warnings for errors.")] = False,
    ignore: Annotated[
        list[str] | None, typer.Option("--ignore", metavar="CODE", help="Switch a warning off; repeatable.")
    ] = None,
    format: Annotated[
        Format | None, typer.Option(help="github: annotations of a workflow.", show_default="text")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The same as --format json.")] = False,
) -> None:
    """Check pipeline files: every problem at its line and column, offline.

    A warning is also switched off by `# rehearse: ignore[code]` on its line or above it, and by [validate] ignore in
    rehearse.toml. `rehearse explain CODE` says more about one.
    """
    from rehearse.bindings.config import find_root, load_bindings
    from rehearse.cli import problems as show
    from rehearse.language.validation import check_files

    in_json = wants_json(as_json, format)
    files = _files(paths or ["orchestra"])

    @cache
    def policy_of(root: Path) -> Policy:
        return make_policy(load_bindings(root), ignore or [], strict)

    checked = check_files(files, lambda file: policy_of(find_root(file.resolve().parent)))
    problems = [problem for _, found in checked for problem in found]
    errors = sum(problem.severity == "error" for problem in problems)
    if in_json:
        found = [problem.as_dict() for problem in problems]
        show.print_json({"schema_version": 1, "files": [str(file) for file in files], "problems": found})
    else:
        for problem in problems:
            if format is Format.github:
                show.print_annotation(problem)
            else:
                show.show_problem(problem, err=False)
        verdict = f"{_count(errors, 'error')}, {_count(len(problems) - errors, 'warning')}"
        show.say(f"{_count(len(files), 'file')}: {verdict if problems else 'valid'}")
    raise typer.Exit(2 if errors else 0)


def make_policy(bindings: Bindings, ignore: list[str], strict: bool = False) -> Policy:
    """How the warnings of the pipelines of a repository are taken. Raises UsageError, BindingError for codes that are none."""
    from rehearse.bindings.config import FILE
    from rehearse.errors import BindingError, UsageError
    from rehearse.language.rules.review import Surroundings
    from rehearse.language.validation import Policy

    for code in ignore:
        if problem := _not_ignorable(code):
            raise UsageError(f"--ignore {code}: {problem[0]}", problem[1])
    for code in sorted(bindings.ignored_warnings):
        if problem := _not_ignorable(code):
            raise BindingError(f"{bindings.root / FILE}: [validate] ignore: '{code}' {problem[0]}", problem[1])
    names = {name.lower() for variables in bindings.environments.values() for name in variables}
    around = Surroundings(frozenset(bindings.connections) or None, frozenset(names) or None)
    return Policy(frozenset(ignore) | bindings.ignored_warnings, strict, around)


def _not_ignorable(code: str) -> tuple[str, str] | None:
    """Why a code cannot be switched off, and what to do; None when it can."""
    from rehearse.language.problems import CODES
    from rehearse.language.words import did_you_mean

    warnings = [name for name, known in CODES.items() if known.severity == "warning"]
    if code in warnings:
        return None
    if code in CODES:
        return "is an error, which cannot be switched off", f"rehearse explain {code} says what it is about"
    return "is no code of a warning", did_you_mean(code, warnings) or f"one of {', '.join(warnings)}"


def _files(paths: list[str]) -> list[Path]:
    """Files in the order named, each once. Raises UsageError for a name that leads to none."""
    from rehearse.errors import UsageError
    from rehearse.language.document import SUFFIXES
    from rehearse.language.words import closest

    files: dict[Path, None] = {}
    for name in paths:
        path = Path(name)
        if path.is_file():
            found = [path]
        elif path.is_dir():
            found = _in_folder(path)
        else:
            found = sorted(Path(p) for p in glob.glob(name, recursive=True) if Path(p).suffix in SUFFIXES)
        if not found and not path.exists() and not glob.has_magic(name):
            near = closest(name, map(str, path.parent.glob("*.y*ml"))) if path.parent.is_dir() else None
            raise UsageError(f"{name} does not exist", f"did you mean {near}?" if near else "name a file or a folder")
        if not found:
            raise UsageError(f"there is no pipeline at {name}", "name a .yml file or a folder that has some")
        files |= dict.fromkeys(found)
    return list(files)


def _in_folder(folder: Path) -> list[Path]:
    """The pipelines below a folder, hidden ones left out. Raises UsageError for a folder that cannot be read."""
    from rehearse.errors import UsageError
    from rehearse.language.document import SUFFIXES

    def refuse(error: OSError) -> None:
        raise UsageError(f"{error.filename} cannot be read: {error.strerror}", "name the folders that you may read")

    found: list[Path] = []
    for place, folders, names in os.walk(folder, onerror=refuse):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [Path(place, name) for name in names if not name.startswith(".") and Path(name).suffix in SUFFIXES]
    return sorted(path for path in found if path.is_file())


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"

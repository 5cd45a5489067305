"""`rehearse doctor`"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rehearse.cli.common import Json

if TYPE_CHECKING:
    from rehearse.bindings.config import Bindings
    from rehearse.planning.plan import PlannedTask

_MARKS = {"ok": ("✓", "green"), "warn": ("!", "yellow"), "fail": ("✗", "red")}


def doctor(
    files: Annotated[
        list[Path] | None, typer.Argument(metavar="[FILE]...", help="Pipelines.", show_default="orchestra/*.yml")
    ] = None,
    offline: Annotated[bool, typer.Option("--offline", help="Do not try whether connections answer.")] = False,
    as_json: Json = False,
) -> None:
    """Check what runs need: connections, tools, the store, files of tasks; and that no tracked file holds a secret.

    Exit code 1 when something is wrong that would make a run fail or tell a secret.
    """
    from rehearse.bindings.config import find_root, load_bindings
    from rehearse.checks.base import Patient
    from rehearse.checks.registry import examine
    from rehearse.cli.problems import print_json

    root = find_root(Path.cwd())
    bindings = load_bindings(root)
    patient = Patient(root, bindings, offline, _tasks(root, bindings, files))
    found = list(examine(patient))
    counts = {level: sum(finding.level == level for _, finding in found) for level in _MARKS}
    if as_json:
        shown = [{"topic": topic, **vars(finding)} for topic, finding in found]
        print_json({"schema_version": 1, "root": str(root), **counts, "findings": shown})
    else:
        topic = ""
        for of, finding in found:
            if of != topic:
                typer.echo(of)
                topic = of
            _show(finding.level, finding.what, finding.why, finding.then)
        typer.echo(f"\n{counts['ok']} ok, {counts['warn']} to look at, {counts['fail']} wrong")
    raise typer.Exit(1 if counts["fail"] else 0)


def _tasks(root: Path, bindings: Bindings, files: list[Path] | None) -> list[tuple[Path, PlannedTask]]:
    """Of valid pipelines; what is wrong with others `validate` says."""
    from datetime import UTC, datetime

    from rehearse.engine.plans import PIPELINES, environment_of, how_here
    from rehearse.errors import RehearseError, UsageError
    from rehearse.language.validation import load_pipeline
    from rehearse.planning.plan import make_plan

    for file in files or ():
        if not file.is_file():
            raise UsageError(f"there is no pipeline file {file}", "the pipelines of this repository are in orchestra/")
    paths = files or sorted((root / PIPELINES).glob("*.y*ml"))
    name, env = environment_of(bindings, None)
    found = []
    for path in paths:
        try:
            loaded = load_pipeline(path)
            plan = make_plan(loaded, _some_inputs(loaded), name, env, datetime.now(UTC), how=how_here(bindings))
        except RehearseError as e:
            typer.echo(f"{path}: not looked at: {e}", err=True)
            continue
        shown = path.relative_to(root) if path.is_relative_to(root) else path
        found += [(shown, task) for task in plan.tasks]
    return found


def _some_inputs(loaded: object) -> dict[str, object]:
    """A value for each input that must be given: which one does not matter here."""
    from rehearse.language.validation import LoadedPipeline

    assert isinstance(loaded, LoadedPipeline)
    values: dict[str, object] = {"string": "x", "number": 1, "boolean": True, "dict": {}, "list": []}
    declared = (loaded.pipeline.inputs or {}).items()
    return {
        name: values.get(str(spec.type), "x") for name, spec in declared if spec.default is None and not spec.optional
    }


def _show(level: str, what: str, why: str | None, then: str | None) -> None:
    from rehearse.cli.problems import printable

    mark, colour = _MARKS[level]
    coloured = sys.stdout.isatty() and os.environ.get("NO_COLOR") is None
    typer.echo(
        f"  {typer.style(mark, fg=colour) if coloured else mark} {printable(what)}"
        + (f": {printable(why)}" if why else "")
    )
    if then:
        typer.echo(f"      {printable(then)}")

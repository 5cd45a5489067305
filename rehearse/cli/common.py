"""What `plan` and `run` share: from a file and flags to a Plan."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rehearse.bindings.config import Bindings
    from rehearse.language.document import Problem
    from rehearse.planning.plan import Plan

File = Annotated[Path, typer.Argument(metavar="FILE", help="The pipeline's YAML file.")]
Inputs = Annotated[
    list[str] | None, typer.Option("--input", "-i", metavar="NAME=VALUE", help="A run input; repeatable.")
]
Environment = Annotated[
    str | None, typer.Option("--env", "-e", help="An environment of rehearse.toml.", show_default="the first")
]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON on stdout.")]


def prepare(file: Path, inputs: list[str] | None, environment: str | None) -> tuple[Plan, Bindings, list[Problem]]:
    """Load, check and plan. Raises UsageError, InvalidPipeline, BindingError or InputError."""
    from rehearse.bindings.config import find_root, load_bindings
    from rehearse.cli.output import talk
    from rehearse.errors import UsageError
    from rehearse.language.validation import load_pipeline
    from rehearse.planning.plan import make_plan

    given = {}
    for text in inputs or []:
        name, equals, value = text.partition("=")
        if not equals:
            raise UsageError(f"--input {text}: there is no '='", "write --input NAME=VALUE")
        given[name.strip()] = value
    loaded = load_pipeline(file)
    bindings = load_bindings(find_root(file.resolve().parent))
    name, variables = bindings.environment(environment)
    plan = make_plan(loaded, given, name, variables, datetime.now(UTC))
    for key, declared in loaded.pipeline.inputs.items():
        if declared.options and plan.inputs[key] not in (None, *declared.options):
            # Legal on the platform, where options are suggestions; but more often it is a slip.
            known = ", ".join(declared.options)
            talk.print(
                f"warning: input '{key}' is '{plan.inputs[key]}', which is none of its options: {known}", style="yellow"
            )
    return plan, bindings, loaded.warnings

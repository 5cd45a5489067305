"""What `plan` and `run` share: from a file and flags to a Plan."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rehearse.bindings.config import Bindings
    from rehearse.language.model import Input
    from rehearse.language.problems import Problem
    from rehearse.planning.plan import Plan
    from rehearse.planning.selection import Carried

File = Annotated[Path, typer.Argument(metavar="FILE", help="The pipeline's YAML file.")]
Inputs = Annotated[
    list[str] | None,
    typer.Option("--input", "-i", metavar="NAME=VALUE", help="A run input; repeatable. Lists and dicts as JSON."),
]
Environment = Annotated[
    str | None,
    typer.Option("--env", "-e", metavar="NAME", help="An environment of rehearse.toml.", show_default="the first"),
]
SetEnv = Annotated[
    list[str] | None,
    typer.Option(
        "--set-env",
        metavar="NAME=VALUE",
        help="Another value of a variable of the environment, for this run; repeatable. Lists and dicts as JSON.",
    ),
]
Tasks = Annotated[
    list[str] | None,
    typer.Option(
        "--task",
        "-t",
        metavar="SELECTOR",
        help="Only this task, or all tasks of this group; repeatable. +NAME adds what is upstream, NAME+ what is downstream.",
    ),
]
ContinueDownstream = Annotated[
    bool, typer.Option("--continue-downstream", help="With --task: also everything downstream, as NAME+ does.")
]
FromFailed = Annotated[
    str | None,
    typer.Option(
        "--from-failed",
        metavar="RUN",
        help="Only what did not succeed in that run, and everything downstream, with that run's inputs and environment. "
        "An id, its beginning, or 'latest'.",
    ),
]
At = Annotated[
    str | None,
    typer.Option(
        "--at",
        metavar="TIME",
        help="Plan as if the run were created at this time (ISO 8601; UTC without a zone).",
        show_default="now",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON on stdout.")]


@dataclass(frozen=True)
class Selection:
    """Which tasks, as the flags say it."""

    tasks: Sequence[str] = ()
    continue_downstream: bool = False
    from_failed: str | None = None
    again: str | None = None
    """A run whose inputs and environment are taken, without its results."""


@dataclass(frozen=True)
class Prepared:
    """`carried`: what tasks of an earlier run leave to this one. `previous` is that run, of the store. `overrides`: variables
    of the environment with other values than there, as they may be recorded."""

    plan: Plan
    bindings: Bindings
    warnings: list[Problem]
    carried: Mapping[str, Carried]
    previous: Mapping[str, Any] | None = None
    overrides: Mapping[str, Any] = field(default_factory=dict)

    def selection(self, **how: Any) -> dict[str, Any] | None:
        """What is recorded of a run beside its inputs: which tasks were wanted, and the overrides."""
        from rehearse.engine.plans import OVERRIDES

        return {**how, **({OVERRIDES: dict(self.overrides)} if self.overrides else {})} or None


def prepare(
    file: Path,
    inputs: list[str] | None,
    environment: str | None,
    selection: Selection = Selection(),
    now: datetime | None = None,
    set_env: list[str] | None = None,
) -> Prepared:
    """Load, check and plan. Raises UsageError, InvalidPipeline, BindingError or InputError."""
    from rehearse.bindings.config import find_root, load_bindings
    from rehearse.bindings.environments import storable, with_overrides
    from rehearse.bindings.secrets import SecretVariables
    from rehearse.cli.validate import make_policy
    from rehearse.engine.plans import branch_of, environment_of, how_here, overrides_of
    from rehearse.language.validation import load_pipeline
    from rehearse.planning.inputs import Source, layer_inputs, refuse_undeclared
    from rehearse.planning.plan import make_plan
    from rehearse.planning.selection import from_failed, select

    _refuse_contradiction(selection)
    given = _given("--input", inputs)
    overrides = _given("--set-env", set_env)
    bindings = load_bindings(find_root(file.resolve().parent))
    loaded = load_pipeline(file, make_policy(bindings, []))
    declared = loaded.pipeline.inputs
    refuse_undeclared(declared, given)
    wanted = selection.from_failed or selection.again
    previous, results = find_run(bindings.root, loaded.alias, wanted) if wanted else (None, {})
    if previous is not None:
        given = layer_inputs(declared, Source("the earlier run", previous["inputs"]), Source("--input", given))
        earlier = overrides_of(previous) if environment in (None, previous["environment"]) else {}
        environment = environment or previous["environment"]
        overridden = {name.lower() for name in overrides}
        overrides = {name: value for name, value in earlier.items() if name.lower() not in overridden} | overrides
    name, variables = environment_of(bindings, environment) if previous else bindings.environment(environment)
    changed = with_overrides(variables, overrides)
    folded = {name.lower() for name in overrides}
    overrides = {name: value for name, value in changed.items() if name.lower() in folded}
    # Names on the command line were checked above; what a trigger once gave to the earlier run is kept, declared or not.
    moment = now or datetime.now(UTC)
    plan = make_plan(loaded, given, name, changed, moment, undeclared="accept", how=how_here(bindings))
    plan = replace(plan, branch=branch_of(bindings.root), secrets=SecretVariables(bindings.root))
    _warn_of_options(declared, plan)
    carried: Mapping[str, Carried] = {}
    if selection.from_failed:
        plan, carried = from_failed(plan, results)
    plan = select(plan, selection.tasks, selection.continue_downstream)
    return Prepared(plan, bindings, loaded.warnings, carried, previous, storable(overrides))


def wants_json(as_json: bool, format: str | None) -> bool:
    """What --json and --format come to. Raises UsageError when they ask for two formats."""
    from rehearse.errors import UsageError

    if as_json and format not in (None, "json"):
        raise UsageError(f"--json and --format {format} ask for two formats", "give one of them")
    return as_json or format == "json"


def parse_time(text: str | None) -> datetime | None:
    """A moment in UTC. Raises UsageError."""
    from rehearse.errors import UsageError

    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text.strip())
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError) as e:
        hint = "write it as 2026-11-24, 2026-11-24T06:00 or 2026-11-24T06:00+01:00"
        raise UsageError(f"--at {text}: this is no time", hint) from e


def find_run(root: Path, pipeline: str, wanted: str) -> tuple[Mapping[str, Any], Mapping[str, Carried]]:
    """A run of this pipeline: `latest`, an id, or the beginning of one; and how its tasks ended.

    Creates nothing. Raises UsageError.
    """
    from rehearse.errors import UsageError
    from rehearse.planning.selection import previous_of
    from rehearse.store.records import has_store, open_store

    if not has_store(root):
        raise UsageError(f"nothing has run here yet, so there is no run '{wanted}'", "start with: rehearse run FILE")
    store = open_store(root)
    try:
        found = store.run(wanted, pipeline)
        return found, previous_of(store.task_runs(found["id"]))
    finally:
        store.close()


def _refuse_contradiction(selection: Selection) -> None:
    from rehearse.errors import UsageError

    if selection.from_failed is not None and selection.tasks:
        raise UsageError("--from-failed and --task both say which tasks run", "give one of them")
    if selection.continue_downstream and not selection.tasks:
        raise UsageError("--continue-downstream goes on from the tasks of --task", "add --task NAME")


def _given(flag: str, texts: list[str] | None) -> dict[str, Any]:
    from rehearse.errors import UsageError

    given = {}
    for text in texts or []:
        name, equals, value = text.partition("=")
        if not equals:
            raise UsageError(f"{flag} {text}: there is no '='", f"write {flag} NAME=VALUE")
        given[name.strip()] = value
    return given


def _warn_of_options(declared: Mapping[str, Input], plan: Plan) -> None:
    """A value outside the options is legal on the platform, where they are suggestions; but more often it is a slip."""
    from rehearse.cli.output import tell

    for key, spec in declared.items():
        if spec.options and plan.inputs[key] not in (None, *spec.options):
            value, known = plan.shown_inputs[key], ", ".join(spec.options)
            tell(f"warning: input '{key}' is '{value}', which is none of its options: {known}", style="yellow")

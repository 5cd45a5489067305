"""From a file, or from the record of a run, to its Plan and the Machine that decides it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rehearse.bindings.config import Bindings
from rehearse.bindings.environments import with_overrides
from rehearse.bindings.secrets import SecretVariables
from rehearse.errors import BindingError, InputError, UsageError
from rehearse.jobs.registry import how
from rehearse.language.validation import LoadedPipeline, load_pipeline
from rehearse.language.words import did_you_mean
from rehearse.planning.plan import UNKNOWN_CONNECTION, How, Plan, make_plan
from rehearse.planning.secrets import redact

PIPELINES = "orchestra"
SNAPSHOT = "pipeline.yml"
OVERRIDES = "set_env"
"""The key of a run's `selection` under which they are stored."""


def how_here(bindings: Bindings) -> How:
    """What becomes of a task on this machine, for `make_plan`."""

    def here(integration: str, job: str, connection: str | None) -> str:
        try:
            return how(job, bindings.connection(integration, connection))
        except BindingError:
            return UNKNOWN_CONNECTION

    return here


def find_pipeline(root: Path, name: str) -> Path:
    """A pipeline of the repository by its alias, or by its path from the root. Raises UsageError."""
    candidates = [root / name, *(root / PIPELINES / f"{name}{suffix}" for suffix in (".yml", ".yaml", ".oml"))]
    for path in candidates:
        if path.is_file() and path.resolve().is_relative_to(root.resolve()):
            return path
    known = sorted(path.stem for path in (root / PIPELINES).glob("*") if path.suffix in (".yml", ".yaml", ".oml"))
    hint = did_you_mean(name, known) or f"{PIPELINES}/ has: {', '.join(known) or 'no pipeline'}"
    raise UsageError(f"there is no pipeline '{name}' here", hint)


def branch_of(root: Path) -> str | None:
    """The branch that is checked out, read from git's own file; None without one. Linked worktrees have a file that leads on."""
    folder = root / ".git"
    try:
        if folder.is_file():
            folder = root / folder.read_text(encoding="utf-8").removeprefix("gitdir:").strip()
        head = (folder / "HEAD").read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return None
    return head.removeprefix("ref: refs/heads/") if head.startswith("ref: refs/heads/") else None


def plan_of_file(path: Path, bindings: Bindings, inputs: Mapping[str, Any], environment: str | None) -> Plan:
    """A new run of a file that somebody else than the user at the keyboard starts. Raises RehearseError."""
    return plan_of_pipeline(load_pipeline(path), bindings, inputs, environment)


def plan_of_pipeline(
    loaded: LoadedPipeline,
    bindings: Bindings,
    inputs: Mapping[str, Any],
    environment: str | None,
    overrides: Mapping[str, Any] = {},
) -> Plan:
    """The same of a pipeline from anywhere. `overrides`: other values of variables. Raises RehearseError."""
    name, variables = environment_of(bindings, environment)
    variables = with_overrides(variables, overrides)
    now = datetime.now(UTC)
    plan = make_plan(loaded, inputs, name, variables, now, undeclared="accept", how=how_here(bindings))
    return replace(plan, branch=branch_of(bindings.root), secrets=SecretVariables(bindings.root))


def refuse_secret_inputs(plan: Plan, given: Iterable[str]) -> None:
    """Inputs are recorded, and whoever takes the run over reads them there. Raises InputError for one that is not stored."""
    stored = storable_inputs(plan)
    folded = {name.lower() for name in given}
    for name in plan.inputs:
        if name.lower() in folded and name not in stored:
            raise InputError(
                f"the input '{name}' looks like a secret, and inputs of runs are recorded",
                f"let the pipeline read secrets.{name.upper()}, or a variable of its connection",
            )


def plan_of_record(record: Mapping[str, Any], bindings: Bindings) -> Plan:
    """The plan of a stored run again: its snapshot, its frozen inputs, its time; variables and bindings of today.

    Values that were secret are not in the record: they are looked up anew. Raises RehearseError when one is not there.
    """
    loaded = load_pipeline(bindings.root / record["folder"] / SNAPSHOT)
    loaded = LoadedPipeline(record["file"], loaded.text, loaded.pipeline, loaded.warnings)
    name, variables = environment_of(bindings, record["environment"])
    variables = with_overrides(variables, overrides_of(record))
    created = datetime.fromisoformat(record["created_at"])
    inputs = record["inputs"]
    plan = make_plan(loaded, inputs, name, variables, created, undeclared="accept", how=how_here(bindings))
    secrets = SecretVariables(bindings.root)
    return replace(plan, alias=record["pipeline"], branch=record["branch"], secrets=secrets)


def overrides_of(record: Mapping[str, Any]) -> dict[str, Any]:
    """The variables of the environment that a stored run was given with --set-env."""
    return dict((record["selection"] or {}).get(OVERRIDES, {}))


def environment_of(bindings: Bindings, name: str | None) -> tuple[str, dict[str, Any]]:
    """The environment of another run: where there is none at all, that run had none either."""
    return bindings.environment(name if bindings.environments else None)


def storable_inputs(plan: Plan) -> dict[str, Any]:
    """The inputs without those that are secret."""
    return {
        name: value for name, value in plan.inputs.items() if plan.shown_inputs[name] == redact(name, value) == value
    }


def folder_name(label: str) -> str:
    """A short name that is safe in a path and a shell; a digest keeps two labels apart that would look the same."""
    import hashlib

    safe = _UNSAFE.sub("_", label)[:80]
    return safe if safe == label != SNAPSHOT else f"{safe}-{hashlib.sha256(label.encode()).hexdigest()[:6]}"


def point_latest(root: Path, folder: str) -> None:
    """`.rehearse/latest` leads to the newest run."""
    link = root / ".rehearse" / "latest"
    temporary = link.with_name(f"latest.{os.getpid()}")
    temporary.symlink_to((root / folder).relative_to(link.parent))
    temporary.replace(link)


_UNSAFE = re.compile(r"[^\w.=@-]+|^\.+")

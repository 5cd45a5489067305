"""Starting a run because something came due."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from rehearse.bindings.config import Bindings
from rehearse.engine.acceptance import Accepted, accept
from rehearse.engine.catalog import Catalog, Entry, with_stored
from rehearse.engine.plans import branch_of, environment_of, plan_of_pipeline
from rehearse.errors import RehearseError, UsageError
from rehearse.language.evaluation import Scope
from rehearse.planning.inputs import Source, default_scope, layer_inputs
from rehearse.store.ids import id_of
from rehearse.store.records import Store

STARTED, SKIPPED, FAILED, PAUSED = "started", "skipped", "failed", "paused"


@dataclass(frozen=True)
class Cause:
    """Why a run starts. `key` makes it start once. `outputs`: what its inputs may read as `outputs`."""

    key: str
    trigger: str
    triggered_by: Mapping[str, Any]
    name: str
    run_inputs: Mapping[str, Any]
    at: datetime
    environment: str | None = None
    branch: str | None = None
    outputs: Mapping[str, Any] | None = None
    given: Mapping[str, Any] | None = None
    """Inputs that were evaluated already."""


def start(root: Path, store: Store, bindings: Bindings, catalog: Catalog, entry: Entry, cause: Cause) -> Accepted:
    """Raises RehearseError: a pipeline that is broken, an input that does not fit, a branch that is not checked out."""
    if found := store.run_with_key(cause.key):
        return Accepted(found["id"], found["status"], False, found["message"])
    here = branch_of(root)
    if cause.branch and here and cause.branch != here and not entry.is_stored:
        raise UsageError(
            f"it wants the branch {cause.branch}, and {here} is checked out", f"git checkout {cause.branch}"
        )
    bindings = with_stored(bindings, store)
    environment = named(bindings, cause.environment)
    loaded = catalog.loaded(entry)
    _, variables = environment_of(bindings, environment)
    scope = replace(default_scope(variables, cause.at), outputs=cause.outputs)
    inputs = inputs_of(loaded.pipeline.inputs, cause, scope)
    plan = replace(plan_of_pipeline(loaded, bindings, inputs, environment), alias=entry.alias)
    version = entry.row["published_version"] if entry.is_stored and entry.row else None
    return accept(
        store,
        root,
        plan,
        key=cause.key,
        trigger=cause.trigger,
        triggered_by=[dict(cause.triggered_by)],
        version=version,
    )


def inputs_of(declared: Mapping[str, Any], cause: Cause, scope: Scope) -> dict[str, Any]:
    sources = [Source(cause.name, cause.run_inputs, scope)]
    if cause.given:
        sources.append(Source(cause.name, cause.given))
    return layer_inputs(declared, *sources)


def named(bindings: Bindings, wanted: str | None) -> str | None:
    """An environment by its name or its id."""
    if wanted is None:
        return None
    return next((name for name in bindings.environments if id_of("environment", name) == wanted.lower()), wanted)


def reason(error: Exception) -> str:
    """Why something could not start, with the next thing to do where it is known."""
    if isinstance(error, RehearseError):
        return f"{error} ({error.hint})" if error.hint else str(error)
    return f"{type(error).__name__}: {error}"

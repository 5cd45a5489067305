"""From a call of `start` to a run that was accepted (sections 2.4 and 7 of the API reference)."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from pydantic import BaseModel

from rehearse.api.errors import ApiError, invalid
from rehearse.api.rows import environment_id
from rehearse.api.service import Service
from rehearse.bindings.config import Bindings
from rehearse.bindings.environments import storable
from rehearse.engine.acceptance import accept
from rehearse.engine.catalog import Catalog, Entry
from rehearse.engine.plans import OVERRIDES, branch_of, overrides_of, plan_of_pipeline, refuse_secret_inputs
from rehearse.errors import InvalidPipeline, MissingInput
from rehearse.language.canonical import canonical_form
from rehearse.planning.inputs import Source, layer_inputs
from rehearse.planning.plan import Plan
from rehearse.planning.selection import Carried, from_failed, previous_of, select
from rehearse.store.database import Row
from rehearse.store.records import Store


class Override(BaseModel):
    """Another value of one variable, for one run."""

    type: Literal["string", "int", "bool", "integration_credential", "STRING", "INT", "BOOL"]
    value: str | bool | int | float


@dataclass(frozen=True)
class Wanted:
    """What a caller asks for. `environment`: name or id. `tasks`: ids; empty means all. `key`: the same one, the same run."""

    branch: str | None = None
    commit: str | None = None
    version: int | None = None
    environment: str | None = None
    overrides: Mapping[str, Override] = field(default_factory=dict)
    inputs: Mapping[str, Any] = field(default_factory=dict)
    tasks: Sequence[str] = ()
    downstream: bool = False
    from_failed: bool = False
    ci_run_id: str | None = None
    key: str | None = None


@dataclass(frozen=True)
class StartedRun:
    pipeline_id: str
    run_id: str
    message: str


def start(service: Service, id_or_alias: str, wanted: Wanted) -> StartedRun:
    """Raises ApiError, RehearseError."""
    store = service.store
    catalog = Catalog(service.files, store)
    entry = catalog.find(id_or_alias)
    if entry is None:
        raise ApiError(404, "Pipeline not found")
    if entry.paused:
        raise ApiError(400, "Pipeline is paused")
    _refuse_other_checkout(service, entry, wanted)
    bindings = service.all_bindings()
    previous = store.last_failed(entry.alias, wanted.ci_run_id) if wanted.from_failed else None
    plan, carried, selection = _plan(catalog, entry, bindings, store, wanted, previous)
    trigger = "RESTART_FROM_FAILED" if previous else "RESTART_FROM_TASKS" if wanted.tasks else "WEBHOOK"
    accepted = accept(
        store, service.root, plan, carried, key=wanted.key, trigger=trigger, triggered_by=[{"triggerType": trigger}],
        selection=selection or None, previous_run=previous["id"] if previous else None, ci_run_id=wanted.ci_run_id,
        commit_sha=wanted.commit, version=_version(entry, wanted),
    )  # fmt: skip
    said = "Pipeline run created successfully" if accepted.is_new else "This key has started that pipeline run already"
    return StartedRun(entry.id, accepted.run_id, accepted.message or said)


def _plan(
    catalog: Catalog, entry: Entry, bindings: Bindings, store: Store, wanted: Wanted, previous: Row | None
) -> tuple[Plan, Mapping[str, Carried], dict[str, Any]]:
    try:
        loaded = catalog.loaded(entry, wanted.version)
    except InvalidPipeline as e:
        shown = "; ".join(str(problem) for problem in e.problems[:3])
        raise ApiError(400, f"The pipeline {entry.alias} is not valid: {shown}") from e
    given: Mapping[str, Any] = {**_webhook_inputs(loaded), **wanted.inputs}
    environment = environment_named(bindings, wanted.environment)
    overrides: dict[str, Any] = {name: override.value for name, override in wanted.overrides.items()}
    if previous is not None:
        given = layer_inputs(
            loaded.pipeline.inputs, Source("the earlier run", previous["inputs"]), Source("runInputs", given)
        )
        environment = environment or previous["environment"]
        overrides = overrides_of(previous) | overrides
    try:
        plan = replace(plan_of_pipeline(loaded, bindings, given, environment, overrides), alias=entry.alias)
        refuse_secret_inputs(plan, wanted.inputs)
    except MissingInput as e:
        raise ApiError(400, f"Missing required pipeline input: {', '.join(e.names)}") from e
    selection: dict[str, Any] = {OVERRIDES: dict(storable(overrides))} if overrides else {}
    if previous is not None:
        plan, carried = from_failed(plan, previous_of(store.task_runs(previous["id"])))
        return plan, carried, selection | {"from_failed": previous["id"]}
    if wanted.tasks:
        known = {task.id for task in plan.tasks}
        unknown = [task for task in wanted.tasks if task not in known]
        if unknown:
            raise ApiError(400, f"The pipeline has no task '{unknown[0]}'")
        chosen = {"tasks": list(wanted.tasks), "continue_downstream": wanted.downstream}
        return select(plan, wanted.tasks, wanted.downstream), {}, selection | chosen
    return plan, {}, selection


def _webhook_inputs(loaded: Any) -> dict[str, Any]:
    webhook = loaded.pipeline.webhook
    return dict(webhook.run_inputs or {}) if webhook is not None else {}


def _version(entry: Entry, wanted: Wanted) -> int | None:
    if not entry.is_stored or entry.row is None:
        return None
    published: int | None = entry.row["published_version"]
    return wanted.version or published


def environment_named(bindings: Bindings, wanted: str | None) -> str | None:
    """By name or id. Raises ApiError."""
    if wanted is None:
        return None
    for name in bindings.environments:
        if wanted == name or wanted.lower() == environment_id(name):
            return name
    if not bindings.environments:
        return wanted  # where there are none at all, every name is as good
    raise ApiError(404, f"Environment not found: {wanted[:200]}")


def names_of_environments(service: Service, ids: Sequence[str]) -> list[str]:
    """Of runs, by the ids of their environments. Those of rehearse.toml and of the store are known, and `local`."""
    names = {*service.all_bindings().environments, "local"}
    return [name for name in names if environment_id(name) in {text.lower() for text in ids}]


def _refuse_other_checkout(service: Service, entry: Entry, wanted: Wanted) -> None:
    """A file runs as it lies in the working tree. Asking for another branch or commit must not run this one."""
    if entry.is_stored:
        return
    if wanted.commit and not wanted.branch and wanted.version is not None:
        raise invalid(["body", "versionNumber"], "A file has no versions")
    here = branch_of(service.root)
    if wanted.branch and here and wanted.branch != here:
        raise ApiError(400, f"rehearse runs the working tree, which is on the branch {here}, not {wanted.branch}")
    if wanted.commit:
        head = _head(service)
        if head and not head.startswith(wanted.commit.lower()):
            raise ApiError(400, f"rehearse runs the working tree, which is at {head[:12]}, not {wanted.commit[:40]}")


def _head(service: Service) -> str | None:
    try:
        done = subprocess.run(
            ["git", "rev-parse", "HEAD"],
            cwd=service.root,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=10,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def definition_of(row: Mapping[str, Any]) -> dict[str, Any] | None:
    """The definition that a run executes, in the API's own form; None when it cannot be read any more."""
    return canonical_form(row["definition"])

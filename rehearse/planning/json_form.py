"""A plan as one JSON document."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC
from typing import Any

from rehearse.planning.inputs import plain
from rehearse.planning.matrix import item_keys
from rehearse.planning.outlook import foresee
from rehearse.planning.plan import SCHEMA_VERSION, Plan, PlannedGroup, PlannedMatrix, PlannedTask
from rehearse.planning.preview import Preview


def to_json(plan: Plan) -> dict[str, Any]:
    """JSON types only, secrets masked, all in the order of the file. `schema_version` counts incompatible changes."""
    outlook = foresee(plan)
    return {
        "schema_version": SCHEMA_VERSION,
        "pipeline": plan.alias,
        "name": plan.name,
        "file": plan.file,
        "created_at": f"{plan.created_at.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%fZ}",
        "environment": plan.environment,
        "env": plain(plan.shown_env),
        "inputs": plain(plan.shown_inputs),
        "max_active": plan.max_active,
        "alerts": len(plan.alerts),
        "task_runs": outlook.task_runs,
        "simulated": [task.id for task in outlook.simulated],
        "cannot_run_here": [task.id for task in outlook.not_here],
        "groups": [_group(group, plan.previews(group), outlook.skips) for group in plan.groups],
    }


def _group(group: PlannedGroup, previews: Mapping[str, list[Preview]], skips: Mapping[str, str]) -> dict[str, Any]:
    return {
        "id": group.id,
        "name": group.name,
        "depends_on": list(group.depends_on),
        "condition": group.condition,
        "paused": group.paused,
        "matrix": _matrix(group.matrix) if group.matrix else None,
        "tasks": [_task(task, previews[task.id], skips.get(task.id), group.iterations) for task in group.tasks],
    }


def _matrix(matrix: PlannedMatrix) -> dict[str, Any]:
    return {
        "key": matrix.key,
        "source": plain(matrix.shown_source),
        "items": None if matrix.shown is None else plain(matrix.shown),
        "keys": None if matrix.shown is None else item_keys(matrix.shown),
        "waits_for": list(matrix.waits_for),
        "problem": matrix.problem,
        "max_parallel": matrix.max_parallel,
        "sequential": matrix.sequential,
        "continue_on_error": matrix.continue_on_error,
    }


def _task(task: PlannedTask, previews: list[Preview], skip: str | None, iterations: int | None) -> dict[str, Any]:
    return {
        "id": task.id,
        "name": task.name,
        "integration": task.integration,
        "integration_job": task.job,
        "connection": task.connection,
        "depends_on": list(task.depends_on),
        "condition": task.condition,
        "tags": list(task.tags),
        "retries": task.retries,
        "retry_delay_minutes": task.retry_delay_minutes,
        "timeout_seconds": task.timeout_seconds,
        "treat_failure_as_warning": task.treat_failure_as_warning,
        "paused": task.paused,
        "alerts": len(task.alerts),
        "runs": " or ".join(task.runs),
        "selected": task.selected,
        "carried": task.carried,
        "skipped": skip,
        "parameters": plain(task.parameters),
        "previews": [_preview(filled) for filled in previews],
        "previews_left_out": max(0, (iterations or 0) - len(previews)),
    }


def _preview(filled: Preview) -> dict[str, Any]:
    return {
        "item": filled.item,
        "name": filled.name,
        "connection": filled.connection,
        "parameters": filled.parameters,
        "dynamic": list(filled.dynamic),
        "problems": list(filled.problems),
    }

"""DATA_RECONCILIATION_MANUAL_QUERY and _CURSOR_FIELD (section 9.8): two sides, each with a connection of its own.

Any two SQL integrations can be compared here; the platform takes DATABRICKS, SNOWFLAKE and SQL_SERVER.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

from rehearse.bindings.config import Connection
from rehearse.jobs.base import Attempt, JobError, Launch
from rehearse.jobs.sql import launch
from rehearse.jobs.sql_targets import OVERRIDES, Target, target_of

SIDES = ("source", "destination")


def prepare(job: str, parameters: Mapping[str, Any], connection: Connection | None, attempt: Attempt) -> Launch:
    targets = [_side(job, side, parameters, attempt) for side in SIDES]
    request = (
        {
            "do": "values",
            "queries": [str(parameters[f"{side}_query"]) for side in SIDES],
            "error": parameters.get("error_threshold_expression"),
            "warn": parameters.get("warn_threshold_expression"),
        }
        if job.endswith("_MANUAL_QUERY")
        else _cursor_request(parameters, attempt, targets)
    )
    return launch(attempt, connection, {**request, "name": _name(parameters)}, targets)


def _side(job: str, side: str, parameters: Mapping[str, Any], attempt: Attempt) -> Target:
    integration = str(parameters.get(f"{side}_integration") or "")
    connection = attempt.connections(integration, parameters.get(f"{side}_connection_id"))
    overrides = {name: parameters.get(f"{side}_{name}") for name in OVERRIDES}
    return target_of(integration, connection, attempt.root, overrides, f"the {side} of {job}")


def _name(parameters: Mapping[str, Any]) -> str:
    first, second = (parameters.get(f"{side}_table_name") or parameters[f"{side}_integration"] for side in SIDES)
    return f"{first} and {second}"


def _cursor_request(parameters: Mapping[str, Any], attempt: Attempt, targets: list[Target]) -> dict[str, Any]:
    checks = {
        what: {"error": parameters.get(f"detect_{what}_drift_error_threshold_expression") or "> 0",
               "warn": parameters.get(f"detect_{what}_drift_warn_threshold_expression") or "> 0"}
        for what in ("count", "max")
        if parameters.get(f"detect_{what}_drift")
    }  # fmt: skip
    if not checks:
        raise JobError("nothing is compared: detect_count_drift and detect_max_drift are both off", "set one to true")
    columns = [
        {"table": str(parameters[f"{side}_table_name"]), "column": str(parameters[f"{side}_column_name"])}
        for side in SIDES
    ]
    return {
        "do": "cursor",
        "columns": columns,
        "checks": checks,
        "override": parameters.get("cursor_field_cache_override"),
        "cache": str(_cache(attempt, columns, targets)) if parameters.get("query_from_cursor_field_cache") else None,
    }


def _cache(attempt: Attempt, columns: list[dict[str, str]], targets: list[Target]) -> Any:
    """The file of the cursor: one for each pair of columns, wherever they are compared."""
    places = [
        [
            target["integration"],
            target["connection"],
            target["options"].get("database"),
            target["options"].get("schema"),
        ]
        for target in targets
    ]
    digest = hashlib.sha256(json.dumps([columns, places], sort_keys=True).encode()).hexdigest()[:12]
    readable = re.sub(r"[^A-Za-z0-9_.-]+", "_", f"{columns[0]['table']}--{columns[1]['table']}")[:80]
    return attempt.root / ".rehearse" / "cursors" / f"{readable}-{digest}.json"

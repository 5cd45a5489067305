"""Operations out of what dbt writes: manifest.json with run_results.json or sources.json. Only the standard library: the dbt
host uses it also in a task's own environment.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

_TYPES = {
    "model": "MATERIALISATION", "seed": "SEED", "snapshot": "SNAPSHOT", "test": "TEST", "unit_test": "TEST",
    "source": "SOURCE", "operation": "OPERATION", "function": "OPERATION",
}  # fmt: skip
_STATUSES = {
    "success": "SUCCEEDED", "pass": "SUCCEEDED", "reused": "SUCCEEDED", "warn": "WARNING", "skipped": "SKIPPED",
    "no-op": "SKIPPED",
}  # fmt: skip  # everything else (error, fail, runtime error, partial success) makes dbt fail
_INTEGRATIONS = {
    "bigquery": "GCP_BIG_QUERY", "redshift": "AWS_REDSHIFT", "fabric": "FABRIC_SYNAPSE", "synapse": "FABRIC_SYNAPSE",
    "sqlserver": "SQL_SERVER", "spark": "DATABRICKS",
}  # fmt: skip  # other adapters are called as their integration is
_VIEWS = ("view", "materialized_view", "external")
_WITHOUT_RELATION = ("ephemeral", "inline")


def operations_of_dbt(folder: Path) -> list[dict[str, Any]]:
    """What one dbt command did: an operation for each model, seed, snapshot, test, source freshness and hook.

    `folder` has its artifacts. `rows`: those that the warehouse says it wrote; of a test, those that failed it. Without
    results, or when an artifact cannot be read, there are none.
    """
    manifest = _read(folder / "manifest.json")
    return [
        operation
        for name in ("run_results.json", "sources.json")
        for result in _read(folder / name).get("results", ())
        if (operation := _operation(result, manifest)) is not None
    ]


def statuses(folder: Path) -> Iterator[tuple[str, str]]:
    """(name, dbt's own status) of each result of one command."""
    for file in ("run_results.json", "sources.json"):
        for result in _read(folder / file).get("results", ()):
            parts = str(result.get("unique_id", "")).split(".")
            yield parts[2] if len(parts) > 2 else parts[-1], str(result.get("status"))


def relation_name(node: Mapping[str, Any]) -> str | None:
    """`database.schema.identifier` of a node or a source; None for what is no relation."""
    if node.get("resource_type") not in ("model", "seed", "snapshot", "source"):
        return None
    if (node.get("config") or {}).get("materialized") in _WITHOUT_RELATION:
        return None
    parts = (node.get("database"), node.get("schema"), node.get("identifier") or node.get("alias") or node.get("name"))
    return ".".join(str(part) for part in parts if part)


def _operation(result: Mapping[str, Any], manifest: Mapping[str, Any]) -> dict[str, Any] | None:
    name = str(result.get("unique_id"))
    node = _node(name, manifest)
    kind = _TYPES.get(name.split(".")[0])
    if kind is None:
        return None
    status = _STATUSES.get(str(result.get("status")), "FAILED")
    timing = [step for step in result.get("timing") or () if step.get("started_at")]
    ends = [step["completed_at"] for step in timing if step.get("completed_at")]
    return {
        "type": kind,
        "name": name,
        "status": status,
        "message": result.get("message") or result.get("error") if status != "SUCCEEDED" else None,
        "started_at": min((step["started_at"] for step in timing), default=None),
        "ended_at": max(ends, default=None),
        "rows": _rows(kind, result),
        "asset": _asset(node, manifest) if kind != "TEST" else None,
        "upstream": list(dict.fromkeys(_upstream(node, manifest, set()))),
    }


def _rows(kind: str, result: Mapping[str, Any]) -> int | None:
    rows = result.get("failures") if kind == "TEST" else (result.get("adapter_response") or {}).get("rows_affected")
    return rows if isinstance(rows, int) and rows >= 0 else None  # some warehouses answer -1: they do not know


def _asset(node: Mapping[str, Any], manifest: Mapping[str, Any]) -> dict[str, Any] | None:
    name = relation_name(node)
    if name is None:
        return None
    adapter = str((manifest.get("metadata") or {}).get("adapter_type") or "unknown")
    is_view = (node.get("config") or {}).get("materialized") in _VIEWS
    integration = _INTEGRATIONS.get(adapter, adapter.upper())
    return {"integration": integration, "name": name, "type": "VIEW" if is_view else "TABLE"}


def _upstream(node: Mapping[str, Any], manifest: Mapping[str, Any], seen: set[str]) -> Iterator[str]:
    """The relations that a node reads; an ephemeral model stands for what it reads itself."""
    for name in (node.get("depends_on") or {}).get("nodes") or ():
        if name in seen:
            continue
        seen.add(name)
        above = _node(name, manifest)
        relation = relation_name(above)
        if relation is not None:
            yield relation
        elif above.get("resource_type") == "model":
            yield from _upstream(above, manifest, seen)


def _node(name: str, manifest: Mapping[str, Any]) -> Mapping[str, Any]:
    for group in ("nodes", "sources", "unit_tests"):
        if (node := (manifest.get(group) or {}).get(name)) is not None:
            found: Mapping[str, Any] = node
            return found
    return {}


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}

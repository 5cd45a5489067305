"""SNOWFLAKE_SCHEMA_VALIDATION (section 9.3): one column of a table against what is expected of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rehearse.bindings.config import Connection
from rehearse.jobs.base import Attempt, JobError, Launch
from rehearse.jobs.sql import launch
from rehearse.jobs.sql_targets import target_of

_TEXTS = ("table_name", "column_name", "expected_type")
_FLAGS = ("is_nullable", "is_primary_key", "is_unique")


def prepare(job: str, parameters: Mapping[str, Any], connection: Connection | None, attempt: Attempt) -> Launch:
    target = target_of("SNOWFLAKE", connection, attempt.root, parameters, job)
    if target["engine"] not in ("duckdb", "snowflake"):
        raise JobError(
            f"connection '{target['connection']}' is {target['where']}, and {job} looks at Snowflake or DuckDB only",
            "give the connection a 'path', or mode = \"remote\" with the fields of Snowflake",
        )
    request: dict[str, Any] = {"do": "schema", "name": f"{parameters['table_name']}.{parameters['column_name']}"}
    request |= {name: str(parameters[name]) for name in _TEXTS}
    request |= {name: _flag(name, parameters[name]) for name in _FLAGS}
    return launch(attempt, connection, request, [target])


def _flag(name: str, value: Any) -> bool:
    """Also as an expression leaves it: True or 'true'."""
    text = str(value).lower()
    if text not in ("true", "false"):
        raise JobError(f"{name} must be true or false, not {value!r}")
    return text == "true"

"""The *_RUN_QUERY and *_RUN_TEST families (sections 9.6 and 9.7).

A connection with `path` is a DuckDB file, one with `url` a PostgreSQL server. A job of another warehouse whose connection
is bound to DuckDB is transpiled from that warehouse's dialect.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rehearse.bindings.config import Connection
from rehearse.errors import BindingError
from rehearse.jobs.base import Attempt, Launch, Step

_HOST = Path(__file__).with_name("sql_host.py")
_DIALECTS = {
    "POSTGRES": "postgres", "SNOWFLAKE": "snowflake", "GCP": "bigquery", "DATABRICKS": "databricks", "FABRIC": "tsql",
    "SQL": "tsql", "MYSQL": "mysql", "CLICKHOUSE": "clickhouse", "AWS": "redshift",
}  # fmt: skip


def prepare(job: str, parameters: Mapping[str, Any], connection: Connection | None, attempt: Attempt) -> Launch:
    if connection is None:
        raise BindingError(f"{job} names no connection and none is the default", "add one to rehearse.toml")
    path, url = connection.get("path"), connection.get("url")
    if not path and not url:
        raise BindingError(f"connection '{connection.id}' has neither 'path' (DuckDB) nor 'url' (PostgreSQL)")
    is_test = "RUN_TEST" in job or "DQ_TEST" in job or "QUALITY_TEST" in job
    request = {
        "sql": parameters.get("statement") or parameters.get("query"),
        "path": str(attempt.root / path) if path else None,
        "url": url,
        "dialect": _DIALECTS.get(job.split("_")[0]),
        "set_outputs": bool(parameters.get("set_outputs")),
        "error": (parameters.get("error_threshold_expression") or "> 0") if is_test else None,
        "warn": (parameters.get("warn_threshold_expression") or "> 0") if is_test else None,
    }
    # In the environment, not in the arguments: the URL has a password, and arguments are visible to every user.
    env = attempt.environment(connection) | {"REHEARSE_SQL": json.dumps(request)}
    return Launch([Step(["python", str(_HOST), str(attempt.folder)], env, attempt.root)])

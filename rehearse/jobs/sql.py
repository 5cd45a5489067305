"""The *_RUN_QUERY and *_RUN_TEST families (sections 9.6 and 9.7): run by `sql_host`, in a process of their own.

A connection with `path` is a DuckDB file, one with `url` a PostgreSQL server; SQL of another warehouse is translated for
them. With mode = "remote" the warehouse's own client runs it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rehearse.bindings.config import Connection
from rehearse.jobs.base import Attempt, JobError, Launch, host_step
from rehearse.jobs.sql_targets import pack, secrets_of, target_of
from rehearse.language.integrations import INTEGRATION_OF

_DEFAULT_THRESHOLD = "> 0"


def prepare(job: str, parameters: Mapping[str, Any], connection: Connection | None, attempt: Attempt) -> Launch:
    target = target_of(INTEGRATION_OF[job], connection, attempt.root, parameters, job)
    sql = str(parameters.get("statement") or parameters.get("query") or "")
    if not sql.strip():
        raise JobError(f"{job} has no SQL", "give it in 'statement' or 'query'")
    request: dict[str, Any] = {"do": "query", "sql": sql, "set_outputs": bool(parameters.get("set_outputs"))}
    if is_test(job):
        request = {
            "do": "test",
            "sql": sql,
            "error": parameters.get("error_threshold_expression") or _DEFAULT_THRESHOLD,
            "warn": parameters.get("warn_threshold_expression") or _DEFAULT_THRESHOLD,
        }
    return launch(attempt, connection, request, [target])


def is_test(job: str) -> bool:
    return job.endswith(("_RUN_TEST", "_DQ_TEST", "_QUALITY_TEST"))


def launch(attempt: Attempt, connection: Connection | None, request: dict[str, Any], targets: list[Any]) -> Launch:
    env = attempt.environment(connection) | pack({**request, "targets": targets})
    secrets = tuple(secret for target in targets for secret in secrets_of(target))
    return Launch([host_step("sql_host", env, attempt.root)], secrets)

"""Which module does which job."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from rehearse.bindings.config import Connection
from rehearse.jobs.base import Job
from rehearse.language.parameters import PARAMETERS

_ENGINE_JOBS = ("WAIT", "APPROVAL", "TRIGGER_PIPELINE")
_MESSAGES = dict.fromkeys(("SEND_SLACK_MESSAGE", "SEND_MICROSOFT_TEAMS_MESSAGE", "AWS_SES_SEND_EMAIL"), "messages")
_CALLS = _MESSAGES | {
    "HTTP_REQUEST": "http_request",
    "HTTP_REQUEST_ASYNC": "http_request",
    "AWS_S3_GET_FILE": "s3_files",
    "AWS_S3_PUT_FILE": "s3_files",
    "SFTP_GET_FILE": "sftp_files",
    "SFTP_PUT_FILE": "sftp_files",
    "LINUX_SSH_EXECUTE_COMMAND": "ssh_command",
    "WINDOWS_SSH_COMMAND": "ssh_command",
}
"""Jobs that call another system: without a connection there is none to call."""
_PROCESS_JOBS = {
    "PYTHON_EXECUTE_SCRIPT": "python",
    "DBT_CORE_EXECUTE": "dbt_core",
    "DATA_RECONCILIATION_MANUAL_QUERY": "reconciliation",
    "DATA_RECONCILIATION_CURSOR_FIELD": "reconciliation",
    "SNOWFLAKE_SCHEMA_VALIDATION": "schema_validation",
    **dict.fromkeys(_ENGINE_JOBS, "orchestra"),
    **_CALLS,
}


def needs_no_process(job: str) -> bool:
    """Whether the engine does this job itself, without a worker."""
    return job in _ENGINE_JOBS


def module_of(job: str) -> str | None:
    """The family that can run this job on this machine, or None."""
    takes_sql = not {"statement", "query"}.isdisjoint(PARAMETERS.get(job, ()))
    return _PROCESS_JOBS.get(job) or ("sql" if takes_sql else None)


def how(job: str, connection: Connection | None) -> str:
    """`local`, `remote`, `recorded`, `stub`, `outbox` (a message that is only written down) or `unsupported`: what will become
    of a task. Shown by `plan` and in every summary."""
    if connection is not None and connection.mode in ("stub", "recorded"):
        return connection.mode
    if connection is not None and connection.mode == "local" and job in _MESSAGES:
        return "outbox"
    is_possible = module_of(job) and (connection or job not in _CALLS)
    if not is_possible:
        return "unsupported"
    return "remote" if connection is not None and connection.mode == "remote" else "local"


def find_job(job: str, connection: Connection | None) -> Job:
    """The function that prepares this job."""
    kind = how(job, connection)
    family = kind if kind in ("stub", "recorded") else module_of(job) or "stub"
    found: Job = import_module(f"rehearse.jobs.{family}").prepare
    return found


def preload_of(job: str, parameters: Mapping[str, Any], root: Path) -> tuple[str, ...]:
    """The modules that a warm process for this task should have, as far as that is known before it starts."""
    project = parameters.get("project_dir") or "."
    if job != "DBT_CORE_EXECUTE" or "${{" in str(project):
        return ()
    from rehearse.jobs.dbt_core import preload

    return preload(root / str(project))

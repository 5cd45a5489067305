"""PYTHON_EXECUTE_SCRIPT: a command of the repository, or code written in the pipeline (section 9.4).

The project's own environment is used, so `build_command` is not executed here; `plan` says so.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

from rehearse.bindings.config import Connection
from rehearse.jobs.base import Attempt, JobError, Launch, Step


def prepare(job: str, parameters: Mapping[str, Any], connection: Connection | None, attempt: Attempt) -> Launch:
    cwd = attempt.directory(parameters.get("project_dir"))
    env = attempt.environment(connection, parameters.get("environment_variables"))
    if parameters.get("source") == "INLINE":
        script = attempt.folder / "inline.py"
        script.write_text(str(parameters["code"]), encoding="utf-8")
        return Launch([Step(["python", str(script)], env, cwd)])
    command = str(parameters["command"])
    try:
        argv = shlex.split(command)  # no shell ever sees it: `;`, `|` and `$( )` are plain characters
    except ValueError as e:
        raise JobError(f"the command cannot be split into words: {e}: {command}") from e
    if not argv or argv[0] not in ("python", "poetry", "uv"):
        raise JobError(f"the command must start with python, poetry or uv: {command}")
    return Launch([Step(argv, env, cwd)])

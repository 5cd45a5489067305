"""PYTHON_EXECUTE_SCRIPT: a command of the repository, or code written in the pipeline (section 9.4).

The project's own environment is used, so `build_command` is not executed; `plan` says so. With `--isolate` the task gets
an environment of its own, made by `build_command` (see `environments`).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rehearse.bindings.config import Connection
from rehearse.jobs import environments
from rehearse.jobs.base import Attempt, JobError, Launch, Step
from rehearse.jobs.commands import check_passable, check_program, own_secrets, split_command

DLT_FOLDER = "dlt_data"
"""In an attempt's folder: what dlt keeps between its steps. On the platform, too, it is gone with the task."""


def prepare(job: str, parameters: Mapping[str, Any], connection: Connection | None, attempt: Attempt) -> Launch:
    cwd = attempt.directory(parameters.get("project_dir"))
    env = attempt.environment(connection, parameters.get("environment_variables"))
    env.setdefault("DLT_DATA_DIR", str(attempt.folder / DLT_FOLDER))
    if parameters.get("source") == "INLINE":
        # -P: the folder of the script is the attempt's. The repository is where its imports come from.
        argv = ["python", "-P", str(_written(str(parameters["code"]), attempt.folder))]
        env["PYTHONPATH"] = os.pathsep.join(filter(None, [str(cwd), env.get("PYTHONPATH")]))
    else:
        argv = split_command(str(parameters["command"]))
    check_passable(argv, env)
    secrets = own_secrets(parameters.get("environment_variables"))
    if attempt.isolate:
        environment = environments.of_python_task(parameters, cwd, attempt)
        return Launch(
            [environment.build_step(env), environment.step(argv, env, cwd)], (*secrets, *environment.secrets())
        )
    check_program(argv, env)
    return Launch([Step(argv, env, cwd)], secrets)


def _written(code: str, folder: Path) -> Path:
    """The code as a file. Raises JobError when it is no text."""
    if "\0" in code:
        raise JobError("the code holds a NUL character, which Python does not read", "write it as \\0 in the code")
    script = folder / "inline.py"
    try:
        script.write_text(code, encoding="utf-8", newline="")
    except UnicodeEncodeError as e:
        raise JobError(f"the code holds half of a character ({code[e.start]!r})", "correct the text") from e
    return script

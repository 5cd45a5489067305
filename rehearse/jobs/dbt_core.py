"""DBT_CORE_EXECUTE: dbt commands, one after another, in one process (section 9.5)."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rehearse.bindings.config import Connection
from rehearse.jobs.base import Attempt, JobError, Launch, Step

_HOST = Path(__file__).with_name("dbt_host.py")
_SEPARATORS = re.compile(r"""((?:'[^']*'|"[^"]*"|[^;'"])*)(?:;|$)""")


def split_commands(text: str) -> list[list[str]]:
    """`dbt a; dbt b --vars '{x: ";"}'` to argument lists without the leading `dbt`. Line breaks are blanks, except that a
    line beginning with `dbt ` starts a command. Raises JobError."""
    commands: list[list[str]] = []
    for part in (match.group(1) for match in _SEPARATORS.finditer(text)):
        for line in re.split(r"\n(?=\s*dbt\s)", part):
            try:
                words = shlex.split(line)
            except ValueError as e:
                raise JobError(f"the dbt command cannot be split into words: {e}: {line.strip()}") from e
            if not words:
                continue
            if words[0] != "dbt":
                raise JobError(f"every command must start with dbt: {line.strip()}")
            commands.append(words[1:])
    if not commands:
        raise JobError("there is no dbt command")
    return commands


def prepare(job: str, parameters: Mapping[str, Any], connection: Connection | None, attempt: Attempt) -> Launch:
    cwd = attempt.directory(parameters.get("project_dir"))
    if not (cwd / "dbt_project.yml").is_file():
        raise JobError(f"there is no dbt_project.yml in {cwd}", "project_dir names the folder of the dbt project")
    env = attempt.environment(connection, parameters.get("environment_variables"))
    commands = split_commands(str(parameters["commands"]))
    argv = ["python", str(_HOST), str(attempt.folder), json.dumps(commands)]
    return Launch([Step(argv, env, cwd)])

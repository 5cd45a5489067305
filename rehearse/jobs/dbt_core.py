"""DBT_CORE_EXECUTE: dbt commands, one after another, in one process (section 9.5)."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from rehearse.bindings.config import Connection
from rehearse.jobs import environments
from rehearse.jobs.base import Attempt, JobError, Launch, host_step
from rehearse.jobs.commands import check_passable, own_secrets
from rehearse.jobs.dbt_host import VARIABLE

_SEPARATORS = re.compile(r"""((?:'[^']*'|"[^"]*"|[^;'"])*)(?:;|$)""")
_ADAPTER = re.compile(r"""^[\s{,]*type:\s*['"]?([a-z0-9_]+)|[{,]\s*type:\s*['"]?([a-z0-9_]+)""", re.MULTILINE)
_AT_START = ("PYTHON", "LD_")  # variables that mean something only when a process starts


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
    commands = split_commands(str(parameters["commands"]))
    if not (cwd / "dbt_project.yml").is_file() and not any(
        "--project-dir" in word for words in commands for word in words
    ):
        raise JobError(f"there is no dbt_project.yml in {cwd}", "project_dir names the folder of the dbt project")
    env = attempt.environment(connection, parameters.get("environment_variables"))
    if connection is not None and (profiles := _profiles_dir(connection, attempt)) is not None:
        env.setdefault("DBT_PROFILES_DIR", str(profiles))
    request = {
        "folder": str(attempt.folder), "root": str(attempt.root), "commands": commands,
        "production": parameters.get("production_run_identifier") or None,
        "stateful": bool(parameters.get("use_state_orchestration")),
    }  # fmt: skip
    env[VARIABLE] = json.dumps(request)
    check_passable([word for command in commands for word in command], env)
    secrets = own_secrets(parameters.get("environment_variables"))
    if attempt.isolate:
        environment = environments.of_dbt_task(parameters, cwd, attempt)
        host = str(Path(__file__).with_name("dbt_host.py"))
        steps = [environment.build_step(env), environment.step(["python", "-P", host], env, cwd)]
        return Launch(steps, (*secrets, *environment.secrets()))
    step = host_step("dbt_host", env, cwd, preload=preload(cwd, env.get("DBT_PROFILES_DIR")))
    if any(name.startswith(_AT_START) and name != "PYTHONUNBUFFERED" for name in env):
        step = replace(step, call=None, preload=())
    return Launch([step], secrets)


def preload(project: Path, profiles_dir: str | Path | None = None) -> tuple[str, ...]:
    """The modules of a warm process for tasks of this project: the adapters that its profiles name, and dbt itself. Empty
    where dbt is not installed; then the task says so."""
    folders = [project / profiles_dir] if profiles_dir else [project, Path.home() / ".dbt"]
    for folder in folders:
        try:
            text = (folder / "profiles.yml").read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            continue
        named = sorted({first or second for first, second in _ADAPTER.findall(text)})
        adapters = [f"dbt.adapters.{name}" for name in named if _is_installed(f"dbt.adapters.{name}")]
        return (*adapters, "rehearse.jobs.dbt_warm") if adapters else ()
    return ()


def _is_installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ImportError:
        return False


def _profiles_dir(connection: Connection, attempt: Attempt) -> Path | None:
    """The folder with the connection's profiles.yml: `profiles_dir`, or `profiles`, which is a file or the text itself.

    The text is taken as it is: its secrets come by `env_var()`, and so are never written to a file. Raises JobError.
    """
    if directory := connection.get("profiles_dir"):
        found = attempt.root / directory
        if not (found / "profiles.yml").is_file():
            raise JobError(
                f"connection '{connection.id}': there is no profiles.yml in {found}", "correct its profiles_dir"
            )
        return found
    text = connection.fields.get("profiles")
    if not text:
        return None
    text = str(text)
    if "\n" not in text:
        path = attempt.root / (connection.get("profiles") or "")
        if path.name == "profiles.yml" and path.is_file():
            return path.parent
        try:
            text = path.read_text(encoding="utf-8")
        except OSError as e:
            raise JobError(f"connection '{connection.id}': {e}", "profiles is a file, or the text of one") from e
    folder = attempt.folder / "profiles"
    folder.mkdir(mode=0o700, exist_ok=True)
    (folder / "profiles.yml").write_text(text, encoding="utf-8")
    return folder

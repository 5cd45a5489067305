"""What a job family is given and what it gives back."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rehearse.bindings.config import Connection
from rehearse.errors import RehearseError

_INHERITED = ("PATH", "HOME", "USER", "LANG", "LC_ALL", "TZ", "TMPDIR", "VIRTUAL_ENV", "SSL_CERT_FILE", "SSL_CERT_DIR",
              "REQUESTS_CA_BUNDLE", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy")  # fmt: skip
_QUIET = {"DO_NOT_TRACK": "1", "RUNTIME__DLTHUB_TELEMETRY": "false", "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
          "PYTHONUNBUFFERED": "1", "NO_COLOR": "1"}  # fmt: skip


class JobError(RehearseError):
    """The job cannot be started with these parameters; the attempt is FAILED with this message."""

    exit_code = 1


@dataclass(frozen=True)
class Attempt:
    """The circumstances of one attempt. `folder` is its own, for log, script and artifacts; `root` is the repository.

    `isolate`: whether the task gets an environment of its own instead of the project's.
    """

    root: Path
    folder: Path
    run_id: str
    task_run_id: str
    number: int
    webhook_token: str
    task_id: str = ""
    item: str | None = None
    isolate: bool = False
    connections: Callable[[str, str | None], Connection | None] = lambda integration, connection_id: None
    """(integration, connection id) -> another connection than the task's own."""
    links: tuple[str, ...] = ()
    """Connections whose values the task sees as variables, beside its own."""

    def environment(self, connection: Connection | None, own: str | Mapping[str, Any] | None = None) -> dict[str, str]:
        """An allowlisted environment, then ORCHESTRA_*, the connection's secrets, and the task's own JSON (section 10)."""
        env = {name: os.environ[name] for name in _INHERITED if name in os.environ} | _QUIET
        # Tasks use the environment that rehearse is installed in, whether or not the caller has activated it.
        env["PATH"] = os.pathsep.join([os.path.dirname(sys.executable), env.get("PATH", os.defpath)])
        env |= connection.variables() if connection else {}
        for link in self.links:
            linked = self.connections("", link)
            env |= linked.exported() if linked else {}
        env |= _own_variables(own)
        return env | {
            "ORCHESTRA_API_KEY": self.webhook_token,
            "ORCHESTRA_TASK_RUN_ID": self.task_run_id,
            "ORCHESTRA_PIPELINE_RUN_ID": self.run_id,
            "ORCHESTRA_TASK_ATTEMPT_NUMBER": str(self.number),
        }  # ORCHESTRA_WEBHOOK_URL comes from the supervisor, which is the webhook

    def directory(self, project_dir: str | None) -> Path:
        """The working directory of a task. Raises JobError when it is missing or outside the repository."""
        path = (self.root / (project_dir or ".")).resolve()
        if not path.is_relative_to(self.root.resolve()):
            raise JobError(f"project_dir '{project_dir}' is outside the repository")
        if not path.is_dir():
            raise JobError(f"project_dir '{project_dir}' does not exist in {self.root}")
        return path


@dataclass(frozen=True)
class Step:
    """One process. `call` is the same program as `module:function`, for a warm process that has `preload` imported already
    and is forked instead of started: the function sees `argv[1:]` as `sys.argv[1:]`, and returns its exit code."""

    argv: list[str]
    env: dict[str, str]
    cwd: Path
    call: str | None = None
    preload: tuple[str, ...] = ()


@dataclass(frozen=True)
class Launch:
    """Processes to run one after another; what they say with `jobs.report` is merged into how the attempt ends.

    `secrets`: more texts to mask than the connection holds.
    """

    steps: list[Step]
    secrets: tuple[str, ...] = ()


@dataclass(frozen=True)
class Simulated:
    """Nothing is run: the binding declares how the job ends."""

    status: str = "SUCCEEDED"
    message: str | None = None
    outputs: dict[str, Any] = field(default_factory=dict)
    seconds: float = 0.0
    operations: tuple[dict[str, Any], ...] = ()


@dataclass(frozen=True)
class Pause:
    """WAIT: the engine lets this much time pass; no process, no worker, and it goes on over a restart."""

    seconds: float


@dataclass(frozen=True)
class Approval:
    """APPROVAL: ends when somebody says yes or no."""

    message: str
    approvers: tuple[str, ...] = ()


@dataclass(frozen=True)
class ChildRun:
    """TRIGGER_PIPELINE: ends as the run of the other pipeline does."""

    pipeline: str
    inputs: dict[str, Any] = field(default_factory=dict)
    branch: str | None = None


Prepared = Launch | Simulated | Pause | Approval | ChildRun
Job = Callable[[str, Mapping[str, Any], Connection | None, Attempt], Prepared]
"""(job name, rendered parameters, connection, attempt) -> what to do. Raises JobError or BindingError."""


def host_step(module: str, env: dict[str, str], cwd: Path, *arguments: str, preload: tuple[str, ...] = ()) -> Step:
    """A program of ours: `rehearse.jobs.<module>`, whose `main()` returns its exit code."""
    # -P: the folder it runs in must not shadow what it imports
    argv = ["python", "-P", "-m", f"rehearse.jobs.{module}", *arguments]
    return Step(argv, env, cwd, f"rehearse.jobs.{module}:main", preload)


def _own_variables(text: str | Mapping[str, Any] | None) -> dict[str, str]:
    """JSON text, or what it says already: a value that is one expression keeps its type."""
    if not text:
        return {}
    try:
        values = json.loads(text) if isinstance(text, str) else text
    except ValueError as e:
        raise JobError(f"environment_variables is not valid JSON once its expressions are filled in: {e}") from e
    if not isinstance(values, dict):
        raise JobError("environment_variables must hold a JSON object")
    return {name: _text(value) for name, value in values.items()}


def _text(value: Any) -> str:
    if value is None:
        return ""
    return json.dumps(value) if isinstance(value, (list, dict)) else str(value)

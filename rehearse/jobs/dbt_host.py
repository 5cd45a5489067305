"""Run in a task's own process: dbt commands through `dbtRunner`, which imports dbt once instead of once per command.

The request is in REHEARSE_DBT: {"folder": of the attempt, "root": of the repository, "commands": [[word]], "production": branch
or commit or null, "stateful": bool}. Stops at the first command that fails. Each command's artifacts are kept in the
attempt's folder, in <number>-<verb>; what they say is reported as operations, and WARNING when a test warned.

dbt writes to a folder of the attempt instead of the project's `target`, so that tasks on the same project do not write into
each other's files. What dbt knows from parsing goes back to the project, where the next task and your editor find it.
"""

from __future__ import annotations

import os
import sys

if not __package__:  # by path, in an environment of the task's own, which has no rehearse: these modules and no more
    import importlib.util

    _PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    _spec = importlib.util.spec_from_file_location(
        "rehearse", os.path.join(_PACKAGE, "__init__.py"), submodule_search_locations=[_PACKAGE]
    )
    assert _spec is not None and _spec.loader is not None
    sys.modules["rehearse"] = importlib.util.module_from_spec(_spec)
    _spec.loader.exec_module(sys.modules["rehearse"])

import json
import shlex
import shutil
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from rehearse.jobs import dbt_state
from rehearse.jobs.lineage_dbt import operations_of_dbt, statuses
from rehearse.jobs.report import report

VARIABLE = "REHEARSE_DBT"
ARTIFACTS = ("manifest.json", "run_results.json", "sources.json", "catalog.json")
PARSED = "partial_parse.msgpack"
PATIENCE_SECONDS = 8.0
"""How long dbt may take to cancel its queries when it is interrupted; less than the supervisor's grace."""
_FAILURES = ("error", "fail", "runtime error", "partial success")


def main() -> int:
    time.tzset()  # a forked process has the zone of its parent
    request = json.loads(os.environ.pop(VARIABLE))
    # Set by dbt's own flags it would have to go before the verb of every command.
    os.environ.setdefault("DBT_VERSION_CHECK", "false")
    os.environ.setdefault("DBT_USE_COLORS", "false")
    interrupt = _Interrupt()
    try:
        return _Run(request, interrupt).run()
    except KeyboardInterrupt:
        report("FAILED", "interrupted")
        return 130
    except dbt_state.StateError as e:
        return _failed(str(e))
    except ImportError as e:
        return _failed(f"dbt cannot be imported here ({e}); install the project's requirements.txt, or use --isolate")


class _Interrupt:
    """SIGINT lets dbt cancel its queries; a driver that never answers does not hold up the end."""

    def __init__(self) -> None:
        self.came = False
        signal.signal(signal.SIGINT, self._on_signal)

    def _on_signal(self, number: int, frame: object) -> None:
        if not self.came:
            self.came = True
            timer = threading.Timer(PATIENCE_SECONDS, self._give_up)
            timer.daemon = True
            timer.start()
        raise KeyboardInterrupt

    def _give_up(self) -> None:
        report("FAILED", "interrupted; dbt did not end its queries in time")
        os._exit(130)


class _Run:
    def __init__(self, request: Mapping[str, Any], interrupt: _Interrupt):
        self.folder, self.root = Path(request["folder"]), Path(request["root"])
        self.commands: list[list[str]] = request["commands"]
        self.production: str | None = request["production"]
        self.project = Path.cwd()
        self.interrupt = interrupt
        self.environment = dict(os.environ)  # as the task was given it
        self.orc = self._state_orchestration() if request["stateful"] else None
        self.target = Path(_given(self.environment, "TARGET_PATH") or self._own_target())
        self.is_own_target = _given(self.environment, "TARGET_PATH") is None
        self.best: Path | None = None  # artifacts of the last command that counts as a production run

    def run(self) -> int:
        if dbt_state.reads_production(self.commands, os.environ):
            _say(dbt_state.place(self.root, self.project, self.production))
        counts: Counter[str] = Counter()
        try:
            for number, command in enumerate(self.commands, 1):
                folder = self.folder / f"{number}-{command[0].strip('-') if command else 'dbt'}"
                problem = self._command(command, folder)
                results = list(statuses(folder))
                report(operations=operations_of_dbt(folder))
                if self.interrupt.came:
                    report("FAILED", "interrupted; dbt has cancelled its queries")
                    return 130
                if problem is not None:
                    names = [name for name, status in results if status in _FAILURES]
                    what = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if names[5:] else "") or problem
                    return _failed(f"dbt {command[0] if command else ''} failed: {what}")
                counts.update(status for _, status in results)
        finally:
            self._hand_back()
        self._save_production()
        summary = ", ".join(f"{count} {status}" for status, count in sorted(counts.items()))
        report("WARNING" if counts["warn"] else "SUCCEEDED", summary or None)
        return 0

    def _command(self, command: list[str], folder: Path) -> str | None:
        """Run it and keep its artifacts; returns what went wrong, in one line."""
        target = self._target_of(command)
        before = _stamps(target)
        _say(f"$ dbt {shlex.join(command)}")
        problem = self._invoke(command) if self.orc is None else self._orchestrate(self.orc, command)
        for name, stamp in _stamps(target).items():
            if stamp != before.get(name):  # not what an earlier command left there
                folder.mkdir(parents=True, exist_ok=True)
                shutil.copy2(target / name, folder / name)
        if problem is None and dbt_state.is_production(command, self.environment):
            self.best = folder
        return problem

    def _invoke(self, command: list[str]) -> str | None:
        from dbt.cli.main import dbtRunner

        outcome = dbtRunner().invoke(command)
        if outcome.success:
            return None
        error = outcome.exception
        if type(error).__name__ == "DbtUsageException":
            _say(f"Error: {error}")  # the one kind that dbt leaves to its caller to print
        return " ".join(str(error).split())[:500] if error is not None else "see its log"

    def _orchestrate(self, orc: dict[str, str], command: list[str]) -> str | None:
        done = subprocess.run(["orc", "dbt", *command], env=orc)
        return f"exit code {done.returncode}" if done.returncode else None

    def _state_orchestration(self) -> dict[str, str] | None:
        """The environment for `orc`, or None when it is not installed."""
        if find_spec("orchestra_dbt") is None or shutil.which("orc") is None:
            _say("use_state_orchestration is ignored: dbt-orchestra is not installed, so everything is built")
            return None
        state = dbt_state.orchestration_file(self.root, self.project)
        env = os.environ | {"ORCHESTRA_USE_STATEFUL": "true", "ORCHESTRA_STATE_FILE": str(state)}
        env.pop("ORCHESTRA_API_KEY", None)  # with it, the state would be looked for in the cloud
        return env

    # Where dbt writes

    def _own_target(self) -> str:
        target = self.folder / "target"
        target.mkdir(parents=True, exist_ok=True)
        for environment in filter(None, (os.environ, self.orc)):
            environment["DBT_TARGET_PATH"] = str(target)
        try:
            shutil.copy2(self.project / "target" / PARSED, target / PARSED)
        except OSError:
            pass  # dbt parses everything
        if not os.access(self.project, os.W_OK):
            os.environ.setdefault("DBT_LOG_PATH", str(self.folder / "dbt_logs"))
        return str(target)

    def _target_of(self, command: list[str]) -> Path:
        project = Path(_flag(command, "--project-dir") or _given(self.environment, "PROJECT_DIR") or ".")
        return project / (_flag(command, "--target-path") or self.target)

    def _hand_back(self) -> None:
        """What stands in our target now becomes the project's; the compiled SQL stays with the attempt."""
        if not self.is_own_target or self.interrupt.came:
            return
        target = self.project / "target"
        for path in [path for path in self.target.iterdir() if path.is_file()]:
            try:
                target.mkdir(exist_ok=True)
                temporary = target / f".{path.name}.{os.getpid()}"
                shutil.move(path, temporary)
                temporary.replace(target / path.name)
            except OSError:
                return  # a project that cannot be written to: it will be parsed again

    def _save_production(self) -> None:
        try:
            if self.best is not None and dbt_state.save(self.root, self.project, self.best):
                _say(f"kept for {dbt_state.FOLDER}")
        except OSError as e:
            _say(f"not kept for {dbt_state.FOLDER}: {e}")


def _stamps(target: Path) -> dict[str, tuple[int, int]]:
    found = {}
    for name in ARTIFACTS:
        try:
            status = (target / name).stat()
        except OSError:
            continue
        found[name] = (status.st_mtime_ns, status.st_ino)
    return found


def _given(environment: Mapping[str, str], name: str) -> str | None:
    return environment.get(f"DBT_ENGINE_{name}") or environment.get(f"DBT_{name}")


def _flag(command: list[str], name: str) -> str | None:
    for word, following in zip(command, [*command[1:], None], strict=True):
        if word == name:
            return following
        if word.startswith(f"{name}="):
            return word.removeprefix(f"{name}=")
    return None


def _failed(message: str) -> int:
    _say(f"error: {message}")
    report("FAILED", message)
    return 1


def _say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())

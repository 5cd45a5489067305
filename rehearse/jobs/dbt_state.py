"""What a production run of a dbt project leaves for later ones: `latest_production`, as on the platform (section 9.5).

.rehearse/dbt_state/<project>/<branch>/latest -> <time>-<pid>/   manifest.json, run_results.json, run.json

The link is changed by rename, and so is the one in the project: a reader sees one run, whole. Only the standard library:
the dbt host uses it also in a task's own environment.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

FOLDER = "latest_production"
_PRODUCING = ("build", "run", "seed", "snapshot", "test")
_COMPARING = ("--state", "--defer", "--defer-state", "--favor-state", "--empty", "--sample")
_KEPT = 3  # runs per branch: somebody may still read the one before


class StateError(Exception):
    """There is no such production run; one sentence with the next thing to do."""


@dataclass(frozen=True)
class Branch:
    """What is checked out. `default`: the branch that production runs are made from; without git, everything is."""

    name: str
    commit: str | None
    default: str

    @property
    def is_default(self) -> bool:
        return self.name == self.default


def branch_of(root: Path) -> Branch:
    commit = _git(root, "rev-parse", "HEAD")
    if commit is None:
        return Branch("main", None, "main")
    current = _git(root, "symbolic-ref", "--short", "--quiet", "HEAD") or "detached"
    default = (_git(root, "symbolic-ref", "--short", "--quiet", "refs/remotes/origin/HEAD") or "").removeprefix(
        "origin/"
    )
    if not default:
        names = (_git(root, "for-each-ref", "--format=%(refname:short)", "refs/heads") or "").split()
        default = next((name for name in ("main", "master") if name in names), current)
    return Branch(current, commit, default)


def is_production(command: Sequence[str], env: Mapping[str, str]) -> bool:
    """Whether what a command leaves is a state to compare with: it builds, and does not itself lean on one."""
    flags = {word.split("=")[0] for word in command}
    leans = not flags.isdisjoint(_COMPARING) or bool(env.get("DBT_STATE") or env.get("DBT_DEFER"))
    return bool(command) and command[0] in _PRODUCING and not leans


def reads_production(commands: Sequence[Sequence[str]], env: Mapping[str, str]) -> bool:
    words = [word for command in commands for word in command]
    return any(FOLDER in text for text in [*words, env.get("DBT_STATE", ""), env.get("DBT_DEFER_STATE", "")])


def save(root: Path, project: Path, artifacts: Path) -> bool:
    """Keep the artifacts of a successful run, if it was made on the default branch. Raises OSError."""
    branch = branch_of(root)
    if not branch.is_default or not (artifacts / "manifest.json").is_file():
        return False
    folder = _folder(root, project) / _safe(branch.name)
    folder.mkdir(parents=True, exist_ok=True)
    made = folder / f"{time.time_ns()}-{os.getpid()}"
    temporary = folder / f".{made.name}"
    temporary.mkdir()
    for name in ("manifest.json", "run_results.json"):
        if (artifacts / name).is_file():
            shutil.copy2(artifacts / name, temporary / name)
    said = {
        "branch": branch.name,
        "commit": branch.commit,
        "saved_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }
    (temporary / "run.json").write_text(json.dumps(said), encoding="utf-8")
    temporary.rename(made)
    _link(folder / "latest", Path(made.name))
    for old in sorted(path for path in folder.iterdir() if not path.is_symlink() and path.name[0] != ".")[:-_KEPT]:
        shutil.rmtree(old, ignore_errors=True)
    return True


def place(root: Path, project: Path, identifier: str | None) -> str:
    """Put the production run into the project's `latest_production`; a folder of your own there is left alone.

    `identifier`: a branch or the beginning of a commit, else the default branch. Returns a line for the log. Raises
    StateError when no such run is kept.
    """
    target = project / FOLDER
    if target.exists() and not target.is_symlink():
        return f"{FOLDER}: the project's own folder is used"
    wanted = identifier or branch_of(root).default
    folder = _folder(root, project)
    found = folder / _safe(wanted) / "latest"
    if not found.is_dir():
        found = next((path for path in _runs(folder) if identifier and _commit(path).startswith(identifier)), found)
    if not (found / "manifest.json").is_file():
        raise StateError(
            f"the commands read {FOLDER}, but no successful run of this project on '{wanted}' is kept here yet: "
            "run its dbt build there once, without --state"
        )
    found = found.resolve()
    _link(target, found)
    return f"{FOLDER}: the run of {json.loads((found / 'run.json').read_text())['saved_at']} on '{wanted}'"


def orchestration_file(root: Path, project: Path) -> Path:
    """Where dbt-orchestra remembers what was built; it wants the file to be there."""
    file = _folder(root, project) / "orchestration.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    try:
        with file.open("x", encoding="utf-8") as new:
            new.write('{"state": {}}')
    except FileExistsError:
        pass
    return file


def _runs(folder: Path) -> list[Path]:
    """Every run that is kept, the newest first."""
    runs = [path for path in folder.glob("*/*") if not path.is_symlink() and path.name[0] != "."]
    return sorted(runs, key=lambda path: path.name, reverse=True)


def _commit(run: Path) -> str:
    try:
        return str(json.loads((run / "run.json").read_text()).get("commit"))
    except (OSError, ValueError):
        return ""


def _link(link: Path, target: Path) -> None:
    temporary = link.with_name(f".{link.name}.{os.getpid()}")
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(target)
    temporary.replace(link)


def _folder(root: Path, project: Path) -> Path:
    name = os.path.relpath(project.resolve(), root.resolve())
    return root / ".rehearse" / "dbt_state" / _safe("root" if name == "." else name)


def _safe(name: str) -> str:
    return re.sub(r"[^\w.-]|^\.+", lambda match: "".join(f"%{byte:02x}" for byte in match[0].encode()), name)


def _git(root: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None

"""Files: that tasks find theirs, and that none that git knows tells a secret."""

from __future__ import annotations

import fnmatch
import os
import re
import shlex
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from math import log2

from rehearse.bindings.config import allowed_files
from rehearse.bindings.secrets import FILES
from rehearse.checks.base import FAIL, OK, WARN, Finding, Patient, git, would_take
from rehearse.engine.plans import find_pipeline
from rehearse.errors import BindingError, UsageError
from rehearse.jobs.registry import module_of
from rehearse.planning.plan import UNKNOWN_CONNECTION, PlannedTask

MARK = "doctor: allow"
_LARGEST = 1_000_000
_SECRETS = {
    "a private key": re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----\s*\n?[A-Za-z0-9+/=\\]{16}"),
    "an access key of AWS": re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"),
    "a token": re.compile(
        r"\b(?:gh[pousr]_[A-Za-z0-9]{36}|github_pat_\w{50,}|xox[abp]-[\w-]{20,}|glpat-[\w-]{20}|sk-[A-Za-z0-9]{32,})"
    ),
    # A long literal beside a telling name, which looks as if it was drawn: see `_looks_drawn`.
    "a secret": re.compile(
        r"(?i)\b\w*(?:passw(?:or)?d|secret|token|api_?key|access_?key|private_?key)\w*['\"]?\s*(?::|=|=>)\s*"
        r"['\"]?(?P<drawn>[a-z0-9+/_.~-]{20,}={0,2})['\"]?\s*(?:[,;)}#]|$)",
        re.MULTILINE,
    ),
    # Variables, placeholders in capitals, and what leads to this machine only are none.
    "a URL with a password": re.compile(
        # Begins at the slashes, with bounds: a line may be as long as the file.
        r"://[^\s/@:'\"]{1,200}:(?!\$|<|\{|\*|%|[A-Z_]+@|password@|secret@)[^\s/@'\"{}$<>*]{6,200}@(?!127\.|localhost|[Ee]xample)"
    ),
}


def tasks(patient: Patient) -> Iterator[Finding]:
    """What the tasks of pipelines name is there."""
    wrong = 0
    for file, task in patient.tasks:
        for why, then in _missing(patient, task):
            wrong += 1
            yield Finding(FAIL, f"{file}: task '{task.id}'", why, then)
    if patient.tasks and not wrong:
        count = len({file for file, _ in patient.tasks})
        yield Finding(OK, f"{len(patient.tasks)} task(s) of {count} pipeline(s) have their files and connections")


def _missing(patient: Patient, task: PlannedTask) -> Iterator[tuple[str, str | None]]:
    job, parameters, runs = task.job, task.parameters, task.runs
    if "unsupported" in runs:
        yield "this machine cannot do its job", "give it a connection, or declare a stub: rehearse/README.md"
    if UNKNOWN_CONNECTION in runs:
        yield "its connection is not in rehearse.toml", "add it: rehearse/README.md has the keys"
    elif (
        task.connection is None
        and module_of(job) == "sql"
        and patient.bindings.connection(task.integration, None) is None
    ):
        then = f'in rehearse.toml: integration = "{task.integration}", default = true'
        yield f"it names no connection, and none of {task.integration} is the default", then
    project = str(parameters.get("project_dir") or ".")
    if "${{" in project:
        return
    folder = patient.root / project
    if job in ("PYTHON_EXECUTE_SCRIPT", "DBT_CORE_EXECUTE") and not folder.is_dir():
        yield f"there is no folder {project}", "correct its project_dir"
    elif job == "DBT_CORE_EXECUTE" and not (folder / "dbt_project.yml").is_file():
        yield f"there is no dbt_project.yml in {project}", "correct its project_dir"
    elif (
        job == "PYTHON_EXECUTE_SCRIPT"
        and (script := _script(str(parameters.get("command") or "")))
        and not (folder / script).is_file()
    ):
        yield f"there is no file {script} in {project}", "correct its command"
    if job == "TRIGGER_PIPELINE" and "${{" not in str(parameters.get("pipeline_id")):
        try:
            find_pipeline(patient.root, str(parameters.get("pipeline_id")))
        except UsageError as e:
            yield str(e), e.hint


def _script(command: str) -> str | None:
    try:
        words = shlex.split(command)
    except ValueError:
        return None
    for word in words[1:]:  # behind flags of python, or `uv run`
        if word in ("-c", "-m"):
            return None
        if word.endswith(".py"):
            return None if "${{" in word else word
    return None


def secrets(patient: Patient) -> Iterator[Finding]:
    """No tracked file holds a secret. Only where it is said, never what it is."""
    listed = git(patient.root, "ls-files", "-z")
    if listed is None:
        return  # `tools` says so
    if listed.returncode:
        yield Finding(WARN, "tracked files were not looked through", "this is no git checkout", "git init")
        return
    try:
        allowed = allowed_files(patient.root)
    except BindingError as e:
        yield Finding(FAIL, "[doctor] of rehearse.toml", str(e), e.hint)
        allowed = []
    names = [
        name
        for name in os.fsdecode(listed.stdout).split("\0")
        if name and not any(fnmatch.fnmatch(name, a) for a in allowed)
    ]
    found = False
    for name in names:
        for line, kind in _told(patient, name):
            found = True
            then = f"take it out and renew it; if it is none, write '{MARK}' into the line"
            yield Finding(FAIL, f"{name}:{line}", f"this looks like {kind}", then)
    if not found:
        yield Finding(OK, f"no secret in {len(names)} tracked files")


def _told(patient: Patient, name: str) -> Iterator[tuple[int, str]]:
    path = patient.root / name
    try:
        if path.is_symlink() or path.stat().st_size > _LARGEST:
            return
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return
    lines = text.splitlines()
    for kind, pattern in _SECRETS.items():
        for match in pattern.finditer(text):
            drawn = match.groupdict().get("drawn")
            if drawn is not None and not _looks_drawn(drawn):
                continue
            line = text.count("\n", 0, match.start())
            if MARK not in lines[line]:
                yield line + 1, kind


def _looks_drawn(text: str) -> bool:
    """Whether a text looks like characters drawn at random: letters and digits, in no order, and few of them twice."""
    counts = Counter(text)
    bits = -sum(n / len(text) * log2(n / len(text)) for n in counts.values())
    kinds = sum(any(test(char) for char in text) for test in (str.islower, str.isupper, str.isdigit))
    switches = sum(a.isdigit() != b.isdigit() for a, b in pairwise(text))
    return bits >= 3.5 and kinds >= 2 and switches >= 4


def ignored(patient: Patient) -> Iterator[Finding]:
    """State and private files are out of git's sight."""
    for name in (".rehearse/x", *FILES):
        if name in FILES and (patient.root / name).exists():
            continue  # a secret that is there already is worse: see `bound.secrets`
        if would_take(patient.root, name):
            shown = name.removesuffix("x")
            yield Finding(WARN, shown, "git does not ignore it", f"echo {shown} >> .gitignore")

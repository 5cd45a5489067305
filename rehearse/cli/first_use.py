"""A clone is somebody else's code: before the first run in a repository we say what will be executed (security rule 19)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from rehearse.planning.plan import Plan, PlannedTask

_LISTED = 20


def introduce(root: Path, plan: Plan) -> None:
    """Nothing when something has run here already. Reads the plan only, and starts nothing."""
    from rehearse.cli.output import tell
    from rehearse.store.records import has_store

    if has_store(root):
        return
    lines = list(dict.fromkeys(line for task in plan.tasks if task.is_executed for line in _programs(task)))
    if not lines:
        return
    tell(f"The first run in {root.name}. Tasks run as you, with your rights; this one executes:", style="yellow")
    for line in lines[:_LISTED]:
        tell(f"  {line}", style="dim")
    if len(lines) > _LISTED:
        tell(f"  and {len(lines) - _LISTED} more: rehearse plan --verbose shows all", style="dim")


def _programs(task: PlannedTask) -> Iterator[str]:
    """What a task starts that is the repository's own code, as it is written."""
    folder = task.parameters.get("project_dir") or "."
    where = "" if folder in (".", "./") else f"  (in {folder})"
    if task.job == "PYTHON_EXECUTE_SCRIPT":
        command = task.parameters.get("command")
        yield (str(command) if command else f"the Python code of the task '{task.id}'") + where
    elif task.job == "DBT_CORE_EXECUTE":
        yield f"{task.parameters.get('commands')}{where}"
    elif task.job == "LINUX_SSH_EXECUTE_COMMAND":
        yield f"over SSH: {task.parameters.get('command')}"

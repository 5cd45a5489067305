"""What can be said of a run's end before its beginning: what is certain to be skipped, and what is not done for real."""

from __future__ import annotations

from dataclasses import dataclass
from graphlib import TopologicalSorter

from rehearse.planning.plan import AT_RUN_TIME, NOT_HERE, SIMULATED, Plan, PlannedGroup, PlannedTask


@dataclass(frozen=True)
class Outlook:
    """What comes of the tasks of a run. Those in `skips` are not counted elsewhere.

    `skips`: as `foreseen_skips` gives them. `simulated`: what the run, for all or some items, will only pretend to do.
    `not_here`: what will fail for all or some items because this machine cannot do it. `task_runs`: how many task runs the
    selected tasks come to; None when only the run can tell.
    """

    skips: dict[str, str]
    simulated: tuple[PlannedTask, ...]
    not_here: tuple[PlannedTask, ...]
    task_runs: int | None


def foresee(plan: Plan) -> Outlook:
    skips = foreseen_skips(plan)
    tasks = [task for task in plan.tasks if task.is_executed and task.id not in skips]
    simulated, not_here = (
        tuple(task for task in tasks if not set(task.runs).isdisjoint(words)) for words in (SIMULATED, NOT_HERE)
    )
    counts = [
        group.iterations for group in plan.groups for task in group.tasks if task.selected and task.id not in skips
    ]
    known = [count for count in counts if count is not None]
    return Outlook(skips, simulated, not_here, sum(known) if len(known) == len(counts) else None)


def foreseen_skips(plan: Plan) -> dict[str, str]:
    """task id -> why it will be SKIPPED, whatever the other tasks do (sections 2.3 and 4.3 of the language reference).

    Holds only selected tasks. Those that are not selected count for nothing: their dependants do not wait for them.
    """
    skips: dict[str, str] = {}
    groups = {group.id: group for group in plan.groups}
    for group_id in TopologicalSorter({group.id: group.depends_on for group in plan.groups}).static_order():
        group = groups[group_id]
        upstream = [task for other in group.depends_on for task in groups[other].tasks]
        reason = _reason(plan, group, upstream, skips) or ("its matrix is empty" if group.iterations == 0 else None)
        tasks = {task.id: task for task in group.tasks}
        for task_id in TopologicalSorter({task.id: task.depends_on for task in group.tasks}).static_order():
            task = tasks[task_id]
            why = reason or _reason(plan, task, [tasks[other] for other in task.depends_on], skips)
            if why and task.selected:
                skips[task_id] = why
    return skips


def _reason(
    plan: Plan, node: PlannedGroup | PlannedTask, upstream: list[PlannedTask], skips: dict[str, str]
) -> str | None:
    left_out = upstream and not any(task.selected for task in upstream)
    if node.condition is not None and not left_out:  # replaces the rule that everything upstream must have gone well
        of_group = isinstance(node, PlannedGroup) and not node.is_standalone
        what = "the condition of its group" if of_group else "its condition"
        return f"{what} is false" if plan.decided(node.condition) is False else None
    return next((f"'{task.id}' is skipped" for task in upstream if task.id in skips), None)


def here(task: PlannedTask) -> list[str]:
    """What becomes of a task on this machine, in words; nothing when it is simply run."""
    words = {"unsupported": "cannot run here", AT_RUN_TIME: f"connection {AT_RUN_TIME}"}
    some = " for some items" if len(task.runs) > 1 else ""
    found = [
        f"simulated ({mode})" if mode in SIMULATED else words.get(mode, mode) for mode in task.runs if mode != "local"
    ]
    return [f"{word}{some}" for word in found]

"""Which tasks of a plan a run executes: named ones, or what an earlier run did not finish (section 4.7)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from rehearse.errors import UsageError
from rehearse.language.statuses import GOOD
from rehearse.language.words import did_you_mean
from rehearse.planning.plan import Plan

_LISTED = 20  # names in an error message


def select(plan: Plan, tasks: Sequence[str], continue_downstream: bool = False) -> Plan:
    """The same plan with only the named tasks selected; without names, everything stays as it is.

    A name is the id of a task or group, else the name of one or several, whatever its case; a group means all its tasks.
    `+name` adds everything upstream, `name+` everything downstream, and `continue_downstream` puts that `+` behind each.
    Raises UsageError for a name that fits nothing.
    """
    if not tasks:
        return plan
    graph = _Graph(plan)
    chosen: set[str] = set()
    for text in tasks:
        found, up, down = _find(plan, text)
        chosen |= found
        if up:
            chosen |= graph.upstream(found)
        if down or continue_downstream:
            chosen |= graph.downstream(found)
    return _mark(plan, chosen, {})


def from_failed(plan: Plan, previous: Mapping[str, str]) -> Plan:
    """The same plan for a new run that finishes an earlier one.

    `previous` maps a task run's label, `task` or `task[item]`, to the status that its conditions saw. Selected are tasks that
    failed, were cancelled or never ended, in any of their iterations; everything downstream of them; and what was never
    reached. The others are carried: they keep their status and are not executed again.

    Raises UsageError when nothing failed.
    """
    statuses = _by_task(plan, previous)
    failed = {task_id for task_id, found in statuses.items() if found - {*GOOD, "SKIPPED"}}
    if not failed:
        raise UsageError("nothing failed in that run, so there is nothing to repeat",
                         "leave --from-failed out to run everything")  # fmt: skip
    # An iteration that fails keeps later ones from starting: then a task that went well in some was not reached in others.
    cut_short = {group.id for group in plan.groups if any(task.id in failed for task in group.tasks)}
    unreached = {
        task.id
        for task in plan.tasks
        if not statuses[task.id] & {*GOOD} or (task.group_id in cut_short and "SKIPPED" in statuses[task.id])
    }
    chosen = _Graph(plan).downstream(failed) | unreached
    carried = {
        task_id: "WARNING" if "WARNING" in found else "SUCCEEDED"
        for task_id, found in statuses.items()
        if task_id not in chosen
    }
    return _mark(plan, chosen, carried)


def _mark(plan: Plan, chosen: set[str], carried: Mapping[str, str]) -> Plan:
    groups = tuple(
        replace(
            group,
            tasks=tuple(
                replace(task, selected=task.id in chosen, carried=carried.get(task.id)) for task in group.tasks
            ),
        )
        for group in plan.groups
    )
    return replace(plan, groups=groups)


class _Graph:
    """The two levels of a pipeline. Through its group, a task has every task of the groups upstream above it."""

    def __init__(self, plan: Plan):
        self._home = {task.id: group.id for group in plan.groups for task in group.tasks}
        self._members = {group.id: {task.id for task in group.tasks} for group in plan.groups}
        self._groups_up = {group.id: set(group.depends_on) for group in plan.groups}
        self._tasks_up = {task.id: set(task.depends_on) for task in plan.tasks}

    def upstream(self, tasks: set[str]) -> set[str]:
        """These tasks and all that they wait for, directly or not."""
        return self._closure(tasks, self._tasks_up, self._groups_up)

    def downstream(self, tasks: set[str]) -> set[str]:
        """These tasks and all that wait for them, directly or not."""
        return self._closure(tasks, _reversed(self._tasks_up), _reversed(self._groups_up))

    def _closure(
        self, tasks: set[str], task_edges: Mapping[str, set[str]], group_edges: Mapping[str, set[str]]
    ) -> set[str]:
        homes = {self._home[task_id] for task_id in tasks}
        beyond = _reach((near for group_id in homes for near in group_edges.get(group_id, ())), group_edges)
        return _reach(tasks, task_edges).union(*(self._members[group_id] for group_id in beyond))


def _reach(start: Iterable[str], edges: Mapping[str, set[str]]) -> set[str]:
    found = set(start)
    waiting = list(found)
    while waiting:
        new = edges.get(waiting.pop(), set()) - found
        found |= new
        waiting += new
    return found


def _reversed(edges: Mapping[str, set[str]]) -> Mapping[str, set[str]]:
    backwards: dict[str, set[str]] = defaultdict(set)
    for source, targets in edges.items():
        for target in targets:
            backwards[target].add(source)
    return backwards


def _find(plan: Plan, text: str) -> tuple[set[str], bool, bool]:
    """(the tasks that a selector names, whether its upstream counts too, whether its downstream does)."""
    text = text.strip()
    found = _named(plan, text)  # first as it stands: nothing forbids a '+' in an id
    if found:
        return found, False, False
    name = text.removeprefix("+").removesuffix("+").strip()
    found = _named(plan, name)
    if not found:
        raise _unknown(plan, name)
    return found, text.startswith("+"), text.endswith("+")


def _named(plan: Plan, name: str) -> set[str]:
    folded = name.lower()
    for attribute in ("id", "name"):
        groups = [group for group in plan.groups if folded and getattr(group, attribute).lower() == folded]
        tasks = [task for task in plan.tasks if folded and getattr(task, attribute).lower() == folded]
        if groups or tasks:
            return {task.id for task in (*tasks, *(task for group in groups for task in group.tasks))}
    return set()


def _unknown(plan: Plan, name: str) -> UsageError:
    known = list(
        dict.fromkeys(node_id for group in plan.groups for node_id in (group.id, *(t.id for t in group.tasks)))
    )
    guess = did_you_mean(name, known)
    more = f", ... and {len(known) - _LISTED} more" if len(known) > _LISTED else ""
    listed = f"groups and tasks: {', '.join(known[:_LISTED])}{more}"
    return UsageError(f"there is no task or group '{name}' in {plan.alias}", f"{guess} {listed}" if guess else listed)


def _by_task(plan: Plan, previous: Mapping[str, str]) -> dict[str, set[str]]:
    """task id -> the statuses of its runs, one per iteration. What is no longer in the pipeline is left out."""
    statuses: dict[str, set[str]] = {task.id: set() for task in plan.tasks}
    for label, status in previous.items():
        task_id = label
        while task_id not in statuses and "[" in task_id:  # ids may hold brackets, so the longest id that fits counts
            task_id = task_id.rpartition("[")[0]
        if task_id in statuses:
            statuses[task_id].add(status)
    return statuses

"""Which tasks of a plan a run executes: named ones, or what an earlier run did not finish (section 4.7)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from rehearse.errors import UsageError
from rehearse.language.statuses import GOOD
from rehearse.language.words import did_you_mean
from rehearse.planning.plan import Plan, PlannedGroup, PlannedTask

_LISTED = 20  # names in an error message


@dataclass(frozen=True)
class Carried:
    """What a task run leaves to a later run: its status for conditions, its outputs for expressions (section 4.7)."""

    status: str
    outputs: dict[str, Any]


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


def previous_of(rows: Iterable[Mapping[str, Any]]) -> dict[str, Carried]:
    """Label -> how it ended, of the task runs of the store. What was carried into that run is carried on."""
    return {
        row["task_id"] if row["item"] is None else f"{row['task_id']}[{row['item']}]": Carried(
            row["carried"] or row["status"], row["outputs"]
        )
        for row in rows
    }


def from_failed(plan: Plan, previous: Mapping[str, Carried]) -> tuple[Plan, dict[str, Carried]]:
    """The same plan for a new run that finishes an earlier one, and the task runs that are not executed again.

    `previous` maps a task run's label, `task` or `task[item]`, to how it ended, as its conditions saw it. Executed are tasks
    that failed, were cancelled or never ended; everything downstream of them; and what was never reached. Of a matrix, only
    the iterations that did not succeed are, unless something upstream is executed again.

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
    graph = _Graph(plan)
    chosen = graph.downstream(failed) | unreached
    carried = {
        task_id: "WARNING" if "WARNING" in found else "SUCCEEDED"
        for task_id, found in statuses.items()
        if task_id not in chosen
    }
    return _mark(plan, chosen, carried), _labels(plan, graph, chosen, previous)


def _labels(plan: Plan, graph: _Graph, chosen: set[str], previous: Mapping[str, Carried]) -> dict[str, Carried]:
    """The task runs that keep what they did: of tasks that are not executed again, and of a matrix the good iterations."""
    again = {group.id for group in plan.groups if any(task.id in chosen for task in group.tasks)}
    kept: dict[str, Carried] = {}
    for group in plan.groups:
        anew = graph.waits_for_any(group.id, again)
        for key in _item_keys(group, previous):
            bad: set[str] = set()
            for task in _in_order(group):
                label = task.id if key is None else f"{task.id}[{key}]"
                found = previous.get(label)
                good = found is not None and found.status in GOOD
                if task.id in chosen and (anew or key is None or not good or not bad.isdisjoint(task.depends_on)):
                    bad.add(task.id)
                elif good and found is not None:
                    kept[label] = found
    return kept


def _item_keys(group: PlannedGroup, previous: Mapping[str, Carried]) -> list[str | None]:
    if group.matrix is None:
        return [None]
    starts = [f"{task.id}[" for task in group.tasks]
    return list(
        dict.fromkeys(
            label[len(s) : -1] for label in previous for s in starts if label.startswith(s) and label[-1] == "]"
        )
    )


def _in_order(group: PlannedGroup) -> list[PlannedTask]:
    """Tasks after those that they wait for."""
    order, waiting = [], list(group.tasks)
    done: set[str] = set()
    while waiting:
        now = [task for task in waiting if done.issuperset(task.depends_on)]
        order += now
        done |= {task.id for task in now}
        waiting = [task for task in waiting if task.id not in done]
    return order


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

    def waits_for_any(self, group_id: str, groups: set[str]) -> bool:
        """Whether a group waits, directly or not, for one of these."""
        return not (_reach(self._groups_up[group_id], self._groups_up) - {group_id}).isdisjoint(groups)

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


def _by_task(plan: Plan, previous: Mapping[str, Carried]) -> dict[str, set[str]]:
    """task id -> the statuses of its runs, one per iteration. What is no longer in the pipeline is left out."""
    statuses: dict[str, set[str]] = {task.id: set() for task in plan.tasks}
    for label, found in previous.items():
        task_id = label
        while task_id not in statuses and "[" in task_id:  # ids may hold brackets, so the longest id that fits counts
            task_id = task_id.rpartition("[")[0]
        if task_id in statuses:
            statuses[task_id].add(found.status)
    return statuses

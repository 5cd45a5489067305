"""Ids and dependencies: unique, existing, without a circle (checks 4 and 5)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from itertools import islice

from rehearse.language.problems import Loc
from rehearse.language.rules.review import Group, Review, texts

MAX_CIRCLES = 20  # are reported: finding each takes a look at the whole graph


def check_graph(review: Review) -> None:
    _ids(review)
    _edges(review, ("pipeline",), {group.id: group.depends_on for group in review.groups.values()}, None)
    for group in review.groups.values():
        if not group.standalone:
            edges = {task.id: texts(task.body.get("depends_on")) for task in group.tasks.values()}
            _edges(review, (*group.loc, "tasks"), edges, group)


def _ids(review: Review) -> None:
    seen: dict[str, str] = {}  # folded -> as it is written where it comes first
    for group in review.groups.values():
        places = [(group.loc, group.id)]
        if not group.standalone:
            places += [(task.loc, task.id) for task in group.tasks.values()]
        for loc, name in places:
            first = seen.get(name.lower())
            if not name.strip():
                review.add("out-of-range", loc, "an id is not empty", "give it a short name", key=True)
            elif first is None:
                seen[name.lower()] = name
            else:
                other = f" (as '{first}')" if first != name else ""
                message = (
                    f"the id '{name}' is used twice{other}; ids are unique in the whole pipeline, whatever their case"
                )
                review.add("duplicate-id", loc, message, "rename one of them", key=True)


def _edges(review: Review, loc: Loc, edges: dict[str, list[str]], group: Group | None) -> None:
    for name, targets in edges.items():
        for index, target in enumerate(targets):
            at = (*loc, name, "depends_on", index)
            if target == name:
                review.add("self-dependency", at, f"'{name}' depends on itself", "remove it")
            elif target not in edges:
                review.add("unknown-dependency", at, f"there is no '{target}' to depend on",
                           _hint(review, target, edges, group))  # fmt: skip
    for circle in islice(circles(edges), MAX_CIRCLES):
        if len(circle) > 2:  # itself has been reported
            index = edges[circle[0]].index(circle[1])
            message = f"these wait for each other: {' -> '.join(circle)}"
            review.add("cycle", (*loc, circle[0], "depends_on", index), message, "remove one of the dependencies")


def circles(edges: Mapping[str, Iterable[str]]) -> Iterator[list[str]]:
    """Names from a dependent to what it waits for, back to the first. Each circle is found as if those before were cut."""
    known = {name: [target for target in targets if target in edges] for name, targets in edges.items()}
    while True:
        try:
            TopologicalSorter(known).prepare()
        except CycleError as e:
            circle: list[str] = list(reversed(e.args[1]))
            yield circle
            known[circle[0]] = [target for target in known[circle[0]] if target != circle[1]]
        else:
            return


def _hint(review: Review, target: str, edges: dict[str, list[str]], group: Group | None) -> str:
    if group is None and target.lower() in review.tasks_folded:
        owner = review.tasks_folded[target.lower()].group
        return f"it is a task of the group '{owner.id}': depend on the group"
    if group is not None and target.lower() == group.id.lower():
        return "it is the group that this task is in: remove it"
    if group is not None and target.lower() in review.groups_folded:
        return f"it is a task group: let '{group.id}' depend on it"
    if group is not None and target.lower() in review.tasks_folded:
        owner = review.tasks_folded[target.lower()].group
        if owner is not group:
            return f"it is a task of the group '{owner.id}': let '{group.id}' depend on that group"
    level = "task groups" if group is None else "tasks of the same group"
    return review.suggest(target, edges) or f"depends_on names {level}"

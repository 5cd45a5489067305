"""What the rules look at, and where they report.

Rules read the raw document, not the model, so that one mistake never hides another: whatever is of the wrong type has been
reported by `shape` and is passed over here.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from rehearse.language.document import Document
from rehearse.language.problems import MAX_PROBLEMS, Loc, Problem
from rehearse.language.words import Suggestions

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


class TooManyProblems(Exception):
    """Ends the review of a file; never leaves `validation`."""


@dataclass(frozen=True)
class Surroundings:
    """What rehearse.toml knows: connection ids, and variables of all environments (lower case). None: there is none."""

    connections: frozenset[str] | None = None
    variables: frozenset[str] | None = None


@dataclass(eq=False)
class Task:
    id: str
    group: Group
    loc: Loc
    body: dict[str, Any]

    @property
    def parameters(self) -> dict[str, Any]:
        return mapping(self.body.get("parameters"))

    @property
    def job(self) -> str | None:
        return text(self.body.get("integration_job"))


@dataclass(eq=False)
class Group:
    """A node: a task group, or a standalone task as a group of one."""

    id: str
    loc: Loc
    body: dict[str, Any]
    standalone: bool
    tasks: dict[str, Task] = field(default_factory=dict)

    @property
    def depends_on(self) -> list[str]:
        return texts(self.body.get("depends_on"))

    @property
    def matrix_keys(self) -> list[str]:
        """The keys of the matrix as written; a right one has one."""
        return list(mapping(mapping(self.body.get("matrix")).get("inputs")))


class Review:
    """One document under review."""

    def __init__(self, doc: Document, surroundings: Surroundings):
        self.doc = doc
        self.surroundings = surroundings
        self.problems: list[Problem] = []
        self.suggest = Suggestions()
        self._steps = 1_000_000  # over the graph, that this file may cost
        self.root = mapping(doc.value)
        self.groups: dict[str, Group] = {}
        for node_id, body in mapping(self.root.get("pipeline")).items():
            group = Group(node_id, ("pipeline", node_id), mapping(body), "tasks" not in mapping(body))
            if group.standalone:
                group.tasks[node_id] = Task(node_id, group, group.loc, group.body)
            for task_id, task in mapping(group.body.get("tasks")).items():
                group.tasks[task_id] = Task(task_id, group, (*group.loc, "tasks", task_id), mapping(task))
            self.groups[node_id] = group

    @cached_property
    def groups_folded(self) -> dict[str, Group]:
        return {group_id.lower(): group for group_id, group in self.groups.items()}

    @cached_property
    def tasks_folded(self) -> dict[str, Task]:
        return {task_id.lower(): task for group in self.groups.values() for task_id, task in group.tasks.items()}

    @cached_property
    def inputs_folded(self) -> set[str]:
        """Names of declared inputs."""
        return {name.lower() for name in mapping(self.root.get("inputs"))}

    def run_inputs(self) -> Iterator[tuple[Loc, dict[str, Any]]]:
        """What schedules, sensors, events and the webhook give to a run, with its place."""
        for section in ("schedule", "trigger_events"):
            for index, body in enumerate(listing(self.root.get(section))):
                yield (section, index, "run_inputs"), mapping(mapping(body).get("run_inputs"))
        yield ("webhook", "run_inputs"), mapping(mapping(self.root.get("webhook")).get("run_inputs"))
        for sensor_id, sensor in mapping(self.root.get("sensors")).items():
            loc: Loc = ("sensors", sensor_id)
            yield (*loc, "run_inputs"), mapping(mapping(sensor).get("run_inputs"))
            for check_id, check in mapping(mapping(sensor).get("checks")).items():
                yield (*loc, "checks", check_id, "map_outputs"), mapping(mapping(check).get("map_outputs"))

    @cached_property
    def inputs_in_reach(self) -> set[str]:
        """Names of inputs that are declared, or that some trigger of this file gives."""
        return self.inputs_folded | {name.lower() for _, given in self.run_inputs() for name in given}

    def add(self, code: str, loc: Loc, message: str, hint: str | None = None, **more: Any) -> None:
        """Report a problem; `more` is what `Document.problem` takes: key, offset, type, msg, severity.

        Raises TooManyProblems, when it is time to stop looking.
        """
        if len(self.problems) >= MAX_PROBLEMS:
            raise TooManyProblems
        self.problems.append(self.doc.problem(code, loc, message, hint, **more))

    def check_words(self, loc: Loc, value: Any) -> None:
        """Warn of yes, no, on and off where the file does not say that a truth value is wanted."""
        if isinstance(value, bool):
            written = self.doc.written(loc)
            if written.lower() not in ("true", "false"):
                message = f"YAML reads {written} as {str(value).lower()}"
                self.add("yaml-surprise", loc, message, f"quote it: '{written}'")
        elif isinstance(value, dict):
            for key, item in value.items():
                self.check_words((*loc, key), item)
        elif isinstance(value, list):
            for index, item in enumerate(value):
                self.check_words((*loc, index), item)

    def waits_for(self, group: Group, other: Group) -> bool:
        """Has `other` ended before `group` starts?"""
        return self._reaches(
            group.id, other.id, lambda name: self.groups[name].depends_on if name in self.groups else ()
        )

    def task_waits_for(self, task: Task, other: Task) -> bool:
        """Has `other` ended before `task` starts? By the groups, or inside the one that both are in."""
        if task.group is not other.group:
            return self.waits_for(task.group, other.group)
        tasks = task.group.tasks
        return self._reaches(
            task.id, other.id, lambda name: texts(tasks[name].body.get("depends_on")) if name in tasks else ()
        )

    def _reaches(self, start: str, goal: str, edges: Callable[[str], Iterable[str]]) -> bool:
        """Is there a way from `start` to `goal`? Nearest first, because most often it is one step.

        In a file that asks this endlessly the answer becomes yes, so that nothing is reported without grounds.
        """
        seen: set[str] = set()
        waiting = deque(edges(start))
        while waiting and self._steps:
            name = waiting.popleft()
            if name == goal:
                return True
            if name not in seen:
                self._steps -= 1
                seen.add(name)
                waiting += edges(name)
        return not self._steps

    def check_connection(self, loc: Loc, value: Any) -> None:
        """Warn of a connection that rehearse.toml does not know (check 14)."""
        known = self.surroundings.connections
        if known and isinstance(value, str) and "${{" not in value and value != "default_00000" and value not in known:
            hint = self.suggest(value, known) or f"add [connections.{value}] to it"
            self.add("unknown-connection", loc, f"rehearse.toml has no connection '{value}'", hint)

    def check_pipeline_id(self, loc: Loc, value: Any) -> None:
        """The platform names a pipeline by its id; here the name of its file does as well."""
        if isinstance(value, str) and value != "*" and "${{" not in value and not _UUID.fullmatch(value):
            hint = "on the platform write its id (a UUID); the name of its file is understood only by rehearse"
            self.add("local-alias", loc, f"'{value}' is not the id of a pipeline", hint)


def mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def listing(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def texts(value: Any) -> list[str]:
    return [item for item in listing(value) if isinstance(item, str)]

"""Where expressions may stand, and what they can see there (section 5.1)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from rehearse.language.problems import Loc
from rehearse.language.rules.review import Group, Review, Task, listing, mapping

CLOCK = frozenset({"current_time", "pipeline_run_started_at"})
RUN = CLOCK | {"pipeline_run_id", "current_branch", "task_run_id", "pipeline_run_tasks"}
_IN_A_RUN = frozenset({"orchestra", "tasks", "task_groups", "inputs", "env", "secrets"})
_BEFORE_A_RUN = frozenset({"orchestra", "env", "secrets"})


@dataclass(frozen=True)
class Place:
    """A text that the platform evaluates. `roots` are the variables in reach, `attributes` those of `orchestra`.

    `group` and `task` say whose it is; `after_the_run` that every task has ended by then (alerts).
    """

    loc: Loc
    text: str
    what: str
    roots: frozenset[str] = _IN_A_RUN
    attributes: frozenset[str] = RUN
    condition: bool = False
    group: Group | None = None
    task: Task | None = None
    after_the_run: bool = False


def places(review: Review) -> Iterator[Place]:
    """Every text that is evaluated and holds an expression, in the order of the file's sections."""
    for place in _all_places(review):
        if place.condition or "${{" in place.text:
            yield place


def _all_places(review: Review) -> Iterator[Place]:
    for group in review.groups.values():
        yield from _of_group(group)
    root = review.root
    for name, declared in mapping(root.get("inputs")).items():
        yield from _texts(("inputs", name, "default"), mapping(declared).get("default"), "the default of an input",
                          frozenset({"orchestra", "env"}), CLOCK)  # fmt: skip
    concurrency = mapping(mapping(root.get("configuration")).get("concurrency"))
    yield from _texts(("configuration", "concurrency", "max_active"), concurrency.get("max_active"), "max_active",
                      frozenset({"env"}))  # fmt: skip
    for section in ("alerts", "anomalies"):
        yield from _alerts((section,), root.get(section), _IN_A_RUN)
    for index, schedule in enumerate(listing(root.get("schedule"))):
        yield from _before(("schedule", index, "run_inputs"), mapping(schedule).get("run_inputs"), "a schedule")
    yield from _before(("webhook", "run_inputs"), mapping(root.get("webhook")).get("run_inputs"), "a webhook")
    for index, event in enumerate(listing(root.get("trigger_events"))):
        loc = ("trigger_events", index, "run_inputs")
        yield from _before(loc, mapping(event).get("run_inputs"), "a trigger event", outputs=True)
    for sensor_id, sensor in mapping(root.get("sensors")).items():
        yield from _of_sensor(("sensors", sensor_id), mapping(sensor))


def _of_group(group: Group) -> Iterator[Place]:
    inside = _IN_A_RUN | {"matrix"} if group.body.get("matrix") and not group.standalone else _IN_A_RUN
    if not group.standalone:
        yield from _condition((*group.loc, "condition"), group.body.get("condition"), _IN_A_RUN, group)
        inputs = mapping(mapping(group.body.get("matrix")).get("inputs"))
        for key, value in inputs.items():
            yield from _texts((*group.loc, "matrix", "inputs", key), value, "a matrix", group=group)
    for task in group.tasks.values():
        yield from _condition((*task.loc, "condition"), task.body.get("condition"), inside, group, task)
        for name in ("name", "connection", "parameters"):
            yield from _texts((*task.loc, name), task.body.get(name), "a task", inside, group=group, task=task)
        for section in ("alerts", "anomalies"):
            yield from _alerts((*task.loc, section), task.body.get(section), inside)


def _of_sensor(loc: Loc, sensor: dict[str, Any]) -> Iterator[Place]:
    roots = _BEFORE_A_RUN | {"outputs"}
    if isinstance(sensor.get("condition"), str):
        yield Place((*loc, "condition"), sensor["condition"], "a sensor's condition", roots, CLOCK, condition=True)
    yield from _before((*loc, "run_inputs"), sensor.get("run_inputs"), "a sensor")
    for check_id, check in mapping(sensor.get("checks")).items():
        at = (*loc, "checks", check_id)
        for name in ("connection", "parameters"):
            yield from _before((*at, name), mapping(check).get(name), "a check")
        yield from _before((*at, "map_outputs"), mapping(check).get("map_outputs"), "map_outputs", outputs=True)
    yield from _alerts((*loc, "alerts"), sensor.get("alerts"), roots)


def _before(loc: Loc, value: Any, what: str, *, outputs: bool = False) -> Iterator[Place]:
    return _texts(loc, value, what, _BEFORE_A_RUN | {"outputs"} if outputs else _BEFORE_A_RUN, CLOCK)


def _alerts(loc: Loc, alerts: Any, roots: frozenset[str]) -> Iterator[Place]:
    for index, alert in enumerate(listing(alerts)):
        yield from _texts((*loc, index, "custom_message"), mapping(alert).get("custom_message"), "an alert", roots,
                          after_the_run=True)  # fmt: skip
        for n, destination in enumerate(listing(mapping(alert).get("destinations"))):
            for name in ("destination", "connection_id", "parameters"):
                yield from _texts((*loc, index, "destinations", n, name), mapping(destination).get(name), "an alert", roots,
                                  after_the_run=True)  # fmt: skip


def _condition(loc: Loc, value: Any, roots: frozenset[str], group: Group, task: Task | None = None) -> Iterator[Place]:
    if isinstance(value, str):
        yield Place(loc, value, "a condition", roots, condition=True, group=group, task=task)


def _texts(
    loc: Loc, value: Any, what: str, roots: frozenset[str] = _IN_A_RUN, attributes: frozenset[str] = RUN, **more: Any
) -> Iterator[Place]:
    """The texts inside a value, however deep."""
    if isinstance(value, str):
        yield Place(loc, value, what, roots, attributes, **more)
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _texts((*loc, key), item, what, roots, attributes, **more)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _texts((*loc, index), item, what, roots, attributes, **more)

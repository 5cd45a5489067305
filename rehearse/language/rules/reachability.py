"""Conditions that can never be true, or never false, and what can never run because of them.

Every status that the tasks and groups named by the conditions could have is tried, by the evaluator that a run uses. What
else a condition asks (an input, an output) may be true or false. Too many combinations: nothing is said.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import combinations, product
from math import prod
from typing import Any, NamedTuple

from rehearse.errors import ExpressionError
from rehearse.language import expressions, syntax
from rehearse.language.evaluation import Scope, TaskVariable, evaluate, truthy
from rehearse.language.lookups import group_named, key_text, task_named
from rehearse.language.problems import Loc
from rehearse.language.rules.references import Parsed
from rehearse.language.rules.review import Group, Review, Task, texts
from rehearse.language.statuses import GOOD, TERMINAL

MAX_COMBINATIONS = 1_500
MAX_UPSTREAM = 100
_KEY = re.compile(r"\['(\w+)'\]")  # as `unparse` writes it
_OTHER = object()  # an answer that no atom names
_UNKNOWN = expressions.parse("inputs.unknown")  # may be true or false


@dataclass
class _Unit:
    """A group or a task: what runs when its condition, or the default rule over `upstream`, says so."""

    name: str
    loc: Loc
    condition: syntax.Node | None
    upstream: list[str]


@dataclass
class _Demand:
    """What must be true for a unit to run: these conditions, with these units having succeeded."""

    conditions: list[syntax.Node] = field(default_factory=list)
    succeeded: set[str] = field(default_factory=set)


def check_reachability(review: Review, parsed: list[Parsed]) -> None:
    """Report dead conditions and what is unreachable."""
    conditions = {p.place.loc: p.roots[0][1] for p in parsed if p.place.condition and p.roots}
    groups = {
        group.id: _unit(group.id, group.loc, group.body, group.depends_on, conditions)
        for group in review.groups.values()
    }
    _check_units(review, groups, "group")
    for group in review.groups.values():
        if not group.standalone:
            tasks = {
                task.id: _unit(task.id, task.loc, task.body, texts(task.body.get("depends_on")), conditions)
                for task in group.tasks.values()
            }
            _check_units(review, tasks, "task")


def _unit(name: str, loc: Loc, body: dict[str, Any], upstream: list[str], conditions: dict[Loc, syntax.Node]) -> _Unit:
    loc_of_condition = (*loc, "condition")
    written = body.get("condition") is not None
    return _Unit(name, loc, conditions.get(loc_of_condition, _UNKNOWN) if written else None, upstream)


def _check_units(review: Review, units: dict[str, _Unit], kind: str) -> None:
    if not any(unit.condition is not None for unit in units.values()):
        return
    never: dict[str, _Demand] = {}
    for unit in units.values():
        demand = _collect(unit, units)
        if demand is None:
            continue
        # That it is always true is worth a word only of a condition that does not say so on purpose.
        enough = {True} if unit.condition is None or _meant(unit.condition) else {True, False}
        outcomes: set[bool] = set()
        for outcome in _outcomes(review, demand, kind):
            outcomes.add(outcome)
            if outcomes >= enough:
                break
        if outcomes == {False}:
            never[unit.name] = demand
        elif outcomes == {True} and len(enough) == 2:
            assert unit.condition is not None
            word = any(
                isinstance(n, syntax.Binary) and n.operator == "or" and _is_word(n) for n in syntax.walk(unit.condition)
            )
            hint = "a word alone is always true: write in ['A', 'B']" if word else "write ${{ True }} if that is meant"
            review.add("dead-condition", (*unit.loc, "condition"), "this condition is always true", hint)
    for name, demand in never.items():
        if demand.succeeded.isdisjoint(never):  # else that one's report says why
            _never(review, units[name], kind)


def _is_word(either: syntax.Binary) -> bool:
    """`status == 'A' or 'B'`: the second half is a text, and so true."""
    return any(isinstance(side, syntax.Literal) and isinstance(side.value, str) for side in (either.left, either.right))


def _never(review: Review, unit: _Unit, kind: str) -> None:
    if unit.condition is not None:
        hint = f"the {kind} '{unit.name}' can never run"
        review.add("dead-condition", (*unit.loc, "condition"), "this condition is never true", hint)
    else:
        message = f"the {kind} '{unit.name}' can never run: what it waits for never succeeds all at once"
        hint = "give it a condition of its own, or other dependencies"
        review.add("unreachable", (*unit.loc, "depends_on"), message, hint, key=True)


def _collect(unit: _Unit, units: dict[str, _Unit]) -> _Demand | None:
    """What `unit` needs in order to run; None when it waits for itself, or for more than is worth looking through."""
    demand = _Demand()
    waiting = [unit]
    while waiting:
        current = waiting.pop()
        if current.condition is not None:
            demand.conditions.append(current.condition)
            continue
        for name in current.upstream:
            if name in units and name not in demand.succeeded:
                demand.succeeded.add(name)
                waiting.append(units[name])
        if unit.name in demand.succeeded or len(demand.succeeded) > MAX_UPSTREAM:
            return None
    return demand


def _meant(condition: syntax.Node) -> bool:
    """`${{ True }}` and the comparison with COMPLETED say on purpose: whatever happened."""
    return any(
        isinstance(node, syntax.Literal) and (node.value is True or node.value == "COMPLETED")
        for node in syntax.walk(condition)
    )


def _outcomes(review: Review, demand: _Demand, kind: str) -> Iterator[bool]:
    """Whether all conditions are true, for each combination of what they ask about. Nothing when there are too many."""
    if not demand.conditions:
        return
    tasks: dict[str, Task] = {}
    groups: dict[str, Group] = {}
    questions: dict[str, list[tuple[syntax.Node, _Question]]] = {}  # what is asked about -> where
    for condition in demand.conditions:
        for atom in _atoms(condition):
            if _decidable(atom):
                _subjects(review, atom, tasks, groups)
            else:
                question = _question(atom)
                questions.setdefault(question.subject, []).append((atom, question))
    good_tasks, good_groups = _succeeded(review, demand, kind)
    choices: list[list[Any]] = [_statuses(tasks[task], task in good_tasks) for task in tasks]
    choices += [_members(groups[g], g in good_groups) for g in groups]
    choices += [[*dict.fromkeys(question.answer for _, question in asked), _OTHER] for asked in questions.values()]
    if prod(len(choice) for choice in choices) > MAX_COMBINATIONS:
        return
    for chosen in product(*choices):
        task_values = {task: TaskVariable(status) for task, status in zip(tasks, chosen, strict=False)}
        group_values = dict(zip(groups, chosen[len(tasks) :], strict=False))
        answers = zip(questions.values(), chosen[len(tasks) + len(groups) :], strict=True)
        facts = {id(atom): (q.answer == given) == q.equal for asked, given in answers for atom, q in asked}
        scope = Scope(tasks=task_values, task_groups=group_values, in_condition=True,
                      orchestra={"pipeline_run_tasks": task_values})  # fmt: skip
        try:
            yield all(_truth(condition, scope, facts) for condition in demand.conditions)
        except ExpressionError:  # reported elsewhere, if it is a mistake
            yield from (True, False)


class _Question(NamedTuple):
    """What an atom asks about, and that it is true for this answer, or (not `equal`) for every other one."""

    subject: str
    answer: Any
    equal: bool = True


def _question(atom: syntax.Node) -> _Question:
    """`inputs.mode == 'full'` excludes `inputs['mode'] == 'delta'`: both ask about inputs.mode."""
    if isinstance(atom, syntax.Binary) and atom.operator in ("==", "!="):
        for subject, value in ((atom.left, atom.right), (atom.right, atom.left)):
            if isinstance(value, syntax.Literal) and isinstance(value.value, (str, int)):
                text = _KEY.sub(r".\1", syntax.unparse(subject)).lower()
                return _Question(text, value.value, atom.operator == "==")
    return _Question(f"whether {syntax.unparse(atom)}", True)


def _subjects(review: Review, atom: syntax.Node, tasks: dict[str, Task], groups: dict[str, Group]) -> None:
    """Add the tasks and groups whose status an atom asks."""
    for node in syntax.walk(atom):
        if (key := task_named(node)) is not None and (task := review.tasks_folded.get(key_text(key).lower())):
            tasks[task.id] = task
        elif (name := group_named(node)) is not None and (group := review.groups_folded.get(name.lower())):
            groups[group.id] = group


def _atoms(node: syntax.Node) -> Iterator[syntax.Node]:
    """The questions between `and`, `or` and `not`."""
    if isinstance(node, syntax.Binary) and node.operator in ("and", "or"):
        yield from _atoms(node.left)
        yield from _atoms(node.right)
    elif isinstance(node, syntax.Unary) and node.operator == "not":
        yield from _atoms(node.operand)
    else:
        yield node


def _decidable(atom: syntax.Node) -> bool:
    """Does it ask nothing but statuses?"""
    for node in syntax.walk(atom):
        if isinstance(node, syntax.Name) and node.name not in ("tasks", "task_groups", "orchestra"):
            return False
        if isinstance(node, syntax.Call):
            return False
        if (
            isinstance(node, (syntax.Attribute, syntax.Subscript))
            and task_named(node) is None
            and group_named(node) is None
        ):
            key = node.name if isinstance(node, syntax.Attribute) else getattr(node.key, "value", None)
            if str(key).lower() not in ("status", "pipeline_run_tasks"):
                return False
    return True


def _truth(node: syntax.Node, scope: Scope, facts: dict[int, bool]) -> bool:
    if isinstance(node, syntax.Binary) and node.operator == "and":
        return _truth(node.left, scope, facts) and _truth(node.right, scope, facts)
    if isinstance(node, syntax.Binary) and node.operator == "or":
        return _truth(node.left, scope, facts) or _truth(node.right, scope, facts)
    if isinstance(node, syntax.Unary) and node.operator == "not":
        return not _truth(node.operand, scope, facts)
    fact = facts.get(id(node))
    return truthy(evaluate(node, scope)) if fact is None else fact


def _succeeded(review: Review, demand: _Demand, kind: str) -> tuple[set[str], set[str]]:
    if kind == "task":
        return demand.succeeded, set()
    tasks = {task for group in demand.succeeded for task in review.groups[group].tasks}
    return tasks, demand.succeeded


def _statuses(task: Task, succeeded: bool) -> list[str]:
    """How a task may end, as it is written."""
    if task.body.get("paused") is True or (task.group.body.get("paused") is True and not task.group.standalone):
        ends: tuple[str, ...] = ("SUCCEEDED", "SKIPPED")
    elif task.body.get("treat_failure_as_warning") is True:
        ends = tuple(status for status in TERMINAL if status != "FAILED")
    else:
        ends = TERMINAL
    return [status for status in ends if not succeeded or status in GOOD]


def _members(group: Group, succeeded: bool) -> list[list[TaskVariable]]:
    """Statuses that the tasks of a group may have: as all() and any() ask, it matters only which ones there are."""
    possible = {status for task in group.tasks.values() for status in _statuses(task, succeeded)}
    statuses = [status for status in TERMINAL if status in possible]
    most = len(statuses) if group.matrix_keys else min(len(statuses), len(group.tasks))
    found = [
        [TaskVariable(status) for status in some]
        for size in range(1, most + 1)
        for some in combinations(statuses, size)
    ]
    if group.matrix_keys:
        found.append([])
    return found

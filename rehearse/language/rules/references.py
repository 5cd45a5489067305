"""Expressions: that they parse, stand where they are evaluated, and name what exists (check 10)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from rehearse.errors import ExpressionError
from rehearse.language import syntax, templates
from rehearse.language.lookups import group_named, key_of, key_text, task_named
from rehearse.language.problems import Loc
from rehearse.language.rules.places import RUN, Place, places
from rehearse.language.rules.review import Review
from rehearse.language.statuses import STATUSES
from rehearse.language.words import did_you_mean

_TASK_ATTRIBUTES = ("status", "task_run_id", "run_parameters", "outputs")
_INSTEAD = {
    "run_id": "write pipeline_run_id", "pipeline_run": "write pipeline_run_id", "environment": "set a variable in the "
    "environment and read it: ENV.NAME", "run_date": "write format_date(ORCHESTRA.CURRENT_TIME, '%Y-%m-%d')",
    "pipeline_id": "the pipeline does not know its own id",
}  # fmt: skip
_NOBODY_READS = ("meta", "operation_metadata")
_NEVER_EVALUATED = frozenset({"cron", "timezone", "integration", "integration_job", "sensor_type", "depends_on", "version",
                              "type", "statuses", "exclude", "pipeline_id"})  # fmt: skip


@dataclass
class Parsed:
    """A place and its expressions, for the rules that look further: (offset in the text, root) of each that is right."""

    place: Place
    roots: list[tuple[int, syntax.Node]]


def check_references(review: Review) -> list[Parsed]:
    """Report what is wrong with expressions; gives back those that are right."""
    parsed: list[Parsed] = []
    seen: set[Loc] = set()
    for place in places(review):
        seen.add(place.loc)
        right: list[tuple[int, syntax.Node]] = []
        for found in _expressions_of(place):
            if isinstance(found, ExpressionError):
                near = place.text[found.offset : found.offset + 20].splitlines()
                where = f" at '{near[0].strip()}'" if near and near[0].strip() else ""
                review.add("expression", place.loc, f"expression: {found}{where}", found.hint, offset=found.offset)
            elif _is_right(review, place, *found):
                right.append(found)
        parsed.append(Parsed(place, right))
    if "${{" in review.doc.text:
        _elsewhere(review, seen)
    return parsed


def _expressions_of(place: Place) -> Iterable[tuple[int, syntax.Node] | ExpressionError]:
    if not place.condition:
        return templates.parse_each(place.text)
    try:
        return templates.parse_condition(place.text).nodes
    except ExpressionError as e:
        return [e]


def _is_right(review: Review, place: Place, base: int, root: syntax.Node) -> bool:
    """Check every node of an expression; whether nothing is wrong with it."""
    before = len(review.problems)
    nodes = list(syntax.walk(root))
    for node in nodes:
        _check(review, place, node, base)
    if not any(problem.severity == "error" for problem in review.problems[before:]):
        _values(review, place, nodes, base)
    return not any(
        problem.severity == "error" or problem.code == "unknown-status" for problem in review.problems[before:]
    )


def _values(review: Review, place: Place, nodes: list[syntax.Node], base: int) -> None:
    """A task or a group is no value: something of it must be taken, and what is taken of all or any must be compared."""
    taken = {
        id(node.target) for node in nodes if isinstance(node, (syntax.Attribute, syntax.Subscript, syntax.Quantifier))
    }
    compared = {id(side) for node in nodes if isinstance(node, syntax.Binary) and node.operator not in ("and", "or")
                for side in (node.left, node.right)}  # fmt: skip
    for node in nodes:
        if id(node) in taken:
            continue
        if isinstance(node, syntax.Quantifier):
            message, hint = "many tasks are no value", f"write .{node.mode}().status == 'SUCCEEDED'"
        elif task_named(node) is not None:
            message, hint = "a task is no value", "write .status == 'SUCCEEDED', or .outputs['...']"
        elif group_named(node) is not None:
            message, hint = "a task group is no value", "write .all().status == 'SUCCEEDED', or .any()"
        elif id(node) not in compared and _is_of_many(node):
            message, hint = "what many tasks have is no value", "compare it: == 'SUCCEEDED'"
        else:
            continue
        review.add("unknown-name", place.loc, message, hint, offset=base + node.offset)


def _is_of_many(node: syntax.Node) -> bool:
    while isinstance(node, (syntax.Attribute, syntax.Subscript)):
        node = node.target
    return isinstance(node, syntax.Quantifier)


def _check(review: Review, place: Place, node: syntax.Node, base: int) -> None:
    def add(code: str, message: str, hint: str | None = None, at: syntax.Node = node) -> None:
        review.add(code, place.loc, message, hint, offset=base + at.offset)

    if isinstance(node, syntax.Name) and node.name not in place.roots:
        _out_of_reach(place, node, add)
    elif isinstance(node, syntax.Binary):
        _statuses(node, add)
    elif isinstance(node, (syntax.Subscript, syntax.Attribute)):
        _member(review, place, node, add)


def _out_of_reach(place: Place, node: syntax.Name, add: Any) -> None:
    if node.name == "matrix":
        add("matrix-reference", "MATRIX is only available in the tasks of a group that has a matrix")
    elif node.name == "outputs":
        hint = "write tasks['...'].outputs['...']" if "tasks" in place.roots else "use it in map_outputs of a check"
        add("unknown-name", "'outputs' is what a trigger found; it is not available here", hint)
    else:
        reach = ", ".join(sorted(place.roots)).upper()
        add("unknown-name", f"'{node.name}' is not available in {place.what}", f"available: {reach}")


def _member(review: Review, place: Place, node: syntax.Subscript | syntax.Attribute, add: Any) -> None:
    key = key_of(node)
    if not isinstance(key, str):
        return
    at = node.key if isinstance(node, syntax.Subscript) else node
    target = node.target
    root = target.name if isinstance(target, syntax.Name) else ""
    if root == "matrix" and place.group is not None and "matrix" in place.roots:
        known = place.group.matrix_keys
        if known and key.lower() not in {name.lower() for name in known}:
            add("matrix-reference", f"the matrix has no key '{key}'", f"its key is '{known[0]}'", at)
    elif root == "task_groups":
        _group(review, key, add, at)
    elif root == "orchestra":
        _orchestra(place, key, add, at)
    elif root == "inputs":
        if key.lower() not in review.inputs_in_reach:
            hint = review.suggest(key, review.inputs_folded) or "declare it under 'inputs'"
            add("undeclared-input", f"the input '{key}' is not declared", hint, at)
    elif root == "env":
        variables = review.surroundings.variables
        if variables and key.lower() not in variables:
            hint = review.suggest(key, variables) or "add it to an environment"
            add("unknown-variable", f"no environment of rehearse.toml has '{key}'", hint, at)
    elif (named := task_named(node)) is not None:
        if key_text(named).lower() not in review.tasks_folded:
            near = review.suggest(key, (task.id for task in review.tasks_folded.values()))
            if key.lower() in review.groups_folded:
                near = f"it is a task group: write task_groups['{key}'].all() or .any()"
            add("unknown-task", f"there is no task '{key}'", near, at)
    elif task_named(target) is not None and key.lower() not in _TASK_ATTRIBUTES:
        hint = did_you_mean(key, _TASK_ATTRIBUTES) or f"a task has .{', .'.join(_TASK_ATTRIBUTES)}"
        add("unknown-name", f"a task has no '{key}'", hint, at)
    elif isinstance(target, syntax.Quantifier) and key.lower() not in _TASK_ATTRIBUTES:
        add("unknown-name", f"a task has no '{key}'", did_you_mean(key, _TASK_ATTRIBUTES), at)
    elif group_named(target) is not None:
        add("unknown-name", f"a task group has no '{key}': it has many tasks",
            f"write .all().{key} or .any().{key}", at)  # fmt: skip


def _group(review: Review, key: str, add: Any, at: syntax.Node) -> None:
    group = review.groups_folded.get(key.lower())
    if group is None:
        hint = review.suggest(key, review.groups)
        if key.lower() in review.tasks_folded:
            hint = f"it is a task: write tasks['{key}']"
        add("unknown-group", f"there is no task group '{key}'", hint, at)
    elif group.standalone:
        add("unknown-group", f"'{key}' is a task of its own, not a task group", f"write tasks['{key}'].status", at)


def _orchestra(place: Place, key: str, add: Any, at: syntax.Node) -> None:
    if key.lower() not in RUN:
        hint = _INSTEAD.get(key.lower()) or did_you_mean(key, RUN) or f"it has {', '.join(sorted(RUN))}"
        add("unknown-name", f"ORCHESTRA has no '{key}'", hint, at)
    elif key.lower() not in place.attributes:
        add("unknown-name", f"ORCHESTRA.{key.upper()} is not available in {place.what}", "there is no run yet", at)


def _statuses(node: syntax.Binary, add: Any) -> None:
    """`.status` compared with words."""
    for side, other in ((node.left, node.right), (node.right, node.left)):
        if isinstance(side, (syntax.Attribute, syntax.Subscript)) and str(key_of(side)).lower() == "status" and (
            task_named(side.target) is not None or isinstance(side.target, syntax.Quantifier)
        ):  # fmt: skip
            for literal in other.items if isinstance(other, syntax.ListNode) else (other,):
                word = literal.value if isinstance(literal, syntax.Literal) else None
                if word == "PAUSED":
                    hint = "a paused task reports SUCCEEDED, or SKIPPED when it would not have run"
                    add("paused-status", "there is no status PAUSED", hint, literal)
                elif isinstance(word, str) and word not in (*STATUSES, "COMPLETED"):
                    hint = did_you_mean(word, (*STATUSES, "COMPLETED")) or f"statuses: {', '.join(STATUSES)}"
                    add("unknown-status", f"'{word}' is not a status, so this is never equal", hint, literal)


def _elsewhere(review: Review, seen: set[Loc]) -> None:
    """Expressions in texts that nobody evaluates."""
    waiting: list[tuple[Loc, Any]] = [((key,), value) for key, value in review.root.items() if key not in _NOBODY_READS]
    while waiting:
        loc, value = waiting.pop()
        if isinstance(value, dict):
            waiting += [((*loc, key), item) for key, item in value.items() if key not in _NOBODY_READS]
            for key in value:
                if "${{" in key:
                    review.add("expression-place", (*loc, key), "a key is never evaluated", key=True)
        elif isinstance(value, list):
            waiting += [((*loc, index), item) for index, item in enumerate(value)]
        elif isinstance(value, str) and "${{" in value and loc not in seen:
            name = next((part for part in reversed(loc) if isinstance(part, str)), "")
            code = "expression-place" if name in _NEVER_EVALUATED else "not-evaluated"
            message = f"'{name}' is not evaluated: the expression stays as it is written"
            review.add(code, loc, message, "write the value itself")

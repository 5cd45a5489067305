"""Values of expressions: sections 5.3 to 5.7 of the language reference. Pure: even the time comes in through the Scope.

Total: every tree in every scope gives a value or an ExpressionError. What the reference leaves open is decided so:
- Equality is Python's: 1 == 1.0 == True, but `1 is True` is false; other types are never equal.
- A task, a task group and `.all().status` are not values: alone, also as a whole condition, they are an error.
- In a condition anything taken of None is None: `outputs['results'][0][0] == 1` of a skipped task is false, too.
- str() is as Python, except that dates, lists and dicts look as they do in text.
"""

from __future__ import annotations

import json
import operator as op
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

from rehearse.errors import ExpressionError
from rehearse.language import syntax
from rehearse.language.statuses import TERMINAL
from rehearse.language.zones import zone

MAX_TEXT = 10_000_000  # characters: every str([str([...])]) doubles the backslashes
_MISSING = object()


class Status(str):
    """The status of a task: text, and the only text that COMPLETED may be equal to (section 5.6)."""


@dataclass(frozen=True)
class TaskVariable:
    """What an expression sees of a task run."""

    status: str
    task_run_id: str | None = None
    run_parameters: Mapping[str, Any] = field(default_factory=dict)
    outputs: Mapping[str, Any] = field(default_factory=dict)


class OutOfReach(Mapping[str, Any]):
    """Variables that cannot be read in some place: whoever tries is told why."""

    def __init__(self, why: str, hint: str | None = None):
        self._why = why
        self._hint = hint

    def __getitem__(self, name: str) -> Any:
        raise ExpressionError(self._why, hint=self._hint)

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


@dataclass(frozen=True)
class Scope:
    """The variables in reach. None for `matrix` or `outputs` means that the root does not exist here."""

    orchestra: Mapping[str, Any] = field(default_factory=dict)
    tasks: Mapping[str, TaskVariable] = field(default_factory=dict)
    task_groups: Mapping[str, list[TaskVariable]] = field(default_factory=dict)
    inputs: Mapping[str, Any] = field(default_factory=dict)
    env: Mapping[str, Any] = field(default_factory=dict)
    secrets: Mapping[str, Any] = field(default_factory=dict)
    matrix: Mapping[str, Any] | None = None
    outputs: Mapping[str, Any] | None = None
    in_condition: bool = False
    """In a condition a missing task output is None; in a parameter it is an error (section 5.7)."""


@dataclass(frozen=True)
class _Names:
    """Variables, found whatever the case of their name. A missing one is an error, or None if it is `optional`."""

    complaint: str
    values: Mapping[str, Any]
    optional: bool = False


class _Places(_Names):
    """Names of what is no value: tasks and task groups."""


@dataclass(frozen=True)
class _Group:
    """The tasks of a group, or what was taken of each. Before .all() or .any() it has no `mode`."""

    items: tuple[Any, ...]
    mode: str = ""


def evaluate(node: syntax.Node, scope: Scope) -> Any:
    """The typed value of an expression. The offset of an ExpressionError counts from the start of its text."""
    try:
        value = _value(node, scope)
    except ExpressionError:
        raise
    except Exception as e:  # no odd value in a scope, such as a list that holds itself, may take the engine down
        raise ExpressionError(f"cannot evaluate: {e}", node.offset) from e
    return str(value) if isinstance(value, Status) else value


def to_text(value: Any) -> str:
    """How a value looks when spliced into text (section 5.3). Raises ExpressionError for what text cannot hold."""
    try:
        text = _text(value)
    except (ValueError, TypeError, OverflowError, RecursionError) as e:
        raise ExpressionError(f"{_kind(value)} cannot be written as text: {e}") from e
    if len(text) > MAX_TEXT:
        raise ExpressionError(f"the text of {_kind(value)} has more than {MAX_TEXT} characters")
    return text


def _text(value: Any) -> str:
    if isinstance(value, datetime):
        return (value.astimezone(UTC).replace(tzinfo=None) if value.tzinfo else value).isoformat()
    if isinstance(value, (list, tuple, Mapping)):
        return json.dumps(value, default=lambda item: dict(item) if isinstance(item, Mapping) else _text(item))
    return "" if value is None else str(value)


def truthy(value: Any) -> bool:
    """Whether a condition with this value lets its node run: Python's truth, so the text 'false' does (section 5.7)."""
    return bool(value)


def _value(node: syntax.Node, scope: Scope) -> Any:
    return _data(node, _place(node, scope))


def _place(node: syntax.Node, scope: Scope) -> Any:
    """A value, or what has values: _Names, a TaskVariable, a _Group."""
    return _RULES[type(node)](node, scope)


def _data(node: syntax.Node, place: Any) -> Any:
    if isinstance(place, (TaskVariable, _Places, _Group)):
        hint = "write tasks['...'].status or task_groups['...'].all().status == '...'"
        raise ExpressionError("a task or task group is not a value", node.offset, hint)
    return dict(place.values) if isinstance(place, _Names) else place


def _name(node: syntax.Name, scope: Scope) -> _Names:
    values = getattr(scope, node.name)
    if values is None:
        where = "inside a task group that has a matrix" if node.name == "matrix" else "in a trigger"
        raise ExpressionError(f"'{node.name}' is only available {where}", node.offset)
    if node.name == "orchestra":
        values = {**values, "pipeline_run_tasks": _Places("tasks has no", scope.tasks)}
    kind = _Places if node.name in ("orchestra", "tasks", "task_groups") else _Names
    return kind(f"{node.name} has no", values, optional=node.name == "inputs")


def _member(node: syntax.Node, place: Any, key: Any, scope: Scope) -> Any:
    """What `.key` or `[key]` gives: the key of a dict, an index, a variable. Never an attribute of a Python object."""
    if isinstance(place, _Group) and place.mode:
        return _Group(tuple(_member(node, item, key, scope) for item in place.items), place.mode)
    if isinstance(place, TaskVariable):
        return _of_task(node, place, key, scope)
    if isinstance(place, _Names):
        return _variable(node, place, key, scope)
    if place is None and scope.in_condition:
        return None
    by_index = isinstance(place, (list, tuple, str)) and isinstance(key, int) and not isinstance(key, bool)
    try:
        if by_index or isinstance(place, Mapping):
            return place[key]
    except IndexError:
        message = f"index {key} is out of range: the length is {len(place)}"
        raise ExpressionError(message, node.offset) from None
    except (LookupError, TypeError):  # TypeError: a list cannot be the key of a dict
        pass
    raise ExpressionError(f"{_kind(place)} has no {key!r:.60}", node.offset, _known(place))


def _variable(node: syntax.Node, names: _Names, key: Any, scope: Scope) -> Any:
    if not isinstance(key, str):
        raise ExpressionError(f"variables have names, {_kind(key)} is none", node.offset, "write str(...)")
    try:
        value = names.values.get(key, _MISSING)
    except ExpressionError as e:  # variables that are looked up when they are read
        raise ExpressionError(str(e), node.offset, e.hint) from None
    if value is _MISSING:
        value = next((names.values[name] for name in names.values if str(name).lower() == key.lower()), _MISSING)
    if value is _MISSING:
        if names.optional:
            return None
        raise ExpressionError(f"{names.complaint} '{key:.60}'", node.offset, _known(names.values))
    return _Group(tuple(value)) if isinstance(names, _Places) and isinstance(value, list) else value


def _of_task(node: syntax.Node, task: TaskVariable, key: Any, scope: Scope) -> Any:
    match str(key).lower():
        case "status":
            return Status(task.status)
        case "task_run_id":
            return task.task_run_id
        case "outputs":
            return _Names("the task has no output", task.outputs, scope.in_condition)
        case "run_parameters":
            return _Names("the task has no run parameter", task.run_parameters, scope.in_condition)
    hint = "it has .status, .task_run_id, .run_parameters and .outputs"
    raise ExpressionError(f"a task has no {key!r:.60}", node.offset, hint)


def _quantifier(node: syntax.Quantifier, scope: Scope) -> _Group:
    group = _place(node.target, scope)
    if not isinstance(group, _Group):
        raise ExpressionError(f".{node.mode}() follows task_groups['...'] only", node.offset)
    return _Group(group.items, node.mode)


def _call(node: syntax.Call, scope: Scope) -> Any:
    arguments = [_value(argument, scope) for argument in node.arguments]
    try:
        return _FUNCTIONS[node.function](*arguments)
    except (ExpressionError, ValueError, TypeError, OverflowError) as e:
        raise ExpressionError(f"{node.function}(): {e}", node.offset) from e


def _unary(node: syntax.Unary, scope: Scope) -> Any:
    value = _value(node.operand, scope)
    if node.operator == "not":
        return not value
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return -value
    raise ExpressionError(f"'-' needs a number, not {_kind(value)}", node.offset)


def _binary(node: syntax.Binary, scope: Scope) -> Any:
    if node.operator == "and":
        return _value(node.left, scope) and _value(node.right, scope)
    if node.operator == "or":
        return _value(node.left, scope) or _value(node.right, scope)
    left, right = _place(node.left, scope), _place(node.right, scope)
    group = left if isinstance(left, _Group) else right
    pairs = [(left, right)]
    if isinstance(group, _Group) and group.mode:  # the quantifier is about the comparison, not about the values
        pairs = [(item, right) if group is left else (left, item) for item in group.items]
    results = [_compare(node, _data(node.left, one), _data(node.right, other)) for one, other in pairs]
    return any(results) if isinstance(group, _Group) and group.mode == "any" else all(results)


def _compare(node: syntax.Binary, left: Any, right: Any) -> bool:
    operator = {"!=": "==", "not in": "in", "is not": "is"}.get(node.operator, node.operator)
    try:
        return bool(_HOLDS[operator](left, right)) == (operator == node.operator)
    except TypeError:
        message = f"cannot compare {_kind(left)} '{node.operator}' {_kind(right)}"
        raise ExpressionError(message, node.offset) from None


def _equal(left: Any, right: Any) -> bool:
    status, other = (left, right) if isinstance(left, Status) else (right, left)
    if isinstance(status, Status) and other == "COMPLETED":
        return status in TERMINAL
    return bool(left == right)


def _in(left: Any, right: Any) -> bool:
    if isinstance(right, str):
        return isinstance(left, str) and left in right
    return any(_equal(left, item) for item in right)


_HOLDS: dict[str, Callable[[Any, Any], Any]] = {
    "==": _equal, "in": _in, ">": op.gt, "<": op.lt, ">=": op.ge, "<=": op.le,
    "is": lambda left, right: _equal(left, right) and isinstance(left, bool) == isinstance(right, bool),
}  # fmt: skip


_KINDS: tuple[tuple[type, str], ...] = (
    (str, "text"), (bool, "a boolean"), (int, "a number"), (float, "a number"), (list, "a list"), (Mapping, "a dict"),
    (datetime, "a date"), (_Group, "a task group without .all() or .any()"), (type(None), "None"),
)  # fmt: skip


def _kind(value: Any) -> str:
    return next((name for kind, name in _KINDS if isinstance(value, kind)), type(value).__name__)


def _known(values: Any) -> str | None:
    if isinstance(values, list):
        return f"it has {len(values)} item(s)"
    names = sorted(map(str, values)) if isinstance(values, Mapping) else []
    return f"known: {', '.join(names[:8])}{', ...' if len(names) > 8 else ''}" if names else None


def _date(value: Any) -> datetime:
    if not isinstance(value, (str, date)):
        raise TypeError(f"needs a date, not {_kind(value)}")
    moment = datetime.fromisoformat(str(value))
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _format_date(value: Any, form: str, name: Any = None) -> str:
    return _date(value).astimezone(zone(str(name or "UTC"))).strftime(form)


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "format_date": _format_date,
    "add_days": lambda value, days: _date(value) + timedelta(days=days),
    "len": len,
    "int": int,
    "str": lambda value: to_text(value) if isinstance(value, (datetime, list, Mapping)) else str(value),
}
_RULES: dict[type[syntax.Node], Callable[[Any, Scope], Any]] = {
    syntax.Literal: lambda node, scope: node.value,
    syntax.Name: _name,
    syntax.ListNode: lambda node, scope: [_value(item, scope) for item in node.items],
    syntax.Attribute: lambda node, scope: _member(node, _place(node.target, scope), node.name, scope),
    syntax.Subscript: lambda node, scope: _member(node, _place(node.target, scope), _value(node.key, scope), scope),
    syntax.Quantifier: _quantifier,
    syntax.Call: _call,
    syntax.Unary: _unary,
    syntax.Binary: _binary,
}

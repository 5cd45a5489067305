"""Values of expressions. Pure: time comes in through `Scope.orchestra`, nothing is looked up anywhere else.

Rules: sections 5.3 to 5.7 of the language reference. Every failure is an ExpressionError; nothing else is ever raised.
"""

from __future__ import annotations

import json
import operator as op
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from rehearse.errors import ExpressionError
from rehearse.language import expressions as ex

_ORDER = {">": op.gt, "<": op.lt, ">=": op.ge, "<=": op.le}
TERMINAL = ("SUCCEEDED", "WARNING", "FAILED", "CANCELLED", "SKIPPED")
STATUSES = ("CREATED", "QUEUED", "RUNNING", *TERMINAL, "CANCELLING")


class Status(str):
    """A task status. It differs from text only in that the pseudo-status COMPLETED equals every terminal one."""

    __hash__ = str.__hash__

    def __eq__(self, other: object) -> bool:
        if other == "COMPLETED" and not isinstance(other, Status):
            return str(self) in TERMINAL
        return str.__eq__(self, other) is True

    def __ne__(self, other: object) -> bool:
        return not self == other


@dataclass(frozen=True)
class TaskVariable:
    """What an expression sees of a task run."""

    status: str
    task_run_id: str | None = None
    run_parameters: Mapping[str, Any] = field(default_factory=dict)
    outputs: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class _Quantified:
    mode: str
    items: tuple[Any, ...]


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


def evaluate(node: ex.Node, scope: Scope) -> Any:
    """The typed value of an expression."""
    try:
        return _Evaluator(scope).value(node)
    except ExpressionError:
        raise
    except Exception as e:  # the promise of this module; a slip in it must not take the engine down
        raise ExpressionError(f"cannot evaluate: {e}", node.offset) from e


def render_template(template: ex.Template, scope: Scope) -> Any:
    """Typed value when the template is exactly one expression, else the text with each value spliced in. One pass."""
    if template.whole is not None:
        return evaluate(template.whole, scope)
    return "".join(part if isinstance(part, str) else to_text(evaluate(part[1], scope)) for part in template.parts)


def resolve(value: Any, scope: Scope) -> Any:
    """Evaluate every string inside a parameter value, however deep."""
    if isinstance(value, str):
        return render_template(ex.parse_template(value), scope) if "${{" in value else value
    if isinstance(value, dict):
        return {key: resolve(item, scope) for key, item in value.items()}
    if isinstance(value, list):
        return [resolve(item, scope) for item in value]
    return value


def to_text(value: Any) -> str:
    """How a value looks when spliced into text (section 5.3)."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.astimezone(UTC).replace(tzinfo=None).isoformat() if value.tzinfo else value.isoformat()
    if isinstance(value, (list, dict)):
        return json.dumps(value, default=to_text)
    return str(value)


class _Evaluator:
    def __init__(self, scope: Scope):
        self.scope = scope

    def value(self, node: ex.Node) -> Any:
        method: Callable[[Any], Any] = getattr(self, f"_{type(node).__name__.lower()}")
        return method(node)

    def _literal(self, node: ex.Literal) -> Any:
        return node.value

    def _listnode(self, node: ex.ListNode) -> list[Any]:
        return [self.value(item) for item in node.items]

    def _name(self, node: ex.Name) -> Any:
        if node.name == "tasks":
            return self.scope.tasks
        value = getattr(self.scope, node.name)
        if value is None:
            where = "inside a task group that has a matrix" if node.name == "matrix" else "in a trigger"
            raise ExpressionError(f"'{node.name}' is only available {where}", node.offset)
        return value

    def _attribute(self, node: ex.Attribute) -> Any:
        return self._member(node, node.target, node.name)

    def _subscript(self, node: ex.Subscript) -> Any:
        return self._member(node, node.target, self.value(node.key))

    def _member(self, node: ex.Node, target_node: ex.Node, key: Any) -> Any:
        target = self.value(target_node)
        if isinstance(target, _Quantified):
            return _Quantified(target.mode, tuple(self._lookup(node, target_node, item, key) for item in target.items))
        return self._lookup(node, target_node, target, key)

    def _lookup(self, node: ex.Node, target_node: ex.Node, target: Any, key: Any) -> Any:
        if isinstance(target, TaskVariable):
            return self._task_attribute(node, target, key)
        if isinstance(target, Mapping):
            return self._entry(node, target_node, target, key)
        if isinstance(target, (list, tuple, str)) and isinstance(key, int) and not isinstance(key, bool):
            try:
                return target[key]
            except IndexError:
                raise ExpressionError(
                    f"index {key} is out of range: the list has {len(target)} items", node.offset
                ) from None
        if target is None and self.scope.in_condition:
            return None
        raise ExpressionError(f"cannot take '{key}' of {_kind(target)}", node.offset)

    def _task_attribute(self, node: ex.Node, task: TaskVariable, key: Any) -> Any:
        name = str(key).lower()
        if name == "status":
            return Status(task.status)
        if name in ("task_run_id", "run_parameters", "outputs"):
            return getattr(task, name)
        hint = "a task has .status, .task_run_id, .run_parameters and .outputs"
        raise ExpressionError(f"a task has no '{key}'", node.offset, hint)

    def _entry(self, node: ex.Node, target_node: ex.Node, target: Mapping[str, Any], key: Any) -> Any:
        if key in target:
            return target[key]
        root = _root(target_node)
        if isinstance(key, str) and root is not None:
            folded = key.lower()
            for name in target:
                if str(name).lower() == folded:
                    return target[name]
        if root == "inputs":
            return None  # an optional input without a value
        if root == "outputs of a task":
            if self.scope.in_condition:
                return None
            raise ExpressionError(
                f"the task has no output '{key}'", node.offset, "does it run before, with set_outputs: true?"
            )
        raise ExpressionError(f"{root or 'the value'} has no '{key}'", node.offset, _known(target))

    def _quantifier(self, node: ex.Quantifier) -> _Quantified:
        target = self.value(node.target)
        if not isinstance(target, list) or not all(isinstance(item, TaskVariable) for item in target):
            raise ExpressionError(f".{node.mode}() follows task_groups['...'] only", node.offset)
        return _Quantified(node.mode, tuple(target))

    def _call(self, node: ex.Call) -> Any:
        arguments = [self.value(argument) for argument in node.arguments]
        least, most = {"format_date": (2, 3), "add_days": (2, 2)}.get(node.function, (1, 1))
        if not least <= len(arguments) <= most:
            wanted = str(least) if least == most else f"{least} or {most}"
            raise ExpressionError(f"{node.function}() takes {wanted} argument(s), not {len(arguments)}", node.offset)
        try:
            return _FUNCTIONS[node.function](*arguments)
        except (ValueError, TypeError, KeyError, OverflowError, AttributeError) as e:
            raise ExpressionError(f"{node.function}(): {e}", node.offset) from e

    def _unary(self, node: ex.Unary) -> Any:
        value = self.value(node.operand)
        if node.operator == "not":
            return not _truth(value)
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return -value
        raise ExpressionError(f"'-' needs a number, not {_kind(value)}", node.offset)

    def _binary(self, node: ex.Binary) -> Any:
        if node.operator in ("and", "or"):
            left = self.value(node.left)
            stop = _truth(left) if node.operator == "or" else not _truth(left)
            return left if stop else self.value(node.right)
        left, right = self.value(node.left), self.value(node.right)
        if isinstance(left, _Quantified):
            over = all if left.mode == "all" else any
            return over(_compare(node, item, right) for item in left.items)
        return _compare(node, left, right)


def _root(node: ex.Node) -> str | None:
    """The kind of mapping that `node` denotes, when its keys are case-insensitive; None for ordinary dict values."""
    if isinstance(node, ex.Name):
        return node.name
    parent = getattr(node, "target", None)
    if parent is None:
        return None
    key = node.name if isinstance(node, ex.Attribute) else getattr(getattr(node, "key", None), "value", None)
    name = str(key).lower()
    parent_root = _root(parent)
    if parent_root == "orchestra" and name == "pipeline_run_tasks":
        return "tasks"
    if parent_root == "tasks" and isinstance(node, (ex.Attribute, ex.Subscript)):
        return "a task"
    if parent_root == "a task" and name in ("outputs", "run_parameters"):
        return "outputs of a task"
    return None


def _compare(node: ex.Binary, left: Any, right: Any) -> bool:
    operator = node.operator
    if operator == "==":
        return _equal(left, right)
    if operator == "!=":
        return not _equal(left, right)
    if operator in ("in", "not in"):
        if isinstance(right, str):
            found = isinstance(left, str) and str(left) in right
        elif isinstance(right, Iterable):
            found = any(_equal(left, item) for item in right)
        else:
            raise ExpressionError(f"'{operator}' needs a list on the right, not {_kind(right)}", node.offset)
        return found if operator == "in" else not found
    if operator in ("is", "is not"):
        same = left is right or (_equal(left, right) and isinstance(left, bool) == isinstance(right, bool))
        return same if operator == "is" else not same
    if not _ordered(left, right):
        raise ExpressionError(f"cannot compare {_kind(left)} '{operator}' {_kind(right)}", node.offset)
    return bool(_ORDER[operator](left, right))


def _ordered(left: Any, right: Any) -> bool:
    numbers = (int, float)
    if isinstance(left, numbers) and isinstance(right, numbers):
        return True
    return any(isinstance(left, kind) and isinstance(right, kind) for kind in (str, datetime, list))


def _equal(left: Any, right: Any) -> bool:
    if isinstance(right, Status):
        left, right = right, left
    return bool(left == right)


def _truth(value: Any) -> bool:
    if isinstance(value, _Quantified):
        over = all if value.mode == "all" else any
        return over(bool(item) for item in value.items)
    return bool(value)


def truthy(value: Any) -> bool:
    """Whether a condition with this value lets its node run."""
    return _truth(value)


def _kind(value: Any) -> str:
    if value is None:
        return "None"
    names = {str: "text", bool: "a boolean", int: "a number", float: "a number", list: "a list", dict: "a dict"}
    return next((name for kind, name in names.items() if isinstance(value, kind)), type(value).__name__)


def _known(target: Mapping[str, Any]) -> str | None:
    names = sorted(str(name) for name in target)
    return f"known: {', '.join(names[:8])}{', ...' if len(names) > 8 else ''}" if names else None


def _date(value: Any) -> datetime:
    if isinstance(value, datetime):
        return value if value.tzinfo else value.replace(tzinfo=UTC)
    if isinstance(value, str):
        parsed = datetime.fromisoformat(value)
        return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)
    raise TypeError(f"needs a date, not {_kind(value)}")


def _format_date(value: Any, fmt: str, zone: str | None = None) -> str:
    moment = _date(value)
    return moment.astimezone(ZoneInfo(zone) if zone else UTC).strftime(fmt)


def _add_days(value: Any, days: float) -> datetime:
    if isinstance(days, bool) or not isinstance(days, (int, float)):
        raise TypeError(f"needs a number of days, not {_kind(days)}")
    return _date(value) + timedelta(days=days)


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "format_date": _format_date,
    "add_days": _add_days,
    "len": len,
    "int": int,
    "str": lambda value: to_text(value) if isinstance(value, (datetime, UUID, list, dict)) else str(value),
}

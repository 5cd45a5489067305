"""What is known of an expression before a run: evaluated where inputs and environment decide it, else left as written.

Nothing secret gets into a preview. What is shown is computed from the variables as they may be shown, never from those that
they are; where the two give different results it depends on a secret, however indirectly, and only the mask is left.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

from rehearse.errors import ExpressionError
from rehearse.language import syntax, templates
from rehearse.language.evaluation import Scope, evaluate, to_text, truthy
from rehearse.language.lookups import group_named, is_root, key_of, key_text, task_named
from rehearse.language.templates import render_template
from rehearse.planning.inputs import plain
from rehearse.planning.secrets import MASK, alike, holds_mask

T = TypeVar("T")
_STARTED_AT = "pipeline_run_started_at"  # frozen with the inputs; the rest of `orchestra` is known only in a run
_OPEN = object()


@dataclass(frozen=True)
class Scopes:
    """Two views of the same variables: as they are, and as they may be shown."""

    real: Scope
    shown: Scope

    def of_item(self, key: str, item: Any, shown: Any) -> Scopes:
        """The variables inside one iteration of a matrix."""
        return Scopes(replace(self.real, matrix={key: item}), replace(self.shown, matrix={key: shown}))


@dataclass(frozen=True)
class Result(Generic[T]):
    """`value` as it is and `shown` as it may be shown; or the `problem` for which there is no value."""

    value: T | None = None
    shown: Any = None
    problem: str | None = None


@dataclass(frozen=True)
class Preview:
    """A task as it will be started, as far as that is known: `item` names the matrix iteration, None without one.

    `dynamic`: where an expression was left as written, because only the run can tell: `name`, `parameters.code`, ...
    `problems`: what will fail in any case, such as a variable that the environment does not have.
    """

    item: str | None
    name: str
    connection: str | None
    parameters: dict[str, Any]
    dynamic: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()


def compute(function: Callable[[Scope], T], scopes: Scopes) -> Result[T]:
    """The result of a pure function of the variables, and what of it may be shown.

    ExpressionError and ValueError are turned into a problem.
    """
    shown: Any = None
    why = "it cannot be evaluated with the value of a secret"
    try:
        shown = function(scopes.shown)
    except (ExpressionError, ValueError) as e:
        why = str(e)
    try:
        value = function(scopes.real)
    except (ExpressionError, ValueError):
        return Result(problem=why)
    return Result(value, shown if alike(shown, value) or holds_mask(shown) else MASK)


def preview(item: str | None, name: str, connection: str | None, parameters: dict[str, Any], scopes: Scopes) -> Preview:
    """Fill in what is known of a task, in one iteration."""
    filler = _Filler(scopes)
    filled = (filler.fill(name, "name"), filler.fill(connection, "connection"), filler.fill(parameters, "parameters"))
    connected = None if filled[1] is None else to_text(filled[1]) or None
    return Preview(item, to_text(filled[0]), connected, filled[2], tuple(filler.dynamic), tuple(filler.problems))


def is_known(value: Any, scope: Scope) -> bool:
    """Whether inputs, environment, constants and the item of a known matrix are all that a value's expressions need.

    `secrets` are never looked up before a run.
    """
    roots = {"inputs", "env"} | ({"matrix"} if scope.matrix is not None else set())
    return all(
        root in roots or root == f"orchestra.{_STARTED_AT}" for node in expressions_in(value) for root in _roots(node)
    )


def decided(condition: str, scopes: Scopes) -> bool | None:
    """The value of a condition; None when only the run can tell, or when evaluating it will fail."""
    template = templates.parse_condition(condition)
    if not all(is_known(node, scopes.real) for _, node in template.nodes):
        return None
    try:
        return truthy(render_template(template, replace(scopes.real, in_condition=True)))
    except ExpressionError:
        return None


def bare(condition: str) -> str:
    """A condition without its delimiters, on one line."""
    return " ".join(condition.strip().removeprefix("${{").removesuffix("}}").split())


def expressions_in(value: Any) -> Iterator[syntax.Node]:
    """Every expression inside a value, however deep."""
    if isinstance(value, syntax.Node):
        yield value
    elif isinstance(value, str) and "${{" in value:
        yield from (node for _, node in templates.parse_template(value).nodes)
    elif isinstance(value, (dict, list)):
        for item in value.values() if isinstance(value, dict) else value:
            yield from expressions_in(item)


def reads_secrets(value: Any) -> bool:
    """Whether the expressions inside a value read `secrets`."""
    return any(is_root(node, "secrets") for expression in expressions_in(value) for node in syntax.walk(expression))


def secret_names(value: Any) -> set[str]:
    """The NAMEs of `secrets.NAME` in the expressions inside a value."""
    nodes = (below for expression in expressions_in(value) for below in syntax.walk(expression))
    read = (node for node in nodes if isinstance(node, (syntax.Attribute, syntax.Subscript)))
    return {str(key_of(node)) for node in read if is_root(node.target, "secrets") and key_of(node) is not None}


def without_secrets(written: Any, value: Any) -> Any:
    """What became of a value when its expressions were filled in, with the mask wherever one of them reads `secrets`."""
    if isinstance(written, dict) and isinstance(value, dict):
        return {key: without_secrets(written.get(key), item) for key, item in value.items()}
    if isinstance(written, list) and isinstance(value, list) and len(written) == len(value):
        return [without_secrets(*pair) for pair in zip(written, value, strict=True)]
    return MASK if reads_secrets(written) else value


def waits_for(value: Any) -> frozenset[str]:
    """The ids of the tasks and groups, in lower case, whose results the expressions inside a value read."""
    nodes = (below for expression in expressions_in(value) for below in syntax.walk(expression))
    named = (task_named(node) or group_named(node) for node in nodes)
    return frozenset(key_text(key).lower() for key in named if key is not None)


def _roots(node: syntax.Node) -> Iterator[str]:
    """The variables that an expression reads: `inputs`, `env`, ..., and of `orchestra` which one."""
    nodes = list(syntax.walk(node))
    attributes = {id(n.target): n.name.lower() for n in nodes if isinstance(n, syntax.Attribute)}
    for name in (n for n in nodes if isinstance(n, syntax.Name)):
        yield f"orchestra.{attributes.get(id(name))}" if name.name == "orchestra" else name.name


class _Filler:
    """Fills in values, and notes on the way what stays open and what will fail."""

    def __init__(self, scopes: Scopes):
        self.scopes = scopes
        self.dynamic: dict[str, None] = {}  # as ordered sets
        self.problems: dict[str, None] = {}

    def fill(self, value: Any, path: str) -> Any:
        """The value with its known expressions evaluated, however deep; `path` says where it stands."""
        if isinstance(value, dict):
            return {str(key): self.fill(item, f"{path}.{key}") for key, item in value.items()}
        if isinstance(value, list):
            return [self.fill(item, f"{path}[{index}]") for index, item in enumerate(value)]
        return self._text(value, path) if isinstance(value, str) and "${{" in value else plain(value)

    def _text(self, text: str, path: str) -> Any:
        template = templates.parse_template(text)
        if template.whole is not None:
            value = self._expression(template.whole, path)
            return text if value is _OPEN else value
        pieces = []
        for part, written in _as_written(template, text):
            value = part if isinstance(part, str) else self._expression(part, path)
            pieces.append(written if value is _OPEN else to_text(value))
        return "".join(pieces)

    def _expression(self, node: syntax.Node, path: str) -> Any:
        if not is_known(node, self.scopes.real):
            self.dynamic[path] = None
            return _OPEN
        result = compute(lambda scope: plain(evaluate(node, scope)), self.scopes)
        if result.problem is not None:
            self.problems[f"{path}: {result.problem}"] = None
            return _OPEN
        return result.shown


def _as_written(template: templates.Template, text: str) -> list[tuple[str | syntax.Node, str]]:
    """The parts of a template, each with its source text. A part says where it starts; it ends where the next one does."""
    parts: list[tuple[str | syntax.Node, str]] = []
    end = len(text)
    for part in reversed(template.parts):
        start = end - len(part) if isinstance(part, str) else part[0] - len("${{")
        parts.append((part if isinstance(part, str) else part[1], text[start:end]))
        end = start
    return parts[::-1]

"""The values of a run's inputs, frozen when it is created (section 6 of the language reference)."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal, NoReturn, TypeVar

from rehearse.errors import ExpressionError, InputError, MissingInput
from rehearse.language.evaluation import OutOfReach, Scope, to_text
from rehearse.language.model import Input, is_of_type
from rehearse.language.templates import resolve
from rehearse.language.words import did_you_mean
from rehearse.planning.secrets import MASK, SHORTEST, alike, redact, secret_texts

T = TypeVar("T")
Undeclared = Literal["refuse", "accept"]
SECRETS_OUT_OF_REACH = OutOfReach(
    "secrets cannot be read here",
    "read secrets.NAME in parameters or conditions: there it is looked up when a task starts",
)

_WRITE = {
    "string": 'quote it: "..."',
    "number": "write a number: 5 or 2.5",
    "boolean": "write true or false",
    "list": 'write JSON: ["a", "b"]',
    "dict": 'write JSON: {"a": 1}',
}


@dataclass(frozen=True)
class Source:
    """Values from one place, such as the `run_inputs` of a schedule. `name` is for messages: "the schedule 'nightly'".

    With a `scope` expressions inside the values are evaluated in it. Without one a value is data and stays as it is, even
    when it looks like an expression: that is how values of a caller are treated.
    """

    name: str
    values: Mapping[str, Any]
    scope: Scope | None = None


def layer_inputs(declared: Mapping[str, Input], *sources: Source) -> dict[str, Any]:
    """One mapping of given values out of several sources, of which a later one wins; null is "not set" and wins over none.

    Names count whatever their case, and are returned as declared.
    Raises InputError for an expression that cannot be evaluated, or gives a number that JSON does not have.
    """
    layered: dict[str, Any] = {}
    spelling = {name.lower(): name for name in declared}
    for source in sources:
        for name, value in source.values.items():
            name = spelling.setdefault(name.lower(), name)
            if source.scope is not None:
                value = _evaluated(value, declared.get(name), source.scope, f"{source.name} sets input '{name}' to")
                _refuse_not_finite(name, value)
                value = plain(value)
            if value is not None or name not in layered:
                layered[name] = value
    return layered


def resolve_inputs(
    declared: Mapping[str, Input],
    given: Mapping[str, Any],
    env: Mapping[str, Any],
    now: datetime,
    undeclared: Undeclared = "refuse",
) -> dict[str, Any]:
    """Given value, else default, else None when optional; given names count whatever their case, null is "not given".

    Dates in defaults are those of `now`, so that the values are frozen. The result holds only JSON types. Undeclared names
    are refused, or kept as they are behind the declared ones, to be read as `inputs.<name>`.

    Raises InputError when a required input is missing, a value misfits its type or is a number that JSON does not have, or a
    default cannot be evaluated. The error never quotes a secret.
    """
    if undeclared == "refuse":
        refuse_undeclared(declared, given)
    supplied = {name.lower(): (name, value) for name, value in given.items()}
    scope = default_scope(env, now)
    values: dict[str, Any] = {}
    missing: list[str] = []
    for name, spec in declared.items():
        _, value = supplied.pop(name.lower(), (name, None))
        if value is not None:
            values[name] = _cast(name, spec.type, value, scope)
            continue
        value = _default(name, spec, scope)
        if value is None and not spec.optional:
            missing.append(name)
        values[name] = value
    if missing:
        _refuse_missing(missing)
    for name, value in supplied.values():
        _refuse_not_finite(name, value)
        values[name] = plain(value)
    return values


def refuse_undeclared(declared: Mapping[str, Input], given: Mapping[str, Any]) -> None:
    """Raises InputError for the first given name that the pipeline does not declare."""
    names = {name.lower() for name in declared}
    for name in given:
        if name.lower() not in names:
            known = f"inputs are: {', '.join(declared)}" if declared else "it declares no inputs"
            raise InputError(f"the pipeline has no input '{name}'", did_you_mean(name, declared) or known)


def hidden_inputs(
    declared: Mapping[str, Input], values: Mapping[str, Any], env: Mapping[str, Any], now: datetime
) -> tuple[str, ...]:
    """The inputs that must not be shown although their name tells nothing: their value came out of a secret variable.

    That is so when their value holds one, or when their default gives something else once the secrets are hidden.
    """
    secrets = _forms(secret_texts(env))
    scope = default_scope(env, now)
    return tuple(
        name
        for name, value in values.items()
        if any(secret in to_text(value) for secret in secrets)
        or (name in declared and _depends_on_secrets(declared[name].default, scope))
    )


def default_scope(env: Mapping[str, Any], now: datetime) -> Scope:
    """What the expression of a default can see (section 6.1): the clock, frozen, and the environment."""
    return Scope(orchestra={"current_time": now, "pipeline_run_started_at": now}, env=env, secrets=SECRETS_OUT_OF_REACH)


def evaluate_openly(function: Callable[[Scope], T], scope: Scope, what: str) -> T:
    """The result of a pure function of the variables. Raises InputError, which starts with `what` and quotes no secret."""
    try:
        return function(scope)
    except ExpressionError as e:
        # An error may quote the value it stumbled over; said aloud only when it is the same without the secrets.
        try:
            function(_without_secrets(scope))
        except ExpressionError as shown:
            if (str(shown), shown.hint) == (str(e), e.hint):
                raise InputError(f"{what}, which cannot be evaluated: {e}", e.hint) from e
        # Not `from e`: a traceback would quote it, too.
        raise InputError(f"{what}, which cannot be evaluated: it uses a secret") from None


def plain(value: Any) -> Any:
    """The same value in JSON types only; a date, an id or a number like NaN becomes text as in a template (section 5.3)."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    is_json = value is None or isinstance(value, (bool, int)) or (isinstance(value, float) and math.isfinite(value))
    return value if is_json else to_text(value)


def _default(name: str, spec: Input, scope: Scope) -> Any:
    """The default's value, None without one. For a required input empty text is none (section 6.2)."""
    if spec.default is None or (spec.default == "" and not spec.optional):
        return None
    what = f"the default of input '{name}' is"
    value = _evaluated(spec.default, spec, scope, what)
    return None if value is None else _cast(name, spec.type, value, scope, spec.default)


def _evaluated(value: Any, spec: Input | None, scope: Scope, what: str) -> Any:
    """A value with its expressions evaluated; for an input of type string the result is rendered to text."""
    as_text = isinstance(value, str) and "${{" in value and spec is not None and spec.type == "string"

    def result(scope: Scope) -> Any:
        found = resolve(value, scope)
        return to_text(found) if as_text and found is not None else found

    return evaluate_openly(result, scope, f"{what} {value!r}")


def _attempt(default: Any, scope: Scope) -> Any:
    try:
        return resolve(default, scope)
    except ExpressionError as e:
        return str(e)


def _depends_on_secrets(default: Any, scope: Scope) -> bool:
    return not alike(_attempt(default, _without_secrets(scope)), _attempt(default, scope))


def _without_secrets(scope: Scope) -> Scope:
    hidden = dict.fromkeys(scope.secrets, MASK) or scope.secrets
    return replace(scope, env=redact("", scope.env), inputs=redact("", scope.inputs), secrets=hidden)


def _cast(name: str, wanted: str, value: Any, scope: Scope, default: Any = None) -> Any:
    """The value in its type. `default`: what it was evaluated from, None for a given one."""
    _refuse_not_finite(name, value)
    value = plain(value)
    cast = _from_text(wanted, value) if isinstance(value, str) and wanted != "string" else value
    if not is_of_type(cast, wanted):
        if _is_secret([value, cast], scope.env) or _depends_on_secrets(default, scope):
            raise InputError(f"the input '{name}' must be a {wanted}; its value comes from a secret", _WRITE[wanted])
        origin = "" if default is None else " (from its default)"
        shown = f"{redact(name, value)!r:.80}"
        raise InputError(f"the input '{name}' must be a {wanted}, not {shown}{origin}", _WRITE[wanted])
    _refuse_not_finite(name, cast)
    return cast


def _is_secret(value: Any, env: Mapping[str, Any]) -> bool:
    """Whether a value is that of a secret variable, however short, or holds a longer one."""
    secrets = set(secret_texts(env, shortest=1))
    if any(str(leaf).strip() in secrets for leaf in _leaves(value)):
        return True
    text = to_text(value)
    return any(form in text for form in _forms(secret for secret in secrets if len(secret) >= SHORTEST))


def _forms(secrets: Iterable[str]) -> set[str]:
    """Secrets as they are, and as they stand in a JSON text."""
    return {form for secret in secrets for form in (secret, to_text([secret])[2:-2])}


def _refuse_not_finite(name: str, value: Any) -> None:
    if any(isinstance(leaf, float) and not math.isfinite(leaf) for leaf in _leaves(value)):
        raise InputError(f"the input '{name}' is or holds nan or infinity, and JSON has no such number",
                         "give a finite number, or leave it out")  # fmt: skip


def _leaves(value: Any) -> Iterator[Any]:
    """Keys and values however deep, as far as they are no list or dict."""
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, Mapping):
            waiting += [*item.keys(), *item.values()]
        elif isinstance(item, (list, tuple)):
            waiting += item
        else:
            yield item


def _from_text(wanted: str, text: str) -> Any:
    """A number, boolean, list or dict as written on a command line; text that is none of them comes back unchanged."""
    if wanted == "boolean":
        return {"true": True, "false": False}.get(text.strip().lower(), text)
    try:
        return json.loads(text, parse_constant=_no_number)
    except (ValueError, RecursionError):
        return text


def _no_number(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


def _refuse_missing(names: list[str]) -> NoReturn:
    flags = " ".join(f"--input {name}=VALUE" for name in names)
    if len(names) == 1:
        raise MissingInput(names, f"the input '{names[0]}' is required and has no default", f"pass it: {flags}")
    listed = ", ".join(f"'{name}'" for name in names)
    raise MissingInput(names, f"the inputs {listed} are required and have no default", f"pass them: {flags}")

"""Environments: named sets of typed variables (section 7.1)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from rehearse.errors import BindingError, UsageError

_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,), "int": (int,), "bool": (bool,), "integration_credential": (str,), "LIST": (list,), "DICT": (dict,),
}  # fmt: skip


def make_environment(path: Path, name: str, entry: Mapping[str, Any]) -> dict[str, Any]:
    """Variable -> value. A value is written as such, or as `{type = "int", value = 5}`. Raises BindingError."""
    where = f"{path}: [environments.{name}]"
    found: dict[str, Any] = {}
    folded: dict[str, str] = {}
    for variable, value in entry.items():
        first = folded.setdefault(variable.lower(), variable)
        if first != variable:
            raise BindingError(
                f"{where}: '{first}' and '{variable}' are the same variable, whatever their case", "keep one"
            )
        found[variable] = _typed(f"{where}: {variable}", value)
    return found


def with_overrides(env: Mapping[str, Any], overrides: Mapping[str, str]) -> dict[str, Any]:
    """The same variables with some replaced, for one run; a text becomes what the variable was. Raises UsageError."""
    changed = dict(env)
    names = {name.lower(): name for name in env}
    for name, text in overrides.items():
        known = names.get(name.lower(), name)
        changed[known] = _cast(known, env.get(known), text)
    return changed


def _typed(where: str, value: Any) -> Any:
    if not (isinstance(value, dict) and set(value) == {"type", "value"}):
        return value
    wanted = value["type"]
    if wanted not in _TYPES:
        raise BindingError(f"{where}: unknown type '{wanted}'", f"one of {', '.join(_TYPES)}")
    fits = isinstance(value["value"], _TYPES[wanted]) and (wanted == "bool") == isinstance(value["value"], bool)
    if not fits:
        raise BindingError(f"{where}: {value['value']!r} is no {wanted}", "correct the value or the type")
    return value["value"]


def _cast(name: str, before: Any, text: str) -> Any:
    import json

    readers: list[tuple[type, Callable[[str], Any]]] = [
        (bool, _bool),
        (int, int),
        (float, float),
        (list, json.loads),
        (dict, json.loads),
    ]
    for kind, read in readers:
        if isinstance(before, kind):
            try:
                value = read(text)
            except ValueError:
                value = None
            if not isinstance(value, kind):
                raise UsageError(
                    f"--set {name}={text}: '{name}' is of type {kind.__name__}", "give a value of that type"
                )
            return value
    return text


def _bool(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise ValueError(text)
    return text.lower() == "true"

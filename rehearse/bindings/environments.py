"""Environments: named sets of typed variables (section 7.1)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rehearse.errors import BindingError

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

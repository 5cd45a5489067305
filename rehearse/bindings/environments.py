"""Environments: named sets of typed variables (section 7.1)."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from rehearse.bindings.places import Places
from rehearse.errors import BindingError
from rehearse.language.words import did_you_mean
from rehearse.planning.secrets import MASK, holds_mask, redact

CREDENTIAL = "integration_credential"
_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,), "int": (int,), "bool": (bool,), CREDENTIAL: (str,), "LIST": (list,), "DICT": (dict,),
}  # fmt: skip
_TYPED = {"type", "value"}


def make_environment(places: Places, name: str, entry: Mapping[str, Any]) -> dict[str, Any]:
    """Variable -> value. A value is written as such, or as `{type = "int", value = 5}`. Raises BindingError."""
    found: dict[str, Any] = {}
    folded: dict[str, str] = {}
    for variable, value in entry.items():
        where = f"{places.at('environments', name, variable)}: [environments.{name}]"
        first = folded.setdefault(variable.lower(), variable)
        if first != variable:
            raise BindingError(
                f"{where}: '{first}' and '{variable}' are the same variable, whatever their case", "keep one"
            )
        found[variable] = _typed(f"{where}: {variable}", value)
    return found


def credentials(entry: Mapping[str, Any]) -> dict[str, str]:
    """Variable -> id of a connection, for those that are declared as such."""
    return {name: value["value"] for name, value in entry.items() if _is_typed(value) and value["type"] == CREDENTIAL}


def with_overrides(env: Mapping[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
    """The variables with other values for one run, names whatever their case. Text is read as what the variable is.

    Raises BindingError for a variable that the environment does not have, for a text that does not fit, and for MASK, which
    is what is stored of a secret.
    """
    result = dict(env)
    spelling = {name.lower(): name for name in env}
    for given, value in overrides.items():
        name = spelling.get(given.lower())
        if name is None:
            known = f"it has: {', '.join(env)}" if env else "it has none: see [environments.NAME] in rehearse.toml"
            raise BindingError(f"the environment has no variable '{given}'", did_you_mean(given, env) or known)
        if holds_mask(value):
            raise BindingError(
                f"the variable '{name}' was set for that run only, and as a secret it was not recorded",
                f"start another run with: --set-env {name}=VALUE",
            )
        result[name] = _read(name, value, env[name]) if isinstance(value, str) else value
    return result


def storable(overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Overrides as they may be recorded with a run: of a secret only that there was one."""
    return {name: MASK if holds_mask(redact(name, value)) else value for name, value in overrides.items()}


def _read(name: str, text: str, declared: Any) -> Any:
    """Text as a value of the type that the declared value has."""
    if isinstance(declared, bool):
        if text.strip().lower() in ("true", "false"):
            return text.strip().lower() == "true"
        raise BindingError(f"the variable '{name}' is a bool, not {redact(name, text)!r:.80}", "write true or false")
    if not isinstance(declared, (int, float, list, dict)):
        return text
    wanted, kinds = next(
        found for found in (("int", (int,)), ("number", (int, float)), ("LIST", (list,)), ("DICT", (dict,)))
        if isinstance(declared, found[1])
    )  # fmt: skip
    try:
        value = json.loads(text)
        fits = isinstance(value, kinds) and not isinstance(value, bool)
        fits = fits and not (isinstance(value, float) and not math.isfinite(value))
    except (ValueError, RecursionError):
        fits = False
    if not fits:
        hint = (
            "write a number" if wanted in ("int", "number") else f"write JSON: {'[1, 2]' if wanted == 'LIST' else '{}'}"
        )
        raise BindingError(f"the variable '{name}' is a {wanted}, not {redact(name, text)!r:.80}", hint)
    return value


def _is_typed(value: Any) -> bool:
    return isinstance(value, dict) and set(value) == _TYPED


def _typed(where: str, value: Any) -> Any:
    if isinstance(value, dict) and value.get("type") in _TYPES and not _is_typed(value):
        wrong = next((key for key in value if key not in _TYPED), None)
        what = f"unknown key '{wrong}'" if wrong else "'value' is missing"
        raise BindingError(f"{where}: {what}", f'write {{ type = "{value["type"]}", value = ... }}')
    if not _is_typed(value):
        return value
    wanted = value["type"]
    if wanted not in _TYPES:
        hint = (did_you_mean(wanted, _TYPES) if isinstance(wanted, str) else None) or f"one of {', '.join(_TYPES)}"
        raise BindingError(f"{where}: unknown type '{wanted}'", hint)
    fits = isinstance(value["value"], _TYPES[wanted]) and (wanted == "bool") == isinstance(value["value"], bool)
    if not fits:
        shown = redact(where.rpartition(": ")[2], value["value"])
        raise BindingError(f"{where}: {shown!r} is no {wanted}", "correct the value or the type")
    return value["value"]

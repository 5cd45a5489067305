"""The values of a run's inputs, frozen when it is created (section 6 of the language reference)."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from rehearse.errors import ExpressionError, InputError
from rehearse.language.evaluation import Scope, resolve
from rehearse.language.model import Input

_TYPES: dict[str, type | tuple[type, ...]] = {
    "string": str, "number": (int, float), "boolean": bool, "list": list, "dict": dict,
}  # fmt: skip


_WRITE = {"boolean": "write true or false", "list": 'write JSON: ["a", "b"]', "dict": 'write JSON: {"a": 1}'}


def resolve_inputs(
    declared: Mapping[str, Input], given: Mapping[str, Any], env: Mapping[str, Any], now: datetime
) -> dict[str, Any]:
    """Given value, else default, else None when optional. Raises InputError when a required one is missing or misfits."""
    names = {name.lower(): name for name in declared}
    for name in given:
        if name.lower() not in names:
            close = difflib.get_close_matches(name, declared, 1, 0.5)
            hint = f"did you mean '{close[0]}'?" if close else f"inputs are: {', '.join(declared) or 'none'}"
            raise InputError(f"the pipeline has no input '{name}'", hint)
    supplied = {names[name.lower()]: value for name, value in given.items()}
    scope = Scope(orchestra={"current_time": now, "pipeline_run_started_at": now}, env=env)
    return {name: _value(name, spec, supplied, scope) for name, spec in declared.items()}


def _value(name: str, spec: Input, supplied: Mapping[str, Any], scope: Scope) -> Any:
    if name in supplied:
        return _cast(name, spec.type, supplied[name])
    if spec.default is not None:
        try:
            return resolve(spec.default, scope)
        except ExpressionError as e:
            raise InputError(f"the default of input '{name}' cannot be evaluated: {e}", e.hint) from e
    if spec.optional:
        return None
    raise InputError(f"the input '{name}' is required and has no default", f"pass it: --input {name}=VALUE")


def _cast(name: str, wanted: str, value: Any) -> Any:
    if isinstance(value, str) and wanted != "string":
        value = _from_text(wanted, value)
    is_bool = isinstance(value, bool)
    if not isinstance(value, _TYPES[wanted]) or (is_bool and wanted != "boolean"):
        raise InputError(f"the input '{name}' must be a {wanted}, not {value!r}", _WRITE.get(wanted))
    return value


def _from_text(wanted: str, text: str) -> Any:
    if wanted == "boolean":
        return {"true": True, "false": False}.get(text.strip().lower(), text)
    try:
        return json.loads(text)
    except ValueError:
        return text

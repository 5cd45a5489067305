"""A definition in the form of the API: camelCase keys, nothing added (section 2.9 of the API reference)."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from rehearse.language.document import parse_document
from rehearse.language.model import Kind, Pipeline, keys_of
from rehearse.language.shape import check_shape, node_model


@lru_cache(maxsize=256)
def canonical_form(text: str) -> dict[str, Any] | None:
    """The definition that a text of YAML holds, in JSON types; None when it is no mapping. What is wrong in it stays as it is.

    Kept for a while, so not to be changed: many ask for the same one.
    """
    document = parse_document(text, "pipeline.yml")
    if not isinstance(document.value, dict):
        return None
    check_shape(document)  # renames keys in camelCase, which a file may have, too
    found: dict[str, Any] = _walk(Kind("model", Pipeline), document.value)
    return found


def _walk(kind: Kind, value: Any) -> Any:
    if kind.name in ("model", "node") and isinstance(value, dict):
        keys = keys_of(kind.of or node_model(value))
        return {
            keys[name].camel if name in keys else str(name): _walk(keys[name].kind, item)
            if name in keys
            else _plain(item)
            for name, item in value.items()
        }
    if kind.name == "map" and isinstance(value, dict):
        return {str(name): _walk(kind.of, item) for name, item in value.items()}
    if kind.name == "list" and isinstance(value, list):
        return [_walk(kind.of, item) for item in value]
    return _plain(value)


def _plain(value: Any) -> Any:
    """In JSON types: a date of YAML is text."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value if value is None or isinstance(value, (str, int, float, bool)) else str(value)

"""What must never be seen: values of variables with a telling name, and URLs that hold a password. Pure.

Imports only the standard library: the supervisor, which runs without site-packages, gets here through `engine.masking`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

MASK = "********"
SHORTEST = 8
"""Shorter values are not looked for inside other texts: they would blacken ordinary words."""

_NAME = re.compile(r"PASS|SECRET|TOKEN|KEY|CREDENTIAL|PRIVATE|AUTH", re.IGNORECASE)
# Also inside other text, and with characters that should have been escaped; a port is no password.
_URL_WITH_PASSWORD = re.compile(r"://[^\s/@:]*:(?!\d+(?:[/?#]|$))[^@]+@")


def is_secret_name(name: str) -> bool:
    """Whether a variable of this name holds a secret. Rather too often than too seldom: `primary_key` counts."""
    return _NAME.search(name) is not None


def url_password(value: str) -> str | None:
    """The password of a URL; None for any other text."""
    try:
        return (urlsplit(value).password or None) if "://" in value else None
    except ValueError:
        return None


def redact(name: str, value: Any) -> Any:
    """The value of the variable `name` as it may be shown. Entries of a dict count as variables of their own."""
    if value is None:
        return None
    if is_secret_name(name):
        return MASK
    if isinstance(value, str):
        return MASK if _URL_WITH_PASSWORD.search(value) or url_password(value) else value
    if isinstance(value, Mapping):
        return {key: redact(str(key), item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [redact("", item) for item in value]
    return value


def secret_texts(value: Any, name: str = "") -> Iterator[str]:
    """The texts inside a value that `redact` would hide and that are long enough to be looked for elsewhere."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from secret_texts(item, name if is_secret_name(name) else str(key))
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from secret_texts(item, name)
    elif len(text := str(value)) >= SHORTEST and redact(name, value) == MASK:
        yield text


def holds_mask(value: Any) -> bool:
    """Whether something was hidden in this value."""
    if isinstance(value, Mapping):
        return any(holds_mask(item) for item in value.values())
    if isinstance(value, (list, tuple)):
        return any(holds_mask(item) for item in value)
    return isinstance(value, str) and MASK in value

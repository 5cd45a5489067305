"""What must never be seen: values of variables with a telling name, URLs that hold a password or are one. Pure.

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

# PAT and DSN only as words: GITHUB_PAT, githubPat, but not PATH, PATTERN or PATCH.
_NAME = re.compile(
    r"PASS|PWD|SECRET|TOKEN|KEY|CREDENTIAL|PRIVATE|AUTH|SIGNATURE|(?<![A-Z])(?:PAT|DSN)(?![A-Z])"
    r"|(?-i:(?<=[a-z])(?:Pat|Dsn)(?![a-z]))",
    re.IGNORECASE,
)
_END = r"\s\"'`,\[\]{}"  # where a URL inside other text ends at the latest
_WORD = re.compile(rf"[^{_END}]+")
_BEFORE_PASSWORD = rf"://[^{_END}/@:]*:(?!\d+(?:[/?#{_END}]|$))(?!@)"  # a port is no password
_INSIDE = re.compile(_BEFORE_PASSWORD)
_ONLY_URL = re.compile(rf"[\w+.:-]*{_BEFORE_PASSWORD}.+@[^@]*", re.DOTALL)
# Whoever knows the path of such a URL can post there.
_WEBHOOK = re.compile(
    r"(?:hooks\.slack(?:-gov)?|discord(?:app)?|webhook\.office)\.com(?::\d+)?/"
    rf"((?:services|workflows|triggers|api/webhooks|webhookb2)/[^{_END}<>]*\w)",
    re.IGNORECASE,
)


def is_secret_name(name: str) -> bool:
    """Whether a variable of this name holds a secret. Rather too often than too seldom: `primary_key` counts."""
    return _NAME.search(name) is not None


def url_password(value: str) -> str | None:
    """The password of a URL; None for any other text."""
    try:
        return (urlsplit(value).password or None) if "://" in value else None
    except ValueError:
        return None


def parts_to_hide(value: str) -> set[str]:
    """What must not be seen of a text of any name, also apart from it: the password of a URL, the path of a webhook."""
    password = url_password(value)
    return {*_WEBHOOK.findall(value), *([password] if password else [])}


def redact(name: str, value: Any) -> Any:
    """The value of the variable `name` as it may be shown. Entries of a dict count as variables of their own."""
    if value is None:
        return None
    if is_secret_name(name):
        return MASK
    if isinstance(value, str):
        return MASK if parts_to_hide(value) or _holds_password(value) else value
    if isinstance(value, Mapping):
        return {key: redact(str(key), item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [redact("", item) for item in value]
    return value


def _holds_password(text: str) -> bool:
    """Whether a URL with a password stands in a text. Takes time in proportion to the length.

    In a text that is nothing but a URL, the password may have characters that should have been escaped.
    """
    if "://" not in text:
        return False
    if _ONLY_URL.fullmatch(text.strip()):
        return True
    for word in _WORD.findall(text):
        inside = _INSIDE.search(word)
        if inside is not None and inside.end() < word.rfind("@"):
            return True
    return False


def secret_texts(value: Any, name: str = "", shortest: int = SHORTEST) -> Iterator[str]:
    """The texts inside a value that `redact` would hide and that are long enough to be looked for elsewhere."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from secret_texts(item, name if is_secret_name(name) else str(key), shortest)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from secret_texts(item, name, shortest)
    elif redact(name, value) == MASK:
        text = str(value)
        yield from (part for part in {text, *parts_to_hide(text)} if len(part) >= shortest)


def alike(shown: Any, value: Any) -> bool:
    """Whether a value is the same without the secrets. NaN, which is not equal to itself, is."""
    return bool(shown == value) or repr(shown) == repr(value)


def holds_mask(value: Any) -> bool:
    """Whether something was hidden in this value."""
    if isinstance(value, Mapping):
        return any(holds_mask(item) for item in value.values())
    if isinstance(value, (list, tuple)):
        return any(holds_mask(item) for item in value)
    return isinstance(value, str) and MASK in value

"""Hides secrets in a stream of bytes. Used at the single place where logs and outputs are written.

Imports only the standard library, as `planning.secrets` does: the supervisor, which runs without site-packages, uses it too.
"""

from __future__ import annotations

import base64
import json
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from typing import Any
from urllib.parse import quote, quote_plus

from rehearse.planning.secrets import SHORTEST, is_secret_name, parts_to_hide, secret_texts

MASK = b"********"


def secret_values(variables: Mapping[str, str]) -> list[str]:
    """The values that must never be seen: those of variables with a telling name, passwords inside URLs, and webhooks."""
    found = {part for name, value in variables.items() if is_secret_name(name) for part in _parts(value)}
    for value in variables.values():
        if parts := parts_to_hide(value):
            found |= {value, *parts}
    return sorted(value for value in found if len(value) >= SHORTEST)


def _parts(secret: str) -> Iterator[str]:
    """A secret, and what a program may show of it apart: the lines of a key, the secrets inside of a JSON document."""
    yield secret
    if secret.lstrip().startswith("{"):
        try:
            document = json.loads(secret)
        except (ValueError, RecursionError):
            return
        for text in secret_texts(document):
            yield from _parts(text) if text != secret else ()
        return
    text = secret.replace("\\n", "\n") if "-----BEGIN" in secret else secret  # as variables often hold a key
    if "\n" in text.strip():
        yield from (line.strip() for line in text.splitlines() if not line.startswith("-----"))


def _forms(value: str) -> Iterable[bytes]:
    raw = value.encode()
    yield raw
    for text in (quote(value, safe=""), quote(value), quote_plus(value), repr(value)[1:-1], shlex.quote(value),
                 json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1], raw.hex()):  # fmt: skip
        yield text.encode()
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        for shift in range(3):  # base64 looks different for each of the three alignments
            code = encode(b"\0" * shift + raw)
            yield code[(0, 2, 3)[shift] : len(code) - 4 if (len(raw) + shift) % 3 else None]


class Masker:
    """Feed chunks, write what comes back; what may be the beginning of a secret is held back until more comes, or `flush`."""

    def __init__(self, secrets: Iterable[str]):
        self._secrets = [secret for secret in secrets if len(secret) >= SHORTEST]
        self._held = b""

    # What follows is made when there is something to look through: it takes as long as starting a small task.

    @cached_property
    def _ordered(self) -> list[bytes]:
        """Every form of every secret, the longest first."""
        forms = {form for secret in self._secrets for form in _forms(secret) if len(form) >= SHORTEST}
        return sorted(forms, key=len, reverse=True)

    @cached_property
    def _overlap(self) -> int:
        return len(self._ordered[0]) - 1 if self._ordered else 0

    @cached_property
    def _by_first(self) -> dict[int, list[bytes]]:
        found: dict[int, list[bytes]] = {}
        for form in self._ordered:
            found.setdefault(form[0], []).append(form)
        return found

    @cached_property
    def _pattern(self) -> re.Pattern[bytes] | None:
        return re.compile(b"|".join(map(re.escape, self._ordered))) if self._ordered else None

    def feed(self, chunk: bytes) -> bytes:
        if self._pattern is None:
            return chunk
        text = self._held + chunk
        cut = self._first_open(text)
        for match in self._pattern.finditer(text, max(0, cut - self._overlap)):
            if match.start() < cut < match.end():
                cut = match.start()
        self._held = text[cut:]
        return self._pattern.sub(MASK, text[:cut])

    def flush(self) -> bytes:
        held, self._held = self._held, b""
        if not held:
            return b""
        return self._pattern.sub(MASK, held) if self._pattern else held

    def _first_open(self, text: bytes) -> int:
        """Where the first secret begins that the text breaks off in; its length when there is none."""
        for start in range(max(0, len(text) - self._overlap), len(text)):
            forms = self._by_first.get(text[start])
            if forms and any(len(form) > len(text) - start and form.startswith(text[start:]) for form in forms):
                return start
        return len(text)

    def text(self, value: str) -> str:
        """Mask one complete text."""
        return self._pattern.sub(MASK, value.encode()).decode() if self._pattern else value

    def value(self, value: Any) -> Any:
        """Mask every text inside a JSON value, and numbers that are a secret as a whole."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return {self.text(str(key)): self.value(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self.value(item) for item in value]
        return value if self.text(str(value)) == str(value) else MASK.decode()

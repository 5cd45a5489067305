"""Where tables and keys stand in a TOML file, which its parser does not tell."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any


class Places:
    """`at("connections", "shop", "url")` is "<path>:<line>" of that key, or of the nearest table around it that has a line.

    A table counts where its header stands. What is inside of an inline table or of a list has the line of that one.
    """

    def __init__(self, path: Path, text: str):
        self.path = path
        self._lines: dict[tuple[str, ...], int] = {}
        table: tuple[str, ...] = ()
        for number, line in enumerate(text.splitlines(), 1):
            stripped = line.strip()
            if stripped.startswith("["):
                if (header := _keys(stripped)) is not None:
                    table = header
                    self._note(table, number)
            elif "=" in stripped and (key := _key(stripped)) is not None:
                self._note((*table, *key), number)

    def at(self, *keys: str) -> str:
        for end in range(len(keys), 0, -1):
            if (number := self._lines.get(keys[:end])) is not None:
                return f"{self.path}:{number}"
        return str(self.path)

    def _note(self, keys: tuple[str, ...], number: int) -> None:
        for end in range(1, len(keys) + 1):
            self._lines.setdefault(keys[:end], number)


def _key(line: str) -> tuple[str, ...] | None:
    """The key of `key = value`; it may be dotted, and quoted with a `=` inside."""
    end = line.find("=")
    while end >= 0:
        if (found := _keys(f"{line[:end]}= 0")) is not None:
            return found
        end = line.find("=", end + 1)
    return None


def _keys(line: str) -> tuple[str, ...] | None:
    """Of a line that is a document of its own: `[a.b]` or `a.b = 0`. None for any other, such as a part of a longer text."""
    try:
        value: Any = tomllib.loads(line)
    except tomllib.TOMLDecodeError:
        return None
    keys: list[str] = []
    while isinstance(value, dict) and len(value) == 1:
        (key, value), *_ = value.items()
        keys.append(key)
    return tuple(keys) or None

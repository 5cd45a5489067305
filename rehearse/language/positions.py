"""Where things stand in a file, down to the character inside a quoted, folded or block text."""

from __future__ import annotations

import re
from dataclasses import dataclass

from rehearse.language.problems import Position

_PROPERTIES = re.compile(r"(?:[&!]\S*\s+)*")  # an anchor or a tag before the value
_BLANKS = re.compile(r"\s*")
_ESCAPED_BREAK = re.compile(r"(?:\\\r?\n\s*)*")
_ESCAPE = re.compile(r"\\(?:x[0-9A-Fa-f]{2}|u[0-9A-Fa-f]{4}|U[0-9A-Fa-f]{8}|.)", re.DOTALL)


@dataclass(slots=True)
class Mark:
    """The place of one value: of its first character, of its key, and of what is inside.

    `start` and `end` are indices into the file's text and `style` is the quoting (', ", |, > or empty), for scalars.
    """

    value: Position
    key: Position | None = None
    start: int = 0
    end: int = 0
    style: str | None = None
    items: dict[str | int, Mark] | None = None
    walked: tuple[int, int] = (0, -1)
    """How far `source_index` came the last time, so that many problems in one long text cost one walk."""

    def alias(self, place: Position) -> Mark:
        """The mark of an alias, which stands at another place; what is inside stands where the anchor is."""
        return Mark(place, None, self.start, self.end, self.style, self.items)


def position_of_index(text: str, index: int) -> Position:
    start = text.rfind("\n", 0, index) + 1
    return Position(text.count("\n", 0, index) + 1, index - start + 1)


def source_index(source: str, mark: Mark, value: str, offset: int) -> int:
    """The index in the file of character `offset` of a scalar's value.

    YAML folds lines, strips indentation and unescapes. Rather than doing all that again, both texts are walked side by
    side: a character that is not blank comes next in the source but for blanks, whatever the style.
    """
    begun, at = mark.walked
    if at < 0 or offset < begun:
        begun, at = 0, _skip(_PROPERTIES, source, mark.start)
        if mark.style and mark.style in "'\"":
            at += 1
        elif mark.style:
            at = source.find("\n", at) + 1
    for n in range(begun, len(value)):
        char = value[n]
        if mark.style == '"':
            at = _skip(_ESCAPED_BREAK, source, at)
        here = at if char.isspace() else _skip(_BLANKS, source, at)
        if mark.style == '"' and (escape := _ESCAPE.match(source, here)):
            at, step = here, len(escape[0])
        elif char.isspace():
            step = int(source[at] == char)  # else a folded line break: what follows it skips the blanks
        else:
            at, step = here, 1 + (mark.style == "'" and char == "'")  # written twice inside single quotes
        if n >= offset or at + step > mark.end:
            mark.walked = (n, at)
            break
        at += step
    return min(at, max(mark.end - 1, mark.start))


def _skip(pattern: re.Pattern[str], source: str, at: int) -> int:
    match = pattern.match(source, at)
    return match.end() if match else at

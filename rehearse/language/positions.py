"""Where things stand in a file, down to the character inside a quoted, folded or block text."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from rehearse.language.problems import Position

UNSEEN_BREAK = re.compile("[\x85\u2028\u2029]")
"""What ends a line for YAML 1.1, and for hardly any editor."""
_STRIDE = 512
_PROPERTIES = re.compile(r"(?:[&!]\S*\s+)*")  # an anchor or a tag before the value
_BLANK = " \t\r\n\x85\u2028\u2029"  # what YAML folds and strips; a no-break space is text
_BLANKS = re.compile(f"[{_BLANK}]*")
_ESCAPED_BREAK = re.compile(r"(?:\\\r?\n[ \t]*)*")
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
    walked: list[tuple[int, int]] = field(default_factory=list)
    """Where `source_index` came by, every so many characters, so that many problems in a long text cost one walk."""

    def alias(self, place: Position) -> Mark:
        """The mark of an alias, which stands at another place; what is inside stands where the anchor is."""
        return Mark(place, None, self.start, self.end, self.style, self.items)


def finder(text: str) -> Callable[[Any], Position]:
    """From a mark of the YAML parser to the position that an editor shows: the parser ends lines at U+2028 too."""
    if not UNSEEN_BREAK.search(text):
        return lambda mark: Position(mark.line + 1, mark.column + 1)
    begins = [0, *(found.end() for found in re.finditer("\n", text))]

    def find(mark: Any) -> Position:
        line = bisect_right(begins, mark.index)
        return Position(line, mark.index - begins[line - 1] + 1)

    return find


def position_of_index(text: str, index: int) -> Position:
    start = text.rfind("\n", 0, index) + 1
    return Position(text.count("\n", 0, index) + 1, index - start + 1)


def source_index(source: str, mark: Mark, value: str, offset: int) -> int:
    """The index in the file of character `offset` of a scalar's value.

    YAML folds lines, strips indentation and unescapes. Rather than doing all that again, both texts are walked side by
    side: a character that is not blank comes next in the source but for blanks, whatever the style.
    """
    if not mark.walked:
        at = _skip(_PROPERTIES, source, mark.start)
        if mark.style and mark.style in "'\"":
            at += 1
        elif mark.style:
            at = source.find("\n", at) + 1
        mark.walked.append((0, at))
    begun, at = mark.walked[bisect_right(mark.walked, (offset, len(source))) - 1]
    for n in range(begun, len(value)):
        char = value[n]
        if mark.style == '"':
            at = _skip(_ESCAPED_BREAK, source, at)
        here = at if char in _BLANK else _skip(_BLANKS, source, at)
        if mark.style == '"' and (escape := _ESCAPE.match(source, here)):
            at, step = here, len(escape[0])
        elif char in _BLANK:
            step = int(source[at] == char)  # else a folded line break: what follows it skips the blanks
        else:
            at, step = here, 1 + (mark.style == "'" and char == "'")  # written twice inside single quotes
        if n >= offset or at + step > mark.end:
            break
        at += step
        if (n + 1) % _STRIDE == 0 and n + 1 > mark.walked[-1][0]:
            mark.walked.append((n + 1, at))
    return min(at, max(mark.end - 1, mark.start))


def _skip(pattern: re.Pattern[str], source: str, at: int) -> int:
    match = pattern.match(source, at)
    return match.end() if match else at

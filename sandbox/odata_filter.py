"""OData v2 `$filter`, `$orderby` and `$select`, translated to SQL with bound values.

Literals are typed as the protocol wants it: 'text', datetime'2026-06-30T00:00:00', 1.5M, null and
datetimeoffset'2026-06-30T00:00:00Z'. Comparing a property with a literal of another type is an error, as with SAP.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

_TOKEN = re.compile(
    r"""\s*(?:(?P<typed>datetimeoffset'[^']*'|datetime'[^']*')|(?P<string>'(?:[^']|'')*')
    |(?P<number>[+-]?\d+(?:\.\d+)?[mMdDfFlL]?)|(?P<word>[A-Za-z_]\w*)|(?P<sign>[()]))""",
    re.VERBOSE,
)
_OPERATORS = {"eq": "=", "ne": "<>", "gt": ">", "ge": ">=", "lt": "<", "le": "<="}


class ODataError(Exception):
    """A request that the service refuses with status 400."""


def milliseconds(text: str, offset: bool) -> int:
    """An Edm.DateTime (no time zone, taken as UTC) or Edm.DateTimeOffset text as milliseconds since the epoch."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ODataError(f"Invalid date-time literal '{text}'") from None
    if (moment.tzinfo is not None) != offset:
        needs = "a time zone" if offset else "no time zone"
        raise ODataError(f"'{text}': {'Edm.DateTimeOffset' if offset else 'Edm.DateTime'} has {needs}")
    return int((moment if offset else moment.replace(tzinfo=UTC)).timestamp() * 1000)


class _Filter:
    def __init__(self, text: str, types: Mapping[str, str]):
        self.types, self.at, position = types, 0, 0
        self.tokens: list[tuple[str, str]] = []
        self.values: list[Any] = []
        while position < len(text.rstrip()):
            match = _TOKEN.match(text, position)
            if not match:
                raise ODataError(f"Syntax error at position {position} in $filter: '{text[position:][:20]}'")
            self.tokens.append((str(match.lastgroup), match[match.lastgroup or 0]))
            position = match.end()
        self.tokens.append(("end", "end of text"))

    def accept(self, word: str) -> bool:
        found = self.tokens[self.at][1] == word and self.tokens[self.at][0] != "string"
        self.at += found
        return found

    def unexpected(self) -> ODataError:
        return ODataError(f"Syntax error in $filter: unexpected '{self.tokens[self.at][1]}'")

    def parse(self) -> str:
        sql = self.either()
        if self.tokens[self.at][0] != "end":
            raise self.unexpected()
        return sql

    def either(self) -> str:
        parts = [self.both()]
        while self.accept("or"):
            parts.append(self.both())
        return f"({' or '.join(parts)})"

    def both(self) -> str:
        parts = [self.comparison()]
        while self.accept("and"):
            parts.append(self.comparison())
        return f"({' and '.join(parts)})"

    def comparison(self) -> str:
        if self.accept("not"):
            return f"(not coalesce({self.comparison()}, 0))"
        if self.accept("("):
            inside = self.either()
            if not self.accept(")"):
                raise self.unexpected()
            return inside
        kind, name = self.tokens[self.at]
        if kind != "word":
            raise self.unexpected()
        column(name, self.types)
        self.at += 1
        operator = _OPERATORS.get(self.tokens[self.at][1])
        if operator is None:
            raise self.unexpected()
        self.at += 1
        value = self.literal(name)
        if value is None:
            if operator not in ("=", "<>"):
                raise ODataError(f"null can only be compared with eq and ne (property '{name}')")
            return f'"{name}" is {"not " if operator == "<>" else ""}null'
        self.values.append(value)
        return f'"{name}" {operator} ?'

    def literal(self, name: str) -> Any:
        token, text = self.tokens[self.at]
        self.at += 1
        wanted = self.types[name]
        if token == "word" and text == "null":
            return None
        if token == "string" and wanted == "Edm.String":
            return text[1:-1].replace("''", "'")
        if token == "typed":
            kind, inside, _ = text.split("'")
            if (kind == "datetimeoffset") == (wanted == "Edm.DateTimeOffset") and wanted.startswith("Edm.DateTime"):
                return milliseconds(inside, kind == "datetimeoffset")
        if token == "number" and wanted == "Edm.Decimal":
            return round(float(text.rstrip("mMdDfFlL")) * 1000)  # weights are kept in grams
        if token in ("sign", "end"):
            self.at -= 1
            raise self.unexpected()
        raise ODataError(f"The types of property '{name}' ({wanted}) and of the literal {text} are not compatible")


def column(name: str, types: Mapping[str, str]) -> str:
    """`name` if it is a property of the entity, for use as an SQL identifier. Raises ODataError."""
    if name not in types:
        raise ODataError(f"Property '{name}' not found in type 'A_OutbDeliveryHeaderType'")
    return name


def where(text: str, types: Mapping[str, str]) -> tuple[str, list[Any]]:
    """SQL condition and its values for a `$filter`; everything matches an empty one. Raises ODataError."""
    if not text:
        return "1", []
    parser = _Filter(text, types)
    return parser.parse(), parser.values


def order_by(text: str, types: Mapping[str, str], key: str) -> str:
    """SQL `order by` list for a `$orderby`, made total by the key. Raises ODataError."""
    parts, direction = [], [""]
    for term in text.split(","):
        name, *direction = term.split() or [""]
        if direction not in ([], ["asc"], ["desc"]):
            raise ODataError(f"Syntax error in $orderby: '{term.strip()}'")
        parts.append(f'"{column(name, types)}" {"".join(direction)}'.strip())
    return ", ".join([*parts, f'"{key}" {"".join(direction)}'.strip()])


def select(text: str, types: Mapping[str, str]) -> list[str]:
    """The properties of a `$select`; all for `*`. Raises ODataError."""
    names = [name.strip() for name in text.split(",")]
    return list(types) if names == ["*"] else [column(name, types) for name in names]

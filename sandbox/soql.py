"""The part of SOQL that extraction needs, translated to SQL with bound values.

    SELECT <fields> | COUNT() FROM <object> [WHERE ...]
    [ORDER BY f [ASC|DESC] [NULLS FIRST|LAST], ...] [LIMIT n] [OFFSET n]

WHERE knows = != <> < <= > >= LIKE, IN, NOT IN, null, AND, OR, NOT and parentheses. Names are matched without case.
Literals have types as on the platform: a date-time is not quoted, and comparing it with a field of another type is an
error.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

_TOKEN = re.compile(
    r"""\s*(?:(?P<string>'(?:[^'\\]|\\.)*')|(?P<datetime>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:?\d\d))
    |(?P<date>\d{4}-\d\d-\d\d)|(?P<number>[+-]?\d+(?:\.\d+)?)|(?P<word>[A-Za-z_][\w.]*)|(?P<sign><=|>=|!=|<>|[=<>(),]))""",
    re.VERBOSE,
)
_TEXTS = ("string", "id", "reference", "email", "picklist")
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f"}


class SoqlError(Exception):
    """Salesforce's own `code` (MALFORMED_QUERY, INVALID_FIELD, INVALID_TYPE) and message."""

    def __init__(self, code: str, message: str):
        super().__init__(message)
        self.code = code


class Query(NamedTuple):
    """`fields` is empty for COUNT(); `where` (a condition) and `tail` (order, limit) are SQL, `values` bind."""

    object: str
    fields: list[str]
    where: str
    tail: str
    values: list[Any]


class _Parser:
    def __init__(self, text: str, objects: Mapping[str, Mapping[str, str]]):
        self.text, self.objects = text, objects
        self.tokens: list[tuple[str, str]] = []
        self.values: list[Any] = []
        self.at, position = 0, 0
        while position < len(text.rstrip()):
            match = _TOKEN.match(text, position)
            if not match:
                raise SoqlError("MALFORMED_QUERY", f"unexpected token: '{text[position:].strip()[:1]}'")
            self.tokens.append((str(match.lastgroup), match[match.lastgroup or 0]))
            position = match.end()
        self.tokens.append(("end", "<EOF>"))

    # tokens

    def peek(self, *words: str) -> bool:
        """Whether the next tokens are these words or signs."""
        ahead = self.tokens[self.at : self.at + len(words)]
        return [text.upper() for kind, text in ahead if kind != "string"] == list(words)

    def accept(self, *words: str) -> bool:
        found = self.peek(*words)
        self.at += len(words) if found else 0
        return found

    def expect(self, *words: str) -> None:
        if not self.accept(*words):
            raise self.unexpected(f", expecting {' '.join(words)}")

    def unexpected(self, more: str = "") -> SoqlError:
        return SoqlError("MALFORMED_QUERY", f"unexpected token: '{self.tokens[self.at][1]}'{more}")

    def take(self, kind: str) -> str:
        if self.tokens[self.at][0] != kind:
            raise self.unexpected(f", expecting a {kind}")
        self.at += 1
        return self.tokens[self.at - 1][1]

    # grammar

    def query(self) -> Query:
        self.expect("SELECT")
        names: list[str] = []
        if not self.accept("COUNT", "(", ")"):
            names.append(self.take("word"))
            while self.accept(","):
                names.append(self.take("word"))
        self.expect("FROM")
        wanted = self.take("word")
        self.object = next((name for name in self.objects if name.lower() == wanted.lower()), "")
        if not self.object:
            raise SoqlError("INVALID_TYPE", f"sObject type '{wanted}' is not supported.")
        self.types = {name.lower(): (name, kind) for name, kind in self.objects[self.object].items()}
        fields = [self.field(name)[0] for name in names]
        if len({*fields}) < len(fields):
            raise SoqlError("MALFORMED_QUERY", "duplicate field selected")
        where = self.either() if self.accept("WHERE") else ""
        tail = self.order() if self.accept("ORDER", "BY") else ""
        for word in ("LIMIT", "OFFSET"):
            if self.accept(word):
                tail += f" {word.lower()} {int(float(self.take('number')))}"
            elif word == "LIMIT" and self.peek("OFFSET"):
                tail += " limit -1"
        if self.tokens[self.at][0] != "end":
            raise self.unexpected()
        return Query(self.object, fields, where, tail, self.values)

    def field(self, name: str) -> tuple[str, str]:
        short = name.split(".", 1)[1] if name.lower().startswith(self.object.lower() + ".") else name
        if short.lower() not in self.types:
            raise SoqlError("INVALID_FIELD", f"No such column '{name}' on entity '{self.object}'.")
        return self.types[short.lower()]

    def either(self) -> str:
        parts = [self.both()]
        while self.accept("OR"):
            parts.append(self.both())
        return f"({' or '.join(parts)})" if len(parts) > 1 else parts[0]

    def both(self) -> str:
        parts = [self.condition()]
        while self.accept("AND"):
            parts.append(self.condition())
        return f"({' and '.join(parts)})" if len(parts) > 1 else parts[0]

    def condition(self) -> str:
        if self.accept("NOT"):
            return f"(not coalesce({self.condition()}, 0))"
        if self.accept("("):
            inside = self.either()
            self.expect(")")
            return inside
        name, kind = self.field(self.take("word"))
        column = f'"{name}" collate nocase' if kind in ("string", "email", "picklist") else f'"{name}"'
        for words, operator in ((("IN",), "in"), (("NOT", "IN"), "not in")):
            if self.accept(*words):
                self.expect("(")
                values = [self.literal(name, kind)]
                while self.accept(","):
                    values.append(self.literal(name, kind))
                self.expect(")")
                self.values += values
                return f"{column} {operator} ({', '.join('?' * len(values))})"
        operator = "like" if self.accept("LIKE") else self.take("sign")
        if operator in ("(", ")", ","):
            self.at -= 1
            raise self.unexpected()
        value = self.literal(name, kind)
        if value is None:
            if operator not in ("=", "!=", "<>"):
                raise SoqlError("INVALID_FIELD", f"{name} {operator} null: null can only be compared with = and !=")
            return f'"{name}" is {"" if operator == "=" else "not "}null'
        self.values.append(value)
        if operator in ("!=", "<>"):
            return f"{column} is not ?"  # unlike SQL, SOQL finds null to be different from any value
        return f"{column} {operator} ?"

    def literal(self, name: str, kind: str) -> Any:
        token, text = self.tokens[self.at]
        self.at += 1
        if token == "word" and text.lower() == "null":
            return None
        if token == "string" and kind in _TEXTS:
            return re.sub(r"\\(.)", lambda found: _ESCAPES.get(found[1], found[1]), text[1:-1])
        if token == "datetime" and kind == "datetime":
            moment = datetime.fromisoformat(text).astimezone(UTC)
            return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}+0000"
        if token == "number" and kind == "currency":
            return float(text)
        if token == "word" and kind == "boolean" and text.lower() in ("true", "false"):
            return int(text.lower() == "true")
        if token in ("sign", "end"):
            self.at -= 1
            raise self.unexpected()
        quoted = "should not be" if kind not in _TEXTS else "should be"
        raise SoqlError(
            "INVALID_FIELD",
            f"{name} = {text}: value of filter criterion for field '{name}' must be of type {kind} "
            f"and {quoted} enclosed in quotes",
        )

    def order(self) -> str:
        parts = []
        while True:
            name, _ = self.field(self.take("word"))
            direction = "desc" if self.accept("DESC") else "asc"
            self.accept("ASC")
            nulls = "last" if self.accept("NULLS", "LAST") else "first"
            self.accept("NULLS", "FIRST")
            parts.append(f'"{name}" {direction} nulls {nulls}')
            if not self.accept(","):
                return f" order by {', '.join(parts)}"


def parse(text: str, objects: Mapping[str, Mapping[str, str]]) -> Query:
    """Translate one query; `objects` gives the type of every field of every object. Raises SoqlError."""
    return _Parser(text, objects).query()

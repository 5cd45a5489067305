"""YAML text to plain values, with the position of every key and value.

The tree is built from libyaml's event stream rather than by `yaml.load`, because we need what that throws away: where
each value stands, that a key occurred twice, and how large the document becomes when its aliases are expanded.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import yaml

MAX_BYTES = 2_000_000
MAX_DEPTH = 60
MAX_NODES = 200_000  # after alias expansion: a "billion laughs" document stops here

Loc = tuple[str | int, ...]
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_RESOLVER = yaml.resolver.Resolver()
_BOOLEANS = {"yes": True, "no": False, "true": True, "false": False, "on": True, "off": False}


class Position(NamedTuple):
    """1-based, as editors count."""

    line: int
    column: int


@dataclass(frozen=True)
class Problem:
    """One thing wrong with a pipeline file. `loc` and `type` are worded as the platform's validation endpoint does."""

    file: str
    position: Position
    message: str
    type: str = "value_error"
    loc: Loc = ()
    hint: str | None = None
    severity: str = "error"

    def __str__(self) -> str:
        hint = f" ({self.hint})" if self.hint else ""
        return f"{self.file}:{self.position.line}:{self.position.column}: {self.severity}: {self.message}{hint}"

    def as_dict(self) -> dict[str, Any]:
        return {
            "file": self.file,
            "line": self.position.line,
            "column": self.position.column,
            "severity": self.severity,
            "message": self.message,
            "type": self.type,
            "loc": list(self.loc),
            "hint": self.hint,
        }


@dataclass
class Document:
    """A parsed file: `value` is None when the text could not be read as one YAML mapping."""

    file: str
    text: str = ""
    value: dict[str, Any] | None = None
    problems: list[Problem] = field(default_factory=list)
    keys: dict[Loc, Position] = field(default_factory=dict)
    values: dict[Loc, Position] = field(default_factory=dict)

    def locate(self, loc: Loc, *, key: bool = False) -> Position:
        """The position of the value (or key) at `loc`, or of the nearest enclosing one that was written down."""
        table = self.keys if key else self.values
        while loc:
            if loc in table:
                return table[loc]
            if loc in self.values:
                return self.values[loc]
            loc = loc[:-1]
        return self.values.get((), Position(1, 1))

    def problem(
        self,
        loc: Loc,
        message: str,
        type: str = "value_error",
        hint: str | None = None,
        *,
        key: bool = False,
        severity: str = "error",
    ) -> Problem:
        return Problem(self.file, self.locate(loc, key=key), message, type, loc, hint, severity)


@dataclass
class _Container:
    loc: Loc
    value: dict[str, Any] | list[Any]
    anchor: str | None
    key: str | None = None
    expects_key: bool = False
    size: int = 1
    merge: bool = False
    merged: list[dict[str, Any]] = field(default_factory=list)


class _TooLarge(Exception):
    pass


def read_document(path: Path) -> Document:
    """Read a pipeline file. Problems are collected in the result; only a missing file raises OSError."""
    file = str(path)
    if path.stat().st_size > MAX_BYTES:
        doc = Document(file)
        doc.problems.append(Problem(file, Position(1, 1), f"the file is larger than {MAX_BYTES:,} bytes", "too_large"))
        return doc
    try:
        raw = path.read_bytes()
    except OSError as e:
        return Document(file, problems=[Problem(file, Position(1, 1), f"cannot be read: {e.strerror}", "unreadable")])
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as e:
        line = raw.count(b"\n", 0, e.start) + 1
        doc = Document(file)
        doc.problems.append(
            Problem(file, Position(line, 1), "the file is not UTF-8", "encoding", hint="save it as UTF-8")
        )
        return doc
    return parse_document(text, file)


def parse_document(text: str, file: str = "<text>") -> Document:
    """Parse YAML 1.1 text into a `Document`; never raises."""
    doc = Document(file, text)
    try:
        doc.value = _Builder(doc).build()
    except yaml.YAMLError as e:
        mark = getattr(e, "problem_mark", None) or getattr(e, "context_mark", None)
        position = Position(mark.line + 1, mark.column + 1) if mark else Position(1, 1)
        message = getattr(e, "problem", None) or getattr(e, "reason", None) or str(e)
        context = getattr(e, "context", None)
        message = f"{message} ({context})" if context else message
        doc.problems.append(
            Problem(file, position, f"YAML: {message}", "yaml", hint=_yaml_hint(text, position, message))
        )
    except _TooLarge as e:
        doc.problems.append(Problem(file, Position(1, 1), str(e), "too_large"))
    return doc


def _yaml_hint(text: str, position: Position, message: str) -> str | None:
    lines = text.splitlines()
    line = lines[position.line - 1] if position.line <= len(lines) else ""
    before = lines[position.line - 2] if position.line >= 2 and position.line - 2 < len(lines) else ""
    for number, candidate in ((position.line, line), (position.line - 1, before)):
        if "\t" in candidate[: len(candidate) - len(candidate.lstrip())]:
            return f"line {number} is indented with a tab; indent with spaces"
        stripped = candidate.strip()
        if stripped and ":" not in stripped and not stripped.startswith(("-", "#", "'", '"')):
            return f"is a ':' missing after '{stripped.split()[0]}' on line {number}?"
    if "mapping values are not allowed" in message:
        return "a value that contains ': ' must be quoted, or the line is indented too far"
    if "block end" in message or "block mapping" in message:
        return "check the indentation: this line does not align with the ones above it"
    if "quoted scalar" in message:
        return "a quote is opened here and never closed"
    return None


class _Builder:
    """Builds values from parser events with an explicit stack, so that depth costs no Python recursion."""

    def __init__(self, doc: Document):
        self.doc = doc
        self.stack: list[_Container] = []
        self.anchors: dict[str, tuple[Any, int]] = {}
        self.nodes = 0
        self.root: Any = None
        self.documents = 0

    def build(self) -> dict[str, Any] | None:
        for event in yaml.parse(self.doc.text, Loader=_Loader):
            if isinstance(event, yaml.ScalarEvent):
                self._scalar(event)
            elif isinstance(event, (yaml.MappingStartEvent, yaml.SequenceStartEvent)):
                self._open(event)
            elif isinstance(event, (yaml.MappingEndEvent, yaml.SequenceEndEvent)):
                self._close()
            elif isinstance(event, yaml.AliasEvent):
                self._alias(event)
            elif isinstance(event, yaml.DocumentStartEvent):
                self.documents += 1
                if self.documents > 1:
                    self._report(event, "only one YAML document per file", "yaml", "remove the '---' line")
                    break
        if not isinstance(self.root, dict):
            if not self.doc.problems:
                what = "empty" if self.root is None else f"a {type(self.root).__name__}"
                problem = Problem(
                    self.doc.file, Position(1, 1), f"a pipeline is a YAML mapping; this file is {what}", "dict_type"
                )
                self.doc.problems.append(problem)
            return None
        return self.root

    def _report(self, event: yaml.Event, message: str, type: str, hint: str | None = None, loc: Loc = ()) -> None:
        self.doc.problems.append(Problem(self.doc.file, _position(event), message, type, loc, hint))

    def _count(self, nodes: int) -> None:
        self.nodes += nodes
        if self.nodes > MAX_NODES:
            raise _TooLarge(f"the document has more than {MAX_NODES:,} values once its aliases are expanded")

    def _scalar(self, event: yaml.ScalarEvent) -> None:
        top = self.stack[-1] if self.stack else None
        if top is not None and top.expects_key:
            self._key(top, event)
            return
        value = _scalar_value(event)
        self._count(1)
        if event.anchor:
            self.anchors[event.anchor] = (value, 1)
        self._place(value, event, 1)

    def _key(self, top: _Container, event: yaml.ScalarEvent) -> None:
        top.expects_key = False
        # `on:` and `no:` are booleans in YAML 1.1; as a key the author always means the word.
        key = event.value
        top.merge = key == "<<" and not event.style
        if not top.merge and key in top.value and not any(key in m for m in top.merged):
            self._report(
                event,
                f"Duplicate key found in YAML: '{key}'",
                "duplicate_key",
                "the first one is used",
                (*top.loc, key),
            )
            top.key = None  # the value that follows is dropped, as the platform's own client does
            return
        top.key = key
        self.doc.keys.setdefault((*top.loc, key), _position(event))

    def _open(self, event: Any) -> None:
        top = self.stack[-1] if self.stack else None
        if top is not None and top.expects_key:
            self._report(event, "a mapping key must be text", "key_type", loc=top.loc)
            top.expects_key, top.key = False, None
        if len(self.stack) >= MAX_DEPTH:
            raise _TooLarge(f"the document is nested deeper than {MAX_DEPTH} levels")
        self._count(1)
        mapping = isinstance(event, yaml.MappingStartEvent)
        child = _Container(self._child_loc(), {} if mapping else [], event.anchor, expects_key=mapping)
        self.doc.values.setdefault(child.loc, _position(event))
        self.stack.append(child)

    def _close(self) -> None:
        done = self.stack.pop()
        if isinstance(done.value, dict):
            for merged in done.merged:
                for key, value in merged.items():
                    done.value.setdefault(key, value)
        if done.anchor:
            self.anchors[done.anchor] = (done.value, done.size)
        self._place(done.value, None, done.size)

    def _alias(self, event: yaml.AliasEvent) -> None:
        if self.stack and self.stack[-1].expects_key:
            self._report(event, "a mapping key must be text, not an alias", "key_type", loc=self.stack[-1].loc)
            self.stack[-1].expects_key, self.stack[-1].key = False, None
            return
        if event.anchor not in self.anchors:
            self._report(
                event, f"unknown alias '*{event.anchor}'", "yaml", "an anchor must be complete before its alias"
            )
            self._place(None, event, 1)
            return
        value, size = self.anchors[event.anchor]
        self._count(size)
        self._place(value, event, size)

    def _child_loc(self) -> Loc:
        if not self.stack:
            return ()
        top = self.stack[-1]
        if isinstance(top.value, list):
            return (*top.loc, len(top.value))
        return (*top.loc, top.key if top.key is not None else "?")

    def _place(self, value: Any, event: yaml.Event | None, size: int) -> None:
        if not self.stack:
            self.root = value
            return
        top = self.stack[-1]
        top.size += size
        if event is not None:
            self.doc.values.setdefault(self._child_loc(), _position(event))
        if isinstance(top.value, list):
            top.value.append(value)
            return
        if top.merge:
            sources = value if isinstance(value, list) else [value]
            top.merged.extend(source for source in sources if isinstance(source, dict))
        elif top.key is not None:
            top.value[top.key] = value
        top.key, top.expects_key, top.merge = None, True, False


def _position(event: yaml.Event) -> Position:
    mark = event.start_mark
    return Position(mark.line + 1, mark.column + 1) if mark else Position(1, 1)


def _scalar_value(event: yaml.ScalarEvent) -> Any:
    """The YAML 1.1 value, except that dates and other exotic tags stay the text that was written."""
    text = event.value
    tag: str = event.tag or _RESOLVER.resolve(yaml.ScalarNode, text, event.implicit)  # type: ignore[no-untyped-call]
    kind = tag.rsplit(":", 1)[-1]
    try:
        if kind == "null":
            return None
        if kind == "bool":
            return _BOOLEANS[text.lower()]
        if kind in ("int", "float"):
            return yaml.safe_load(text) if not event.tag else (int if kind == "int" else float)(text)
    except (ValueError, KeyError):
        pass
    return text

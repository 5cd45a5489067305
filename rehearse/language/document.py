"""YAML text to plain values, with the position of every key and value.

The tree is built from libyaml's event stream rather than by `yaml.load`, because we need what that throws away: where
each value stands, that a key occurred twice, and how large the document becomes when its aliases are expanded.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from rehearse.language.positions import UNSEEN_BREAK, Mark, finder, position_of_index, source_index
from rehearse.language.problems import CODES, MAX_PROBLEMS, Loc, Position, Problem

MAX_BYTES = 2_000_000
MAX_DEPTH = 60
MAX_NODES = 80_000  # after alias expansion: a "billion laughs" document stops here
SUFFIXES = (".yml", ".yaml", ".oml")

_LONGEST_NUMBER = 100  # in characters: reading 1:1:1:... as a number of base 60 takes quadratic time

_YAML_TAG = "tag:yaml.org,2002:"
_SCALAR_TAGS = ("null", "bool", "int", "float", "str", "timestamp")

_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_RESOLVER = yaml.resolver.Resolver()
_IMPLICIT = yaml.resolver.Resolver.yaml_implicit_resolvers  # first character -> what plain text may mean
_CONSTRUCTOR = yaml.constructor.SafeConstructor()
_FORBIDDEN = yaml.reader.Reader.NON_PRINTABLE  # compiled with yaml: to compile it again takes 9 ms
_WORDS_OF_TRUTH = {"yes": True, "no": False, "true": True, "false": False, "on": True, "off": False}


@dataclass
class Document:
    """A parsed file: `value` is None when the text could not be read as one YAML mapping."""

    file: str
    text: str = ""
    value: dict[str, Any] | None = None
    problems: list[Problem] = field(default_factory=list)
    marks: Mark = field(default_factory=lambda: Mark(Position(1, 1)))

    def mark(self, loc: Loc) -> tuple[Mark, bool]:
        """The mark at `loc`, or of the nearest enclosing value that was written down; and whether it is the very one."""
        mark = self.marks
        for part in loc:
            found = mark.items.get(part) if mark.items else None
            if found is None:
                return mark, False
            mark = found
        return mark, True

    def written(self, loc: Loc) -> str:
        """The source text of the scalar at `loc`, as it stands in the file."""
        mark, _ = self.mark(loc)
        return self.text[mark.start : mark.end]

    def locate(self, loc: Loc, *, key: bool = False, offset: int | None = None) -> Position:
        """Line and column of the value (or key) at `loc`; with `offset`, of that character of the text it holds."""
        mark, found = self.mark(loc)
        if key and mark.key is not None:
            return mark.key
        if offset is not None and found:
            value: Any = self.value
            for part in loc:
                value = value[part]
            return position_of_index(self.text, source_index(self.text, mark, value, offset))
        return mark.value

    def problem(
        self, code: str, loc: Loc, message: str, hint: str | None = None, *, key: bool = False, offset: int | None = None,
        type: str | None = None, msg: str = "", severity: str | None = None, position: Position | None = None,
        meant: str | None = None,
    ) -> Problem:  # fmt: skip
        """A problem at `loc` of this document; what is not given comes from the code's entry in the table."""
        known = CODES[code]
        return Problem(
            self.file, position or self.locate(loc, key=key, offset=offset), code, message, hint, loc, type or known.type,
            msg, severity or known.severity, self._platform_loc(loc), meant,
        )  # fmt: skip

    def _platform_loc(self, loc: Loc) -> Loc:
        """Inside a node, the platform's `loc` names the member of the union that the node was taken for."""
        if len(loc) < 3 or loc[0] != "pipeline" or not isinstance(self.value, dict):
            return loc
        nodes = self.value.get("pipeline")
        node = nodes.get(loc[1]) if isinstance(nodes, dict) else None
        tag = "TaskGroupModel" if isinstance(node, dict) and "tasks" in node else "TaskModel"
        return (*loc[:2], tag, *loc[2:])


def read_document(path: Path) -> Document:
    """Read a pipeline file. Problems are collected in the result; only a missing file raises OSError."""
    doc = Document(str(path))
    if path.stat().st_size > MAX_BYTES:
        return _failed(doc, "too-large", f"the file is larger than {MAX_BYTES:,} bytes", "split the pipeline")
    try:
        raw = path.read_bytes()
    except OSError as e:
        return _failed(doc, "unreadable", f"cannot be read: {e.strerror}")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as e:
        before = raw[: e.start]
        column = len(before[before.rfind(b"\n") + 1 :].decode("utf-8", "replace")) + 1
        return _failed(
            doc, "encoding", "the file is not UTF-8", "save it as UTF-8", Position(before.count(b"\n") + 1, column)
        )
    doc = parse_document(text, str(path))
    if path.suffix not in SUFFIXES:
        doc.problems.append(
            doc.problem("extension", (), f"the file ends in '{path.suffix}'", "a pipeline is a .yml, .yaml or .oml file",
                        position=Position(1, 1))
        )  # fmt: skip
    return doc


def parse_document(text: str, file: str = "<text>") -> Document:
    """Parse YAML 1.1 text into a `Document`; never raises."""
    doc = Document(file, text)
    if bad := _FORBIDDEN.search(text):
        number = ord(bad[0])
        escape = f"\\x{number:02x}" if number < 256 else f"\\u{number:04x}"
        advice = f'delete it, or write it as an escape inside double quotes: "{escape}"'
        return _failed(doc, "encoding", f"the character U+{number:04X} is not allowed in YAML", advice,
                       position_of_index(text, bad.start()))  # fmt: skip
    if bad := UNSEEN_BREAK.search(text):
        message = f"the character U+{ord(bad[0]):04X} ends a line for YAML, and for hardly any editor"
        where = position_of_index(text, bad.start())
        doc.problems.append(doc.problem("yaml-surprise", (), message, "delete it", position=where))
    try:
        doc.value = _Builder(doc).build()
    except yaml.YAMLError as e:
        message = getattr(e, "problem", None) or getattr(e, "reason", None) or str(e)
        context = getattr(e, "context", None) or ""
        mark = getattr(e, "problem_mark", None) or getattr(e, "context_mark", None)
        if "quoted scalar" in context and "end of stream" in message:
            mark, message = getattr(e, "context_mark", mark), "this quoted text is never closed"
        elif context:
            message = f"{message} ({context})"
        at = finder(text)
        position = at(mark) if mark else Position(1, 1)
        opened = getattr(e, "context_mark", None)
        hint = _yaml_hint(text, position, message, at(opened).line if opened else position.line)
        return _failed(doc, "yaml-syntax", f"YAML: {message}", hint, position)
    except _TooLarge as e:
        return _failed(doc, "too-large", str(e), None, e.position)
    return doc


def _failed(
    doc: Document, code: str, message: str, hint: str | None = None, position: Position = Position(1, 1)
) -> Document:
    doc.problems.append(doc.problem(code, (), message, hint, position=position))
    return doc


def _yaml_hint(text: str, position: Position, message: str, opened: int) -> str | None:
    """What to do about an error of the parser; `opened` is the line where what it was reading begins."""
    if "flow sequence" in message or "flow mapping" in message:
        bracket = "[" if "sequence" in message else "{"
        return f"is the '{bracket}' of line {opened} closed, and what is in it separated by commas?"
    lines = text.split("\n")
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
    if "block scalar" in message:
        return "a text that begins with > or | must be quoted: '> 0'"
    if "${{" in line and line.count("'") > 2:
        return "inside single quotes, write a single quote twice, or put the whole text into double quotes"
    if "block end" in message or "block mapping" in message:
        return "check the indentation: this line does not align with the ones above it"
    if "never closed" in message:
        return "end it with the same quote"
    return None


class _TooLarge(Exception):
    def __init__(self, message: str, position: Position):
        super().__init__(message)
        self.position = position


@dataclass(slots=True)
class _Container:
    value: dict[str, Any] | list[Any]
    mark: Mark
    anchor: str | None
    key: str | None = None
    key_position: Position | None = None
    expects_key: bool = False
    in_key: bool = False
    flow: bool = False
    size: int = 1
    merge: bool = False
    merged: list[tuple[Any, Mark]] = field(default_factory=list)


class _Builder:
    """Builds values from parser events with an explicit stack, so that depth costs no Python recursion."""

    def __init__(self, doc: Document):
        self.doc = doc
        self.stack: list[_Container] = []
        self.anchors: dict[str, tuple[Any, Mark, int]] = {}
        self.nodes = 0
        self.root: Any = None
        self.documents = 0
        self.at = finder(doc.text)

    def build(self) -> dict[str, Any] | None:
        for event in yaml.parse(self.doc.text, Loader=_Loader):
            kind = type(event)
            if kind is yaml.ScalarEvent:
                self._scalar(event)
            elif kind is yaml.MappingStartEvent or kind is yaml.SequenceStartEvent:
                self._open(event, kind is yaml.MappingStartEvent)
            elif kind is yaml.MappingEndEvent or kind is yaml.SequenceEndEvent:
                self._close()
            elif kind is yaml.AliasEvent:
                self._alias(event)
            elif kind is yaml.DocumentStartEvent:
                self.documents += 1
                if self.documents > 1:
                    self._report("several-documents", event, "only one YAML document per file", "remove the '---' line")
                    break
        if not isinstance(self.root, dict):
            if not self.doc.problems:
                what = {"NoneType": "empty", "list": "a list", "str": "text"}.get(type(self.root).__name__, "a number")
                _failed(self.doc, "not-a-mapping", f"a pipeline is a YAML mapping; this file is {what}",
                        "start with 'version: v1'", self.doc.marks.value)  # fmt: skip
            return None
        # What stands for an unknown alias is a guess, and further problems would only follow from it.
        return None if any(problem.code == "yaml-syntax" for problem in self.doc.problems) else self.root

    def _report(
        self, code: str, event: Any, message: str, hint: str | None = None, key: str | int | None = None
    ) -> None:
        if len(self.doc.problems) >= MAX_PROBLEMS:
            raise _TooLarge(f"there are more than {MAX_PROBLEMS} problems", self.at(event.start_mark))
        loc = tuple(_child_key(container) for container in self.stack[:-1])
        if self.stack:
            loc = (*loc, key if key is not None else _child_key(self.stack[-1]))
        self.doc.problems.append(self.doc.problem(code, loc, message, hint, position=self.at(event.start_mark)))

    def _count(self, nodes: int, event: Any) -> None:
        self.nodes += nodes
        if self.nodes > MAX_NODES:
            message = f"the document has more than {MAX_NODES:,} values, counting each alias as what it stands for"
            raise _TooLarge(message, self.at(event.start_mark))

    def _scalar(self, event: Any) -> None:
        top = self.stack[-1] if self.stack else None
        if top is not None and top.expects_key:
            self._key(top, event)
            return
        self._count(1, event)
        self._check_tag(event, _SCALAR_TAGS)
        if top is not None and top.flow and not event.style and "?" in event.value:
            message = "other readers of YAML stop at the ? of an unquoted text inside [] or {}"
            self._report("yaml-surprise", event, message, f"quote it: '{event.value}'")
        start, end = event.start_mark, event.end_mark
        mark = Mark(self.at(start), None, start.index, end.index, event.style)
        text = event.value
        plain = event.style is None or event.style == ""
        typed = event.tag or (plain and text[:1] in _IMPLICIT and len(text) < _LONGEST_NUMBER)
        value = self._plain(event) if typed else text
        if event.anchor:
            self.anchors[event.anchor] = (value, mark, 1)
        self._place(value, mark, 1)

    def _check_tag(self, event: Any, known: tuple[str, ...]) -> None:
        """Safe loaders refuse a tag that is not one of YAML's own; what it stands for is never looked for."""
        if event.tag and event.tag != "!" and event.tag.removeprefix(_YAML_TAG) not in known:
            tag = event.tag.replace(_YAML_TAG, "!!")
            message = f"YAML: the tag '{tag[:60]}' is not one that a pipeline can have"
            self._report("yaml-syntax", event, message, "remove it")

    def _plain(self, event: Any) -> Any:
        """The YAML 1.1 value, except that dates and other exotic tags stay the text that was written."""
        text = event.value
        tag: str = event.tag or _RESOLVER.resolve(yaml.ScalarNode, text, event.implicit)  # type: ignore[no-untyped-call]
        kind = tag.rsplit(":", 1)[-1]
        try:
            if kind == "null":
                return None
            if kind == "bool":
                return _WORDS_OF_TRUTH[text.lower()]
            if kind in ("int", "float"):
                node = yaml.ScalarNode(tag, text)
                construct = _CONSTRUCTOR.construct_yaml_int if kind == "int" else _CONSTRUCTOR.construct_yaml_float
                value = construct(node)
                if ":" in text or (len(text) > 1 and text[0] == "0" and text.isdigit()):
                    self._report("yaml-surprise", event, f"YAML reads {text} as {value}", f"quote it: '{text}'")
                return value
        except (ValueError, LookupError, OverflowError):
            if event.tag:
                self._report("yaml-syntax", event, f"YAML: '{text[:40]}' is not what its tag says: !!{kind}")
            return text
        if kind == "timestamp":
            self._report("yaml-surprise", event, f"YAML reads {text} as a date, not as text", f"quote it: '{text}'")
        return text

    def _key(self, top: _Container, event: Any) -> None:
        top.expects_key = False
        # `on:` and `no:` are booleans in YAML 1.1; as a key the author always means the word.
        key: str = event.value
        top.merge = key == "<<" and not event.style
        if not top.merge and key in top.value and not any(key in merged for merged, _ in top.merged):
            message = f"Duplicate key found in YAML: '{key}'"
            self._report("duplicate-key", event, message, "the first one is used", key)
            top.key = None  # the value that follows is dropped, as the platform's own client does
            return
        if not event.style and key.lower() in _WORDS_OF_TRUTH:
            value = str(_WORDS_OF_TRUTH[key.lower()]).lower()
            self._report("yaml-surprise", event, f"YAML reads the key {key} as {value}", f"quote it: '{key}'", key)
        top.key, top.key_position = key, self.at(event.start_mark)

    def _open(self, event: Any, mapping: bool) -> None:
        top = self.stack[-1] if self.stack else None
        if top is not None and top.expects_key:
            jinja = self.doc.text.startswith("{{", event.start_mark.index - 1)
            hint = "an expression stands in quotes: '${{ ... }}'" if jinja else None
            self._report("key-type", event, "a mapping key must be text", hint)
            top.in_key = True
        if len(self.stack) >= MAX_DEPTH:
            raise _TooLarge(f"the document is nested deeper than {MAX_DEPTH} levels", self.at(event.start_mark))
        self._count(1, event)
        self._check_tag(event, ("map",) if mapping else ("seq",))
        mark = Mark(self.at(event.start_mark), items={})
        container = _Container({} if mapping else [], mark, event.anchor, expects_key=mapping, flow=event.flow_style)
        self.stack.append(container)

    def _close(self) -> None:
        done = self.stack.pop()
        for value, mark in done.merged:
            for key, item in value.items():
                if key not in done.value:
                    done.value[key] = item
                    if mark.items and done.mark.items is not None and key in mark.items:
                        done.mark.items[key] = mark.items[key]
        if done.anchor:
            self.anchors[done.anchor] = (done.value, done.mark, done.size)
        self._place(done.value, done.mark, done.size)

    def _alias(self, event: Any) -> None:
        top = self.stack[-1] if self.stack else None
        if top is not None and top.expects_key:
            self._report("key-type", event, "a mapping key must be text, not an alias")
            top.expects_key, top.key = False, None
            return
        if event.anchor not in self.anchors:
            hint = "an anchor must be complete before its alias"
            self._report("yaml-syntax", event, f"unknown alias '*{event.anchor}'", hint)
            self._place(None, Mark(self.at(event.start_mark)), 1)
            return
        value, mark, size = self.anchors[event.anchor]
        self._count(size, event)
        self._place(value, mark.alias(self.at(event.start_mark)), size)

    def _place(self, value: Any, mark: Mark, size: int) -> None:
        if not self.stack:
            self.root, self.doc.marks = value, mark
            return
        top = self.stack[-1]
        top.size += size
        items = top.mark.items
        assert items is not None
        if top.in_key:  # a list or mapping as a key: the value that follows is dropped with it
            top.in_key, top.expects_key, top.key = False, False, None
            return
        if isinstance(top.value, list):
            items[len(top.value)] = mark
            top.value.append(value)
            return
        if top.merge:
            sources = [(value, mark)]
            if isinstance(value, list):
                sources = [(item, (mark.items or {}).get(n, mark)) for n, item in enumerate(value)]
            top.merged += (source for source in sources if isinstance(source[0], dict))
            for source, at in sources:
                if not isinstance(source, dict):
                    message = "YAML: only a mapping, or a list of mappings, can be merged with '<<'"
                    self.doc.problems.append(self.doc.problem("yaml-syntax", (), message, position=at.value))
        elif top.key is not None:
            mark.key = top.key_position
            top.value[top.key] = value
            items[top.key] = mark
        top.key, top.expects_key, top.merge = None, True, False


def _child_key(container: _Container) -> str | int:
    if isinstance(container.value, list):
        return len(container.value)
    return container.key if container.key is not None else "?"

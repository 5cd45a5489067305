"""`${{ }}`: text to a syntax tree. A lexer and a Pratt parser; nothing here is evaluated (see `evaluation`).

The grammar is section 5.8 of the language reference. Offsets count characters from the start of the text that was parsed,
so that a caller who knows where the text stands in a file can point at the exact character.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from rehearse.errors import ExpressionError

MAX_TOKENS = 500
FUNCTIONS = ("format_date", "add_days", "len", "int", "str")
ROOTS = ("orchestra", "tasks", "task_groups", "inputs", "outputs", "env", "secrets", "matrix")
_CONSTANTS = {"True": True, "true": True, "False": False, "false": False, "None": None, "null": None}
_COMPARISONS = ("==", "!=", ">=", "<=", ">", "<", "in", "is", "not")

_TOKEN = re.compile(
    r"""(?P<blank>\s+)
      | (?P<string>'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*")
      | (?P<number>\d+(?:\.\d+)?)
      | (?P<name>[A-Za-z_][A-Za-z0-9_]*)
      | (?P<op>==|!=|>=|<=|[><\[\](),.\-])""",
    re.VERBOSE | re.DOTALL,
)
_UNSUPPORTED = {
    "&": "write 'and'", "|": "write 'or'; filters are not part of the language", "!": "write 'not'", "=": "compare with '=='",
    "+": "arithmetic is not supported", "*": "arithmetic is not supported", "/": "arithmetic is not supported",
    "%": "arithmetic is not supported", "{": "dict literals are not supported",
}  # fmt: skip


class Token(NamedTuple):
    kind: str
    text: str
    offset: int


@dataclass(frozen=True)
class Node:
    offset: int


@dataclass(frozen=True)
class Literal(Node):
    value: Any


@dataclass(frozen=True)
class Name(Node):
    name: str


@dataclass(frozen=True)
class ListNode(Node):
    items: tuple[Node, ...]


@dataclass(frozen=True)
class Attribute(Node):
    target: Node
    name: str


@dataclass(frozen=True)
class Subscript(Node):
    target: Node
    key: Node


@dataclass(frozen=True)
class Quantifier(Node):
    """`.all()` or `.any()` over a task group."""

    target: Node
    mode: str


@dataclass(frozen=True)
class Call(Node):
    function: str
    arguments: tuple[Node, ...]


@dataclass(frozen=True)
class Unary(Node):
    operator: str
    operand: Node


@dataclass(frozen=True)
class Binary(Node):
    operator: str
    left: Node
    right: Node


def tokenize(text: str) -> list[Token]:
    tokens: list[Token] = []
    position = 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            char = text[position]
            if char in "'\"":
                raise ExpressionError("a quote is opened and never closed", position)
            raise ExpressionError(f"unexpected character '{char}'", position, _UNSUPPORTED.get(char))
        if match.lastgroup != "blank":
            tokens.append(Token(match.lastgroup or "", match.group(), position))
        position = match.end()
    if len(tokens) > MAX_TOKENS:
        raise ExpressionError(f"the expression has more than {MAX_TOKENS} words and signs", tokens[MAX_TOKENS].offset)
    tokens.append(Token("end", "", len(text)))
    return tokens


class _Parser:
    def __init__(self, text: str):
        self.tokens = tokenize(text)
        self.index = 0
        self.depth = 0

    @property
    def next(self) -> Token:
        return self.tokens[self.index]

    def take(self) -> Token:
        token = self.tokens[self.index]
        self.index += 1
        return token

    def accept(self, *texts: str) -> Token | None:
        token = self.next
        return self.take() if token.text in texts and token.kind in ("op", "name") else None

    def expect(self, text: str) -> Token:
        token = self.accept(text)
        if token is None:
            raise self.unexpected(f"expected '{text}'")
        return token

    def unexpected(self, wanted: str) -> ExpressionError:
        found = f"'{self.next.text}'" if self.next.kind != "end" else "the end of the expression"
        return ExpressionError(f"{wanted}, found {found}", self.next.offset)

    def parse(self) -> Node:
        if self.next.kind == "end":
            raise ExpressionError("the expression is empty", 0)
        node = self.expression()
        if self.next.kind != "end":
            raise self.unexpected("expected an operator or the end")
        return node

    def expression(self) -> Node:
        self.depth += 1
        if self.depth > 50:
            raise ExpressionError("the expression is nested too deeply", self.next.offset)
        node = self.conjunction()
        while token := self.accept("or"):
            node = Binary(token.offset, "or", node, self.conjunction())
        self.depth -= 1
        return node

    def conjunction(self) -> Node:
        node = self.negation()
        while token := self.accept("and"):
            node = Binary(token.offset, "and", node, self.negation())
        return node

    def negation(self) -> Node:
        tokens: list[Token] = []
        while token := self.accept("not"):
            tokens.append(token)
        node = self.comparison()
        for token in reversed(tokens):
            node = Unary(token.offset, "not", node)
        return node

    def comparison(self) -> Node:
        left = self.operand()
        token = self.accept(*_COMPARISONS)
        if token is None:
            return left
        operator = token.text
        if operator == "not":
            self.expect("in")
            operator = "not in"
        elif operator == "is" and self.accept("not"):
            operator = "is not"
        right = self.operand()
        if self.next.text in _COMPARISONS and self.next.kind != "string":
            raise ExpressionError("comparisons cannot be chained", self.next.offset, "join them with 'and'")
        return Binary(token.offset, operator, left, right)

    def operand(self) -> Node:
        if token := self.accept("-"):
            return Unary(token.offset, "-", self.postfix())
        return self.postfix()

    def postfix(self) -> Node:
        node = self.primary()
        while True:
            if token := self.accept("."):
                if self.next.kind != "name":
                    raise self.unexpected("expected a name after '.'")
                name = self.take()
                if self.accept("("):
                    self.expect(")")
                    if name.text.lower() not in ("all", "any"):
                        raise ExpressionError(
                            f"'.{name.text}()' is not supported", name.offset, "only .all() and .any() are"
                        )
                    node = Quantifier(token.offset, node, name.text.lower())
                else:
                    node = Attribute(name.offset, node, name.text)
            elif token := self.accept("["):
                node = Subscript(token.offset, node, self.expression())
                self.expect("]")
            else:
                return node

    def primary(self) -> Node:
        token = self.take()
        if token.kind == "string":
            return Literal(token.offset, ast.literal_eval(_one_line(token.text)))
        if token.kind == "number":
            return Literal(token.offset, float(token.text) if "." in token.text else int(token.text))
        if token.text == "(":
            node = self.expression()
            self.expect(")")
            return node
        if token.text == "[":
            return ListNode(token.offset, tuple(self.sequence("]")))
        if token.kind == "name":
            if token.text in _CONSTANTS:
                return Literal(token.offset, _CONSTANTS[token.text])
            if self.next.text == "(" and self.next.kind == "op":
                if token.text.lower() not in FUNCTIONS:
                    hint = f"functions are {', '.join(FUNCTIONS)}"
                    raise ExpressionError(f"unknown function '{token.text}'", token.offset, hint)
                self.take()
                return Call(token.offset, token.text.lower(), tuple(self.sequence(")")))
            if token.text.lower() in ROOTS:
                return Name(token.offset, token.text.lower())
            if token.text not in ("and", "or", "not", "in", "is"):
                raise ExpressionError(f"unknown name '{token.text}'", token.offset, f"names are {', '.join(ROOTS)}")
        self.index -= 1
        raise self.unexpected("expected a value")

    def sequence(self, closing: str) -> Iterator[Node]:
        while not self.accept(closing):
            yield self.expression()
            if not self.accept(","):
                self.expect(closing)
                return


def _one_line(literal: str) -> str:
    """YAML folding may put a raw line break into a string; Python's literal syntax needs it escaped."""
    return literal.replace("\r", "\\r").replace("\n", "\\n")


def parse(text: str) -> Node:
    """Parse one expression, without its delimiters. Raises ExpressionError with the offset of the first mistake."""
    try:
        return _Parser(text).parse()
    except (SyntaxError, ValueError) as e:  # a malformed escape inside a string literal
        raise ExpressionError(f"malformed string literal: {e}", 0) from e


@dataclass(frozen=True)
class Template:
    """Text with expressions: `parts` alternates str and (offset, Node). `whole` when it is exactly one expression."""

    parts: tuple[str | tuple[int, Node], ...]

    @property
    def whole(self) -> Node | None:
        texts = [p for p in self.parts if isinstance(p, str)]
        nodes = [p for p in self.parts if not isinstance(p, str)]
        return nodes[0][1] if len(nodes) == 1 and not "".join(texts).strip() else None

    @property
    def nodes(self) -> list[tuple[int, Node]]:
        return [p for p in self.parts if not isinstance(p, str)]


def parse_template(text: str) -> Template:
    """Split text at `${{ ... }}`. The end is found by tokens, so a `}}` inside a string literal does not count."""
    parts: list[str | tuple[int, Node]] = []
    position = 0
    while (start := text.find("${{", position)) >= 0:
        if start > position:
            parts.append(text[position:start])
        end = _closing(text, start + 3)
        try:
            parts.append((start + 3, parse(text[start + 3 : end])))
        except ExpressionError as e:
            raise ExpressionError(str(e), e.offset + start + 3, e.hint) from e
        position = end + 2
    if position < len(text):
        parts.append(text[position:])
    return Template(tuple(parts))


def _closing(text: str, start: int) -> int:
    quote = ""
    index = start
    while index < len(text):
        char = text[index]
        if quote:
            if char == "\\":
                index += 1
            elif char == quote:
                quote = ""
        elif char in "'\"":
            quote = char
        elif text.startswith("}}", index):
            return index
        index += 1
    raise ExpressionError("'${{' is never closed by '}}'", start - 3)


def parse_condition(text: str) -> Template:
    """A condition is one expression, with or without its delimiters; text around them is an error."""
    if "${{" not in text:
        return Template(((0, parse(text)),))
    template = parse_template(text)
    if template.whole is None:
        raise ExpressionError("a condition is one expression; there is text outside '${{ }}'", 0)
    return template


def walk(node: Node) -> Iterator[Node]:
    """Every node below `node`, itself included."""
    waiting = [node]
    while waiting:
        current = waiting.pop()
        yield current
        for value in vars(current).values():
            waiting += [child for child in (value if isinstance(value, tuple) else (value,)) if isinstance(child, Node)]

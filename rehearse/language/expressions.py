"""`${{ }}`: text to a syntax tree, by a lexer and a Pratt parser. Nothing is evaluated here (see `evaluation`).

The grammar is section 5.8 of the language reference. Offsets count characters from the start of the text that was parsed.
"""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import islice

from rehearse.errors import ExpressionError
from rehearse.language.syntax import (
    AND,
    COMPARE,
    INFIX,
    MINUS,
    PREFIX,
    Attribute,
    Binary,
    Call,
    ListNode,
    Literal,
    Name,
    Node,
    Quantifier,
    Subscript,
    Unary,
)
from rehearse.language.words import did_you_mean

MAX_TOKENS = 2000  # more than a hundred comparisons of statuses
MAX_DEPTH = 100  # of the tree, so that recursion over it stays far from Python's limit
FUNCTIONS = {
    "format_date": ("format_date(date, format[, zone])", 2, 3),
    "add_days": ("add_days(date, days)", 2, 2),
    "len": ("len(x)", 1, 1),
    "int": ("int(x)", 1, 1),
    "str": ("str(x)", 1, 1),
}
"""Name -> signature, and how many arguments at least and at most."""
ROOTS = ("orchestra", "tasks", "task_groups", "inputs", "outputs", "env", "secrets", "matrix")
_CONSTANTS = {"True": True, "true": True, "False": False, "false": False, "None": None, "null": None}

STRING = r"""'[^'\\]*(?:\\.[^'\\]*)*'|"[^"\\]*(?:\\.[^"\\]*)*\""""
_TOKEN = re.compile(  # numbers end where they could become infinite, or too long for int() and str()
    r"\s*(?:(?P<name>[A-Za-z_][A-Za-z0-9_]*)|(?P<number>[0-9]{1,300}(?:\.[0-9]{1,300})?)|(?P<op>[=!><]=|[><\[\](),.\-])"
    rf"|(?P<string>{STRING})|(?P<end>\Z)|(?P<bad>=[><]|.).*)",
    re.DOTALL,
)
_ESCAPE = re.compile(
    r"""\\(?:[\\'"abfnrtv\n]|[0-3]?[0-7]{1,2}|x[\da-fA-F]{,2}|u[\da-fA-F]{,4}|U[\da-fA-F]{,8}|N(?:\{[^}]*\})?)"""
)

_SPELLING = {word.lower(): word for word in ("and", "or", "not", "in", "is", "True", "False", "None")}
_HINTS = {
    "&": "write 'and'", "|": "write 'or'; filters are not part of the language", "!": "write 'not'",
    "=": "compare with '=='", "{": "there are no dict literals, and expressions stand in '${{ }}'", ":": "there are no slices",
    "?": "there is no ternary: use 'and' and 'or', or two nodes with conditions", "not": "put 'not ...' into parentheses",
    "$": "'${{ }}' stands around the whole expression, once", "\\": "write the quote without a backslash",
    ",": "a list stands in brackets: ['a', 'b']", "=>": "write '>='", "=<": "write '<='", "now": "write ORCHESTRA.CURRENT_TIME",
    "today": "write format_date(ORCHESTRA.CURRENT_TIME, '%Y-%m-%d')",
    **dict.fromkeys(("failure", "success", "always"), "ask for a status: tasks['...'].status == 'FAILED'"),
    "f": "there are no f-strings", "for": "there are no comprehensions", "lambda": "there are no lambdas",
}  # fmt: skip
_HINTS |= dict.fromkeys("'\"", "the quote is never closed") | dict.fromkeys("“”„‘’‚`", "write straight quotes: ' or \"")
_HINTS |= dict.fromkeys("+-*/%", "arithmetic is not supported") | dict.fromkeys(("if", "else"), _HINTS["?"])


class _Parser:
    """Tokens are (kind, text, offset). A character that starts none becomes one of kind "bad": nothing gets past it."""

    def __init__(self, text: str):
        matches = islice(_TOKEN.finditer(text), MAX_TOKENS + 1)
        tokens = [(kind, match[kind], match.start(kind)) for match in matches if (kind := match.lastgroup)]
        if len(tokens) > MAX_TOKENS:
            raise ExpressionError(f"the expression has more than {MAX_TOKENS} words and signs", tokens[MAX_TOKENS][2])
        self.tokens = iter(tokens)
        self.depth = self.height = 0
        self.advance()

    def advance(self) -> None:
        self.kind, self.text, self.offset = next(self.tokens)

    def unexpected(self, wanted: str) -> ExpressionError:
        found = "the end of the expression" if self.kind == "end" else f"'{self.text}'"
        return ExpressionError(f"{wanted}, found {found}", self.offset, _hint(self.text))

    def expect(self, text: str) -> None:
        if self.text != text:
            raise self.unexpected(f"expected '{text}'")
        self.advance()

    def expression(self, power: int = 0) -> Node:
        """As much as binds more tightly than `power`. Afterwards `height` covers it, and what stands beside it."""
        self.depth += 1
        beside, self.height = self.height, 0
        self.limit(self.depth)
        node = self.value(power)
        while INFIX.get(self.text, 0) > power:
            self.height += 1  # chains make a tree deep as well: a.b.c, a or b or c
            node = self.infix(node)
        self.depth -= 1
        self.height = max(beside, self.height + 1)
        self.limit(self.height)
        return node

    def limit(self, depth: int) -> None:
        if depth > MAX_DEPTH:
            raise ExpressionError(f"the expression is nested or chained more than {MAX_DEPTH} deep", self.offset)

    def value(self, power: int) -> Node:
        kind, text, offset = self.kind, self.text, self.offset
        if kind == "string":
            self.advance()
            return Literal(offset, _string(text, offset))
        if kind == "number":
            self.advance()
            return Literal(offset, float(text) if "." in text else int(text))
        if PREFIX.get(text, 0) > power:
            self.advance()
            return Unary(offset, text, self.expression(AND if text == "not" else MINUS))
        if text == "(":
            self.advance()
            node = self.expression()
            self.expect(")")
            return node
        if text == "[":
            return ListNode(offset, self.sequence("]"))
        if kind == "name" and text not in INFIX:
            return self.named(text, offset)
        raise self.unexpected("expected a value")

    def named(self, name: str, offset: int) -> Node:
        self.advance()
        lower = name.lower()
        if name in _CONSTANTS:
            return Literal(offset, _CONSTANTS[name])
        if self.text == "(":
            if lower not in FUNCTIONS:
                hint = f"write {name}.NAME" if lower in ROOTS else _hint(name) or did_you_mean(name, FUNCTIONS)
                raise ExpressionError(
                    f"unknown function '{name}'", offset, hint or f"functions are {', '.join(FUNCTIONS)}"
                )
            return self.call(lower, offset)
        if lower not in ROOTS:
            hint = _hint(name) or did_you_mean(name, ROOTS) or f"names are {', '.join(ROOTS)}"
            raise ExpressionError(f"unknown name '{name}'", offset, hint)
        return Name(offset, lower)

    def call(self, function: str, offset: int) -> Call:
        arguments = self.sequence(")")
        signature, least, most = FUNCTIONS[function]
        if not least <= len(arguments) <= most:
            wanted = (
                f"{least} or {most} arguments" if least != most else "1 argument" if most == 1 else f"{most} arguments"
            )
            raise ExpressionError(f"{function}() takes {wanted}, not {len(arguments)}", offset, signature)
        return Call(offset, function, arguments)

    def sequence(self, closing: str) -> tuple[Node, ...]:
        """From the opening bracket to the closing one. Only a list may have a comma after its last item."""
        self.advance()
        items: list[Node] = []
        while self.text != closing or (items and closing == ")"):
            items.append(self.expression())
            if self.text != ",":
                break
            self.advance()
        self.expect(closing)
        return tuple(items)

    def infix(self, left: Node) -> Node:
        operator, offset = self.text, self.offset
        power = INFIX[operator]
        self.advance()
        if operator == ".":
            return self.member(left)
        if operator == "[":
            key = self.expression()
            self.expect("]")
            return Subscript(offset, left, key)
        if operator == "not":
            self.expect("in")
            operator = "not in"
        elif operator == "is" and self.text == "not":
            self.advance()
            operator = "is not"
        right = self.expression(power)
        if power == COMPARE == INFIX.get(self.text):
            raise ExpressionError("comparisons cannot be chained", self.offset, "join them with 'and'")
        return Binary(offset, operator, left, right)

    def member(self, target: Node) -> Node:
        name, offset = self.text, self.offset
        if self.kind != "name":
            raise self.unexpected("expected a name after '.'")
        self.advance()
        if self.text != "(":
            return Attribute(offset, target, name)
        if name.lower() not in ("all", "any"):
            raise ExpressionError(f"'.{name}()' is not supported", offset, "only .all() and .any() are")
        if not isinstance(target, Subscript) or target.target != Name(0, "task_groups"):
            raise ExpressionError(f"'.{name}()' follows task_groups['...'] only", offset)
        self.advance()
        self.expect(")")
        return Quantifier(offset, target, name.lower())


@lru_cache(maxsize=2048)  # the same few expressions stand all over a pipeline, and nodes do not change
def parse(text: str) -> Node:
    """Parse one expression, without its delimiters. Raises ExpressionError with the offset of the first mistake."""
    if not text.strip():
        raise ExpressionError("the expression is empty")
    parser = _Parser(text)
    node = parser.expression()
    if parser.kind != "end":
        raise parser.unexpected("expected an operator or the end")
    return node


def _hint(word: str) -> str | None:
    right = _SPELLING.get(word.lower(), word)
    return f"write '{right}'" if right != word else _HINTS.get(word.lower())


def _string(text: str, offset: int) -> str:
    """Without its quotes, and with backslash escapes as in Python, where an unknown one stays as it is."""
    if "\\" not in text:
        return text[1:-1]
    try:
        return _ESCAPE.sub(lambda escape: escape[0].encode().decode("unicode_escape"), text[1:-1])
    except UnicodeDecodeError as e:
        raise ExpressionError(f"malformed escape in a string: {e.reason}", offset) from e

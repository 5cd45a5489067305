"""The syntax tree of expressions: its nodes, a walk over them, and their text. `expressions` makes trees of text.

Offsets count characters from the start of the text that was parsed; they do not count when trees are compared.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

OR, AND, NOT, COMPARE, MINUS, POSTFIX, ATOM = range(1, 8)  # binding powers, the loosest first
COMPARISONS = ("==", "!=", ">=", "<=", ">", "<", "in", "not", "is")  # "not in" and "is not" by their first word
INFIX = {"or": OR, "and": AND, ".": POSTFIX, "[": POSTFIX} | dict.fromkeys(COMPARISONS, COMPARE)
PREFIX = {"not": NOT, "-": MINUS}


@dataclass(frozen=True, slots=True)
class Node:
    offset: int = field(compare=False)


@dataclass(frozen=True, slots=True)
class Literal(Node):
    value: Any


@dataclass(frozen=True, slots=True)
class Name(Node):
    name: str


@dataclass(frozen=True, slots=True)
class ListNode(Node):
    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Attribute(Node):
    target: Node
    name: str


@dataclass(frozen=True, slots=True)
class Subscript(Node):
    target: Node
    key: Node


@dataclass(frozen=True, slots=True)
class Quantifier(Node):
    target: Node
    mode: str


@dataclass(frozen=True, slots=True)
class Call(Node):
    function: str
    arguments: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Unary(Node):
    operator: str
    operand: Node


@dataclass(frozen=True, slots=True)
class Binary(Node):
    operator: str
    left: Node
    right: Node


def walk(node: Node) -> Iterator[Node]:
    """Every node below `node`, itself included: parents before their children, and those in the order of the text."""
    waiting = [node]
    while waiting:
        current = waiting.pop()
        yield current
        waiting += reversed(_BELOW[type(current)](current))


_BELOW: dict[type[Node], Callable[[Any], tuple[Node, ...]]] = {
    Literal: lambda node: (),
    Name: lambda node: (),
    ListNode: lambda node: node.items,
    Call: lambda node: node.arguments,
    Attribute: lambda node: (node.target,),
    Subscript: lambda node: (node.target, node.key),
    Quantifier: lambda node: (node.target,),
    Unary: lambda node: (node.operand,),
    Binary: lambda node: (node.left, node.right),
}


def unparse(node: Node, least: int = 0) -> str:
    """The text of a tree, in parentheses if it binds less tightly than `least`. `parse` gives the tree back."""
    text = _TEXT[type(node)](node)
    return f"({text})" if _power(node) < least else text


def _power(node: Node) -> int:
    if isinstance(node, Binary):
        return INFIX.get(node.operator, COMPARE)
    return PREFIX[node.operator] if isinstance(node, Unary) else ATOM


def _binary(node: Binary) -> str:
    power = _power(node)
    left = unparse(node.left, power + (power == COMPARE))  # 'and' and 'or' group to the left, comparisons nowhere
    return f"{left} {node.operator} {unparse(node.right, power + 1)}"


def _literal(node: Literal) -> str:
    if not isinstance(node.value, float):
        return repr(node.value)
    text = f"{Decimal(repr(node.value)):f}"  # repr() may write 1e+16, which is not in the grammar
    return text if "." in text else f"{text}.0"


_TEXT: dict[type[Node], Callable[[Any], str]] = {
    Literal: _literal,
    Name: lambda node: str(node.name),
    ListNode: lambda node: f"[{', '.join(map(unparse, node.items))}]",
    Call: lambda node: f"{node.function}({', '.join(map(unparse, node.arguments))})",
    Attribute: lambda node: f"{unparse(node.target, POSTFIX)}.{node.name}",
    Subscript: lambda node: f"{unparse(node.target, POSTFIX)}[{unparse(node.key)}]",
    Quantifier: lambda node: f"{unparse(node.target, POSTFIX)}.{node.mode}()",
    Unary: lambda node: "-" + unparse(node.operand, POSTFIX) if node.operator == "-" else "not " + unparse(node.operand, NOT),
    Binary: _binary,
}  # fmt: skip

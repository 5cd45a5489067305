"""Texts with `${{ }}` in them: split, and filled in (sections 5.2 and 5.3 of the language reference)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from rehearse.errors import ExpressionError
from rehearse.language.evaluation import Scope, evaluate, to_text
from rehearse.language.expressions import STRING, parse
from rehearse.language.syntax import Node

# Text in which a `}}` ends nothing: all but quotes and braces, whole strings, a single brace.
_EXPRESSION = re.compile(rf"\$\{{\{{((?:[^'\"}}]+|{STRING}|\}}(?!\}}))*)(\}}\}})?", re.DOTALL)


@dataclass(frozen=True)
class Template:
    """Text with expressions: `parts` are text, or (offset that the node's offsets count from, node)."""

    parts: tuple[str | tuple[int, Node], ...]

    @property
    def nodes(self) -> list[tuple[int, Node]]:
        return [part for part in self.parts if not isinstance(part, str)]

    @property
    def whole(self) -> Node | None:
        """The node, when there is exactly one expression and only blanks around it (section 5.3)."""
        outside = any(part.strip() for part in self.parts if isinstance(part, str))
        return self.nodes[0][1] if len(self.nodes) == 1 and not outside else None


def parse_template(text: str) -> Template:
    """Split text at `${{ ... }}`. The offset of an ExpressionError counts from the start of the text."""
    parts: list[str | tuple[int, Node]] = []
    position = 0
    for match in _expressions_in(text):
        parts += [text[position : match.start()], (match.start(1), _parse(match))]
        position = match.end()
    return Template(tuple(part for part in (*parts, text[position:]) if part))


def parse_each(text: str) -> Iterator[tuple[int, Node] | ExpressionError]:
    """The expressions of a text one by one: a mistake in one does not hide those in the others."""
    try:
        for match in _expressions_in(text):
            try:
                yield match.start(1), _parse(match)
            except ExpressionError as e:
                yield e
    except ExpressionError as e:
        yield e


def parse_condition(text: str) -> Template:
    """A condition is one expression, with or without its delimiters; text around them is an error (section 5.2)."""
    template = parse_template(text)
    if not template.nodes:
        return Template(((0, parse(text)),))
    if template.whole is None:
        stray = len(text) - len(text.lstrip())
        if text.startswith("${{", stray):
            end = next(_expressions_in(text)).end()
            stray = len(text) - len(text[end:].lstrip())
        raise ExpressionError("a condition is one expression; there is text outside '${{ }}'", stray)
    return template


def _expressions_in(text: str) -> Iterator[re.Match[str]]:
    for match in _EXPRESSION.finditer(text):
        if match[2] is None:
            quote = match.end() < len(text)
            message = "the quote is never closed" if quote else "'${{' is never closed by '}}'"
            raise ExpressionError(message, match.end() if quote else match.start())
        yield match


def _parse(match: re.Match[str]) -> Node:
    try:
        return parse(match[1])
    except ExpressionError as e:
        e.offset += match.start(1)
        raise


def render_template(template: Template, scope: Scope) -> Any:
    """Typed value when the template is exactly one expression, else the text with each value spliced in. One pass."""
    is_whole = template.whole is not None
    texts: list[str] = []
    for part in template.parts:
        if isinstance(part, str):
            texts.append(part)
            continue
        try:
            value = evaluate(part[1], scope)
            if is_whole:
                return value
            texts.append(to_text(value))
        except ExpressionError as e:
            e.offset += part[0]
            raise
    return "".join(texts)


def resolve(value: Any, scope: Scope) -> Any:
    """Evaluate every string inside a parameter value, however deep."""
    if isinstance(value, str):
        return render_template(parse_template(value), scope) if "${{" in value else value
    if isinstance(value, dict):
        return {key: resolve(item, scope) for key, item in value.items()}
    return [resolve(item, scope) for item in value] if isinstance(value, list) else value

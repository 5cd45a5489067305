"""A thousand mistakes in valid pipelines: none is a traceback, and each is reported inside what was changed.

The mistakes are made in the text, at the place of a random key or value, so that we know where they are.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from rehearse.language.document import parse_document
from rehearse.language.positions import Mark
from rehearse.language.problems import Problem
from rehearse.language.validation import check

ROOT = Path(__file__).resolve().parents[2]
SEEDS = [*sorted(ROOT.glob("tests/cases/valid_*/pipeline.yml")), ROOT / "orchestra" / "commerce_daily.yml"]
PER_BATCH, BATCHES = 60, 20
NAMES = ("pipeline", "tasks", "inputs", "sensors", "checks")  # a typo in a key below is missed where the name is used
FREE = ("meta", "operation_metadata", "outputs")  # keys below which anything goes


class Place(NamedTuple):
    """A scalar or key of a file: indices into its text, and the lines of the mapping it is in (with the key of that)."""

    loc: tuple[str | int, ...]
    start: int
    end: int
    first_line: int
    last_line: int


class Mutation(NamedTuple):
    kind: str
    text: str
    first_line: int
    last_line: int


def test_the_seeds_are_valid() -> None:
    assert len(SEEDS) > 20
    for path in SEEDS:
        assert [p for p in check(parse_document(path.read_text()))[1] if p.severity == "error"] == [], path


@pytest.mark.parametrize("batch", range(BATCHES))
def test_a_mistake_is_reported_where_it_was_made(batch: int) -> None:
    chance = random.Random(batch)
    broken = 0
    for _ in range(PER_BATCH):
        path = chance.choice(SEEDS)
        text = path.read_text()
        mutation = mutate(text, chance)
        if mutation is None:
            continue
        errors = [p for p in check(parse_document(mutation.text))[1] if p.severity == "error"]
        if errors:
            broken += 1
            inside = [p for p in errors if mutation.first_line <= p.position.line <= mutation.last_line]
            # A required input without a default is missed where a schedule does not give it.
            assert inside or any(p.code == "input-missing" for p in errors), describe(path, mutation, errors)
    assert broken > PER_BATCH // 3  # the mutator does break things


def mutate(text: str, chance: random.Random) -> Mutation | None:
    doc = parse_document(text)
    values, keys = [], []
    for place, is_key in places(text, doc.marks, (), 1, text.count("\n") + 1):
        (keys if is_key else values).append(place)
    kind = chance.choice(["type", "number", "null", "word", "expression", "broken expression", "typo", "twice", "drop"])
    place = chance.choice(
        values if kind in ("type", "number", "null", "word", "expression", "broken expression") else keys
    )
    if any(part in FREE for part in place.loc):
        return None
    old = text[place.start : place.end]
    line_end = text.find("\n", place.end)
    new = {
        "type": chance.choice(["{a: b}", "[a, {b: c}]"]), "number": chance.choice(["-1", "99999", "1.5"]), "null": "null",
        "word": chance.choice(["'no such thing'", "yes", "2026-13-45"]),
        "expression": chance.choice(["'${{ inputs.nothing }}'", "'${{ matrix.nothing }}'", "'${{ tasks[\"nothing\"].status }}'"]),
        "broken expression": chance.choice(["'${{ '", "'${{ a b }}'", "'${{ 1 + 1 }}'", "'x ${{ env.A'"]),
        "typo": old[:-1] + "_x" + old[-1:], "twice": old, "drop": old,
    }[kind]  # fmt: skip
    if kind == "drop":  # a key and its value, when they are one line of block style
        line_start = text.rfind("\n", 0, place.start) + 1
        if text[line_start : place.start].strip() or text[place.end : line_end].strip() in (":", ": |", ": >-"):
            return None
        return Mutation(kind, text[:line_start] + text[line_end + 1 :], place.first_line, place.last_line)
    if kind == "twice":
        if text[text.rfind("\n", 0, place.start) + 1 : place.start].strip():
            return None
        indent = place.start - text.rfind("\n", 0, place.start) - 1
        changed = text[: place.start] + f"{old}: 1\n{' ' * indent}" + text[place.start :]
        return Mutation(kind, changed, place.first_line, place.last_line + 1)
    if "\n" in old:
        return None  # a block text: its indicator stands before it
    first, last = place.first_line, place.last_line
    if kind == "typo" and place.loc[-2:-1] and place.loc[-2] in NAMES:
        first, last = 1, text.count("\n") + 1
    return Mutation(kind, text[: place.start] + new + text[place.end :], first, last)


def places(text: str, mark: Mark, loc: tuple[str | int, ...], first: int, last: int) -> Iterator[tuple[Place, bool]]:
    """Every key and scalar below a mark, with the lines of the mapping or list that each is in."""
    for name, child in (mark.items or {}).items():
        at = (*loc, name)
        line = child.key.line if child.key else child.value.line
        if not first <= line <= last:
            continue  # merged from an anchor: it is changed where it is written
        if child.key is not None:
            start = index(text, child.key.line, child.key.column)
            yield Place(at, start, start + len(written_key(text, start)), first, last), True
        if child.items is not None:
            yield from places(text, child, at, line, end_line(text, child))
        elif child.end > child.start:
            yield Place(at, child.start, child.end, first, last), False


def end_line(text: str, mark: Mark) -> int:
    own = max(mark.value.line, text.count("\n", 0, mark.end) + 1)
    return max([own, *(end_line(text, child) for child in (mark.items or {}).values())])


def index(text: str, line: int, column: int) -> int:
    return sum(len(each) + 1 for each in text.split("\n")[: line - 1]) + column - 1


def written_key(text: str, start: int) -> str:
    quote = text[start] if text[start] in "'\"" else ""
    end = text.index(quote, start + 1) + 1 if quote else text.index(":", start)
    return text[start:end]


def describe(path: Path, mutation: Mutation, errors: list[Problem]) -> str:
    lines = mutation.text.splitlines()[mutation.first_line - 1 : mutation.last_line]
    found = "\n".join(map(str, errors))
    return (
        f"{path.parent.name}: {mutation.kind} in lines {mutation.first_line}-{mutation.last_line}\n"
        + "\n".join(lines)
        + f"\n{found}"
    )

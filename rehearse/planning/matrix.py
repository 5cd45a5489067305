"""The items of a matrix and the names of its iterations (section 2.3 of the language reference)."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from typing import Any


def matrix_items(value: Any) -> list[Any]:
    """The list that a resolved matrix value stands for; text that holds a JSON list counts. Raises ValueError."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            pass
    if not isinstance(value, list):
        raise ValueError(f"the matrix needs a list, not {value!r:.80}")
    return value


def item_key(item: Any) -> str:
    """The name of a matrix iteration: the item's text, a dict's `id`, else its compact JSON."""
    if isinstance(item, dict):
        return str(item["id"]) if "id" in item else json.dumps(item, separators=(",", ":"), default=str)
    return item if isinstance(item, str) else json.dumps(item, default=str)


def item_keys(items: Iterable[Any]) -> list[str]:
    """One key per item, all different: of items that look the same the second is `a#2`, the third `a#3`."""
    return numbered(map(item_key, items), "#")


def numbered(names: Iterable[str], mark: str) -> list[str]:
    """The same names, made different: behind a repeated one stand the mark and a number."""
    found: list[str] = []
    taken: set[str] = set()
    repeated: Counter[str] = Counter()
    for name in names:
        free = name
        while free in taken:
            repeated[name] += 1
            free = f"{name}{mark}{repeated[name] + 1}"
        taken.add(free)
        found.append(free)
    return found

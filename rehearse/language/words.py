"""Suggestions for words that are almost right."""

from __future__ import annotations

from collections.abc import Iterable

MAX_WORDS, MAX_LENGTH = 1_000, 200  # beyond, looking for a likely word takes longer than anybody waits


def closest(word: str, known: Iterable[str], cutoff: float = 0.6) -> str | None:
    """The known word most like `word`, whatever their case."""
    from difflib import get_close_matches  # only files with mistakes pay for it

    folded = {name.lower(): name for name in known}
    if len(folded) > MAX_WORDS or len(word) > MAX_LENGTH:
        return None
    close = get_close_matches(word.lower(), folded, 1, cutoff)
    return folded[close[0]] if close else None


def did_you_mean(word: str, known: Iterable[str]) -> str | None:
    near = closest(word, known)
    return f"did you mean '{near}'?" if near is not None else None


class Suggestions:
    """`did_you_mean` for one file: after so many comparisons it has no more ideas, since a file may have any number."""

    def __init__(self, comparisons: int = 20_000):
        self._left = comparisons

    def __call__(self, word: str, known: Iterable[str]) -> str | None:
        names = list(known)
        self._left -= len(names)
        return did_you_mean(word, names) if self._left > 0 else None

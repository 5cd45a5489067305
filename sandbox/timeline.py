"""Time and chance of the example company: day numbers, how many things are born on a day, and a repeatable mixer.

Days are counted from 2025-07-01 (day 0). History ends with day 364, 2026-06-30; `change` number n makes day 364 + n.
Instants are whole seconds since the Unix epoch, UTC.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

DAY = 86_400
FIRST_DATE = date(2025, 7, 1)
LAST_HISTORY_DAY = 364
_EPOCH = int(datetime(2025, 7, 1, tzinfo=UTC).timestamp())
_MASK = (1 << 64) - 1
_GAMMA = 0x9E3779B97F4A7C15


def midnight(day: int) -> int:
    """The instant at which day number `day` begins."""
    return _EPOCH + day * DAY


def date_of(day: int) -> date:
    return FIRST_DATE + timedelta(days=day)


def mixer(seed: int, stream: int) -> Callable[[int], int]:
    """A function from an index to 64 well mixed bits (splitmix64), independent for every (seed, stream)."""
    base = (seed * 0xD1342543DE82EF95 + stream * 0xAF251AF3B0F025B5) & _MASK

    def mix(index: int) -> int:
        z = (base + index * _GAMMA) & _MASK
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
        return z ^ (z >> 31)

    mix.__doc__ = f"64 bits for an index of stream {stream}."
    base = mix(stream)  # neighbouring seeds must not give shifted copies of one sequence
    return mix


class Schedule:
    """Which indexes (from 0, without gaps) are born on which day; holds one integer per day, nothing per row."""

    def __init__(self, founding: int, per_day: Callable[[int], int]):
        self._per_day = per_day
        self._starts = [0, founding + per_day(0)]

    def _extend(self) -> None:
        self._starts.append(self._starts[-1] + self._per_day(len(self._starts) - 1))

    def before(self, day: int) -> int:
        """How many were born before `day`; also the index of the first one born on it."""
        while len(self._starts) <= day:
            self._extend()
        return self._starts[day]

    def born_on(self, day: int) -> range:
        return range(self.before(day), self.before(day + 1))

    def until(self, day: int) -> int:
        """How many were born up to the end of `day`."""
        return self.before(day + 1)

    def birthday(self, index: int) -> int:
        while self._starts[-1] <= index:
            self._extend()
        return bisect_right(self._starts, index) - 1

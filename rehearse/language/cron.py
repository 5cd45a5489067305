"""A cron expression is a set of slots on the wall clock, and every slot fires once.

The dialect is that of AWS EventBridge (section 8.1 of the language reference): minute hour day-of-month month
day-of-week year. A slot is a wall-clock minute that fits all six. When the clock changes (Q30, reliability row 21):

- In spring the clock jumps over a slot: it fires at the first instant after the jump. Slots that meet there, with each
  other or with one that stands there anyway, are one firing. AWS drops such a slot; here a daily load is not lost.
- In autumn the clock shows a slot twice: it fires the first time.

So `0/15 * ? * * *` fires 92 times on a day of 23 hours, and 96 times on one of 25, with a pause while the clock repeats
itself. Who needs an even beat schedules in UTC.
"""

from __future__ import annotations

import operator
import re
from bisect import bisect_left, bisect_right
from calendar import monthrange
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta, tzinfo
from functools import lru_cache
from itertools import takewhile
from typing import NamedTuple

from rehearse.errors import CronError

# Slots stand in 1970 to 2199: any moment beyond is as good as these, from which no conversion overflows.
_FIRST, _LAST = datetime(1969, 12, 30, tzinfo=UTC), datetime(2200, 1, 3, tzinfo=UTC)
_ITEM = re.compile(r"(?:\*|([A-Z0-9]+)(?:-([A-Z0-9]+))?)(?:/([0-9]{1,4}))?")


class Days(NamedTuple):
    """Which days of a month fit. `kind` says how to read `numbers`; weekdays are 1 to 7 from Sunday.

    `day`: these days. `W`: the working day nearest to that day, within its month. `L`: the last day. `LW`: the last
    working day. `weekday`: every such weekday. `weekdayL`: the last one. `#`: (weekday, n), the nth one.
    """

    kind: str
    numbers: tuple[int, ...] = ()


@dataclass(frozen=True)
class Cron:
    """An expression that was understood. `times` are minutes of the day, 0 to 1439; all tuples ascend.

    Moments are aware datetimes; a naive one raises TypeError. `zone`, a `ZoneInfo` or a fixed offset, is where the wall
    clock hangs, and answers are in it. Compare them in UTC: a time that the clock shows twice equals none of another
    zone (PEP 495). Slots on the dates of `exclude`, read off that clock, do not fire.
    """

    text: str
    times: tuple[int, ...] = field(repr=False)
    days: Days = field(repr=False)
    months: tuple[int, ...] = field(repr=False)
    years: tuple[int, ...] = field(repr=False)

    def next(self, after: datetime, zone: tzinfo = UTC, exclude: Collection[date] = ()) -> datetime | None:
        """The first firing strictly after `after`, or None when there is none up to the end of 2199."""
        return next((fired.astimezone(zone) for fired in self._firings(after, zone, exclude)), None)

    def previous(self, before: datetime, zone: tzinfo = UTC, exclude: Collection[date] = ()) -> datetime | None:
        """The last firing strictly before `before`, or None when there is none since 1970."""
        return next((fired.astimezone(zone) for fired in self._firings(before, zone, exclude, forwards=False)), None)

    def between(
        self, start: datetime, end: datetime, zone: tzinfo = UTC, exclude: Collection[date] = ()
    ) -> Iterator[datetime]:
        """The firings after `start` up to and including `end`, in order."""
        # In UTC: Python compares two datetimes of one zone by their wall clocks, wrongly in the hour that comes twice.
        last = _utc(end)
        for fired in takewhile(lambda fired: fired <= last, self._firings(start, zone, exclude)):
            yield fired.astimezone(zone)

    def ever(self) -> bool:
        """Whether any date fits at all: none does for `0 0 30 2 ? *`."""
        return next(self._dates(date.min), None) is not None

    def shortest_interval(self, after: datetime, zone: tzinfo = UTC) -> timedelta | None:
        """The shortest time from one firing to the next, over those in the 366 days from the first one after `after`.

        None when fewer than two follow. Exact, without placing the half a million slots that a year may have: a date is
        cut into runs of slots during which the zone keeps its offset, most often a single one. In a run slots are as
        far apart as on the wall clock, so that only its ends need to be placed, to measure the gaps between runs.
        """
        utc, wall = _clock(after, zone)
        whole, shortest, first = _narrowest(self.times), timedelta.max, None
        for day in self._dates(wall.date()):
            for begin, end, run in _runs(day, self._times(day, wall), zone):
                # Else it fired before, in the hour that comes twice, or shares its instant with the one before.
                if end > utc:
                    inside = whole if run is self.times else _narrowest(run)
                    shortest = min(shortest, inside, begin - utc if first and begin > utc else inside)
                    first, utc = first or begin, end
            if first and utc - first > timedelta(days=366):
                break
        return None if shortest == timedelta.max else shortest

    def _firings(
        self, moment: datetime, zone: tzinfo, exclude: Collection[date], forwards: bool = True
    ) -> Iterator[datetime]:
        """Instants in UTC strictly after (or before) `moment`, nearest first."""
        utc, wall = _clock(moment, zone, forwards)
        skipped, beyond = frozenset(exclude), operator.gt if forwards else operator.lt
        for day in self._dates(wall.date(), forwards):
            if day not in skipped:
                for minute in self._times(day, wall, forwards):
                    # Where the clock changes, slots ahead may have fired already, and several share an instant.
                    if beyond(fired := _instant(_slot(day, minute, zone)), utc):
                        yield (utc := fired)

    def _dates(self, start: date, forwards: bool = True) -> Iterator[date]:
        """Dates that fit, from `start` on (or back), nearest first. Whole years and months are passed over."""
        ordered: Callable[[tuple[int, ...]], Iterator[int]] = iter if forwards else reversed
        reached = operator.ge if forwards else operator.le
        for year in ordered(self.years):
            if reached(year, start.year):
                for month in ordered(self.months):
                    if reached((year, month), (start.year, start.month)):
                        for day in ordered(_days_of_month(self.days, *monthrange(year, month))):
                            if reached(found := date(year, month, day), start):
                                yield found

    def _times(self, day: date, wall: datetime, forwards: bool = True) -> tuple[int, ...]:
        """Those of a date, nearest first: when it is the date of `wall`, only what is strictly after (or before)."""
        times = self.times
        if day == wall.date():
            now = (wall - _slot(day, 0, wall.tzinfo)) / timedelta(minutes=1)
            times = times[bisect_right(times, now) :] if forwards else times[: bisect_left(times, now)]
        return times if forwards else times[::-1]


@lru_cache(maxsize=4096)  # per rule at most 28 entries: a month is its first weekday and its length
def _days_of_month(rule: Days, first: int, length: int) -> tuple[int, ...]:
    """The days that fit in a month of `length` days whose first is a Monday (0) to Sunday (6), as in `monthrange`."""
    kind, numbers = rule
    weekdays = {day: (first + day) % 7 + 1 for day in range(1, length + 1)}
    if kind == "day":
        return tuple(day for day in numbers if day <= length)
    if kind == "L":
        return (length,)
    if kind in ("W", "LW"):
        near = length if kind == "LW" else numbers[0]
        working = (day for day, weekday in weekdays.items() if 1 < weekday < 7)
        return (min(working, key=lambda day: abs(day - near)),) if near <= length else ()
    if kind == "#":
        return tuple(day for day, weekday in weekdays.items() if weekday == numbers[0])[numbers[1] - 1 : numbers[1]]
    same = tuple(day for day, weekday in weekdays.items() if weekday in numbers)
    return same[-1:] if kind == "weekdayL" else same


def _narrowest(times: tuple[int, ...]) -> timedelta:
    return min((timedelta(minutes=gap) for gap in set(map(operator.sub, times[1:], times))), default=timedelta.max)


def _utc(moment: datetime) -> datetime:
    return min(max(moment, _FIRST), _LAST).astimezone(UTC)


def _clock(moment: datetime, zone: tzinfo, forwards: bool = True) -> tuple[datetime, datetime]:
    """The moment in UTC, and the reading of the wall clock from which to look for slots."""
    utc = _utc(moment)
    wall = utc.astimezone(zone)
    if wall.fold and not forwards:
        # All slots of the hour that comes twice have fired: look back as if the clock had not been set back.
        unchanged = wall.replace(fold=0)
        wall = unchanged + (utc - unchanged.astimezone(UTC))
    return utc, wall


def _slot(day: date, minute: int, zone: tzinfo | None) -> datetime:
    return datetime(day.year, day.month, day.day, minute // 60, minute % 60, tzinfo=zone)


def _instant(slot: datetime) -> datetime:
    """When a slot fires, in UTC. A later slot never fires earlier, which is what the searches rest on."""
    utc = slot.astimezone(UTC)  # of two times on the clock, fold 0 is the first
    shown = utc.astimezone(slot.tzinfo)
    if shown == slot:  # datetimes of one zone compare, and subtract, by their wall clocks
        return utc
    # In a gap fold 0 reads the offset before the change (PEP 495): `utc` is after it, by less than the gap is long.
    gap, offset = shown - slot, shown.utcoffset()

    def changed(second: int) -> bool:
        return (utc - gap + timedelta(seconds=second)).astimezone(slot.tzinfo).utcoffset() == offset

    return utc - gap + timedelta(seconds=bisect_left(range(int(gap.total_seconds())), True, key=changed))


def _runs(day: date, times: tuple[int, ...], zone: tzinfo) -> Iterator[tuple[datetime, datetime, tuple[int, ...]]]:
    """The slots of a date, cut where the zone's offset changes: (first firing, last firing, times) of each run."""
    if not times:
        return
    begin, end = _slot(day, times[0], zone), _slot(day, times[-1], zone)
    # In a gap fold 0 reads the offset before it and fold 1 the one after: they are equal only when no slot is in one.
    if begin.utcoffset() == end.replace(fold=1).utcoffset():
        yield begin.astimezone(UTC), end.astimezone(UTC), times
    elif (fired := _instant(begin)) == _instant(end):  # one slot, or several that meet after a gap
        yield fired, fired, times[:1]
    else:
        half = len(times) // 2
        yield from _runs(day, times[:half], zone)
        yield from _runs(day, times[half:], zone)


class _Field(NamedTuple):
    """`names` stand for the values from `low` on; `allowed` tells people what may be written."""

    name: str
    low: int
    high: int
    allowed: str
    names: tuple[str, ...] = ()


_WEEKDAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_FIELDS = (
    _Field("minute", 0, 59, "0-59 with , - * /"),
    _Field("hour", 0, 23, "0-23 with , - * /"),
    _Field("day-of-month", 1, 31, "1-31 with , - * / or one of ? L LW 15W"),
    _Field("month", 1, 12, "1-12 or JAN-DEC with , - * /", _MONTHS),
    _Field("day-of-week", 1, 7, "1 (Sunday) to 7 or SUN-SAT with , - * or one of ? L 6L 3#2", _WEEKDAYS),
    _Field("year", 1970, 2199, "1970-2199 with , - * /"),
)


class _Part(NamedTuple):
    """What the text has for a field, and where it stands."""

    field: _Field
    text: str
    offset: int

    def invalid(self, at: int = 0, reason: str = "") -> CronError:
        name, allowed = self.field.name, self.field.allowed
        return CronError(f"Invalid {name} value: '{self.text}'", self.offset + at, f"{reason}{name} takes {allowed}")

    def number(self, word: str, at: int = 0) -> int:
        _, low, high, _, names = self.field
        if word in names:
            return low + names.index(word)
        if not word.isdigit() or len(word) > max(2, len(str(high))) or not low <= int(word) <= high:
            raise self.invalid(at)
        return int(word)

    def values(self) -> tuple[int, ...]:
        """A list of `*`, `a`, `a-b`, and with steps `*/n`, `a-b/n`, and `a/n` from a to the end."""
        found, at = set[int](), 0
        items = self.text.upper().split(",")
        for item in items:
            match = _ITEM.fullmatch(item)
            if match is None or (item == "*" and len(items) > 1) or (match[3] and self.field.names == _WEEKDAYS):
                raise self.invalid(at)
            step = int(match[3] or 1)
            low = self.number(match[1], at) if match[1] else self.field.low
            high = self.number(match[2], at) if match[2] else low if match[1] and not match[3] else self.field.high
            if step == 0:
                raise self.invalid(at, "a step is at least 1; ")
            if low > high:
                raise self.invalid(at, "a range runs upwards, so write two, as in 'FRI-SAT,SUN-MON'; ")
            found.update(range(low, high + 1, step))
            at += len(item) + 1
        return tuple(sorted(found))

    def days_of_month(self) -> Days:
        word = self.text.upper()
        if word in ("L", "LW"):
            return Days(word)
        if word.endswith("W"):
            return Days("W", (self.number(word[:-1]),))
        return Days("day", self.values())

    def days_of_week(self) -> Days:
        word = self.text.upper()
        if word == "L":
            return Days("weekday", (7,))  # the last day of the week
        if match := re.fullmatch(r"([A-Z0-9]+)(?:L|#([1-5]))", word):
            day = self.number(match[1])
            return Days("#", (day, int(match[2]))) if match[2] else Days("weekdayL", (day,))
        return Days("weekday", self.values())


@lru_cache(maxsize=1024)
def parse_cron(text: str) -> Cron:
    """Six fields with blanks between them. For any other text raises CronError and nothing else."""
    words = list(re.finditer(r"[^ \t\r\n]+", text))
    if wrapper := re.match(r"\s*(cron)\s*\(", text, re.IGNORECASE):
        inside = text[wrapper.end() :].strip().removesuffix(")")
        raise CronError("The cron is wrapped in 'cron(...)'", wrapper.start(1), f"write what is inside: '{inside}'")
    if len(words) != len(_FIELDS):
        message = f"Incorrect number of values in the cron: {len(_FIELDS)} required, {len(words)} provided"
        hint = " ".join(known.name for known in _FIELDS) + _from_unix([word[0] for word in words])
        raise CronError(message, words[6].start() if len(words) > 6 else 0, hint)
    parts = [_Part(known, word[0], word.start()) for known, word in zip(_FIELDS, words, strict=True)]
    for part in parts:
        if not part.text.isascii():  # `upper` and `isdigit` would take more than letters and digits of ours
            raise part.invalid()
    minute, hour, day, month, weekday, year = parts
    if (day.text == "?") == (weekday.text == "?"):
        message = f"Invalid combination of day-of-month '{day.text}' and day-of-week '{weekday.text}'"
        raise CronError(message, weekday.offset, "exactly one of the two is '?', the one that does not decide")
    minutes, hours = minute.values(), hour.values()
    times = tuple(60 * hour + minute for hour in hours for minute in minutes)
    days = day.days_of_month() if weekday.text == "?" else weekday.days_of_week()
    return Cron(text, times, days, month.values(), year.values())


def _from_unix(words: list[str]) -> str:
    """What a Unix cron would be here: it has five fields, no `?`, and weekdays 0 to 7 from Sunday to Sunday."""
    if len(words) != 5:
        return ""
    minute, hour, day, month, weekday = words
    named = re.sub("[0-7]", lambda number: _WEEKDAYS[int(number[0]) % 7], weekday).replace("-SUN", "-SAT,SUN")
    by_day, by_weekday = f"{minute} {hour} {day} {month} ? *", f"{minute} {hour} ? {month} {named} *"
    if "?" in (day, weekday):
        meant = [" ".join([*words, "*"])]  # of this dialect, with the year forgotten
    else:
        meant = [by_day] if weekday == "*" else [by_weekday] if day == "*" else [by_day, by_weekday]
    try:
        crons = [f"'{parse_cron(text).text}'" for text in meant]
    except CronError:
        return ""
    return f"; write {' and as a second schedule '.join(crons)}"

"""Which slots of a schedule are due, and what becomes of each. Pure: the time and what runs are told.

A slot fires once: `seen_until` only moves forwards, so a clock that is set back repeats nothing. Slots that passed while
nobody was there are missed; the catch-up policy says which of them still fire.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

from rehearse.bindings.schedules import Policy
from rehearse.language.cron import Cron, parse_cron
from rehearse.language.model import Schedule
from rehearse.language.zones import zone as find_zone
from rehearse.store.ids import id_of

ON_TIME = timedelta(seconds=90)
"""A slot that is seen later than this was missed: the machine slept, or nobody served."""
MOST_MISSED = 1000
"""Of more missed slots the oldest are only counted."""
START, MISSED, OVERLAP, CANCEL_AND_START, WAIT = "start", "missed", "overlap", "cancel and start", "wait"


@dataclass(frozen=True)
class Timetable:
    """One schedule of a pipeline. Its id follows from what it says: who changes the cron has another schedule."""

    id: str
    pipeline: str
    number: int
    schedule: Schedule
    cron: Cron
    zone: ZoneInfo
    exclude: frozenset[date] = frozenset()

    @property
    def name(self) -> str:
        return self.schedule.name or f"schedule {self.number + 1}"

    def next(self, after: datetime) -> datetime | None:
        return self.cron.next(after, self.zone, self.exclude)


@dataclass(frozen=True)
class Due:
    """`deeds`: (slot, what to do with it), in order. `waiting`: slots that fire when the run before has ended."""

    deeds: tuple[tuple[datetime, str], ...] = ()
    waiting: tuple[datetime, ...] = field(default=())
    forgotten: int = 0
    """Missed slots beyond MOST_MISSED."""


def timetables(pipeline: str, schedules: Sequence[Schedule]) -> list[Timetable]:
    """Of a valid pipeline. Two schedules that say the same are two."""
    seen: dict[str, int] = {}
    found = []
    for number, schedule in enumerate(schedules):
        text = f"{schedule.name}|{schedule.cron}|{schedule.timezone}|{schedule.environment}|{schedule.branch}"
        seen[text] = seen.get(text, 0) + 1
        zone = find_zone(schedule.timezone) if schedule.timezone else ZoneInfo("UTC")
        exclude = frozenset(date.fromisoformat(day) for day in schedule.exclude)
        identity = id_of("schedule", pipeline, text, seen[text])
        found.append(Timetable(identity, pipeline, number, schedule, parse_cron(schedule.cron), zone, exclude))
    return found


def decide(
    timetable: Timetable,
    policy: Policy,
    seen_until: datetime,
    now: datetime,
    waiting: Sequence[datetime],
    is_active: bool,
) -> Due:
    """`waiting`: slots of before that wait. `is_active`: whether a run of this schedule has not ended."""
    slots, forgotten = _slots(timetable, seen_until, now)
    deeds: list[tuple[datetime, str]] = []
    queue = list(waiting)
    last = len(slots) - 1
    for number, slot in enumerate(slots):
        if now - slot > ON_TIME and not (policy.catch_up == "all" or (policy.catch_up == "latest" and number == last)):
            deeds.append((slot, MISSED))
        elif policy.catch_up == "all" and now - slot > ON_TIME:
            queue.append(slot)
        elif policy.overlap == "cancel":
            deeds.append((slot, CANCEL_AND_START if is_active else START))
            is_active = True
        elif not is_active and not queue:
            deeds.append((slot, START))
            is_active = True
        elif policy.overlap == "queue" and not queue:
            queue.append(slot)
            deeds.append((slot, WAIT))
        else:
            deeds.append((slot, OVERLAP))
    if queue and not is_active:
        deeds.append((queue.pop(0), START))
    return Due(tuple(deeds), tuple(queue), forgotten)


def _slots(timetable: Timetable, seen_until: datetime, now: datetime) -> tuple[list[datetime], int]:
    """After `seen_until` up to `now`; only the newest when they are very many, and how many older ones there were."""
    if now <= seen_until:
        return [], 0
    firings = timetable.cron.between(seen_until, now, timetable.zone, timetable.exclude)
    found = list(islice(firings, MOST_MISSED))
    if len(found) < MOST_MISSED:
        return found, 0
    newest: list[datetime] = []
    moment: datetime | None = now + timedelta(microseconds=1)
    while moment is not None and len(newest) < MOST_MISSED:
        moment = timetable.cron.previous(moment, timetable.zone, timetable.exclude)
        if moment is None or moment <= seen_until:
            break
        newest.append(moment)
    return newest[::-1], 1

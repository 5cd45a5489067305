"""What schedules would do: every firing of the days to come, without waiting (section 8.1). Pure but for the durations told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from rehearse.bindings.schedules import Policies
from rehearse.language.validation import LoadedPipeline
from rehearse.triggers.schedules import Timetable, timetables

MOST = 100_000


@dataclass(frozen=True)
class Forecast:
    """`at`: in UTC. `notes`: what is special about it, such as a clock that changes."""

    at: datetime
    timetable: Timetable
    notes: tuple[str, ...] = ()

    @property
    def local(self) -> datetime:
        return self.at.astimezone(self.timetable.zone)


def forecast(
    pipelines: Mapping[str, LoadedPipeline],
    start: datetime,
    end: datetime,
    durations: Mapping[str, float],
    policies: Policies,
) -> list[Forecast]:
    """In order of time. `durations`: pipeline -> seconds that its runs usually take: with it overlaps are foreseen."""
    found: list[Forecast] = []
    for alias, loaded in pipelines.items():
        for timetable in timetables(alias, loaded.pipeline.schedule):
            found += _of_one(timetable, start, end, durations.get(alias), policies.of(alias).overlap)
    return sorted(found, key=lambda firing: (firing.at, firing.timetable.pipeline, firing.timetable.number))


def _of_one(
    timetable: Timetable, start: datetime, end: datetime, seconds: float | None, overlap: str
) -> list[Forecast]:
    found: list[Forecast] = []
    busy_until: datetime | None = None
    for slot in timetable.cron.between(start, end, timetable.zone, timetable.exclude):
        at = slot.astimezone(UTC)
        notes = _clock(slot)
        if busy_until is not None and at < busy_until:
            word = {"skip": "would be skipped", "queue": "would wait", "cancel": "would cancel it"}[overlap]
            notes = (*notes, f"{word}: the run before takes about {seconds:.0f} s")
        elif seconds:
            busy_until = at + timedelta(seconds=seconds)
        found.append(Forecast(at, timetable, notes))
        if len(found) >= MOST:
            break
    return found


def _clock(slot: datetime) -> tuple[str, ...]:
    """Whether the clock shows this time twice, or was set forwards over it."""
    zone = slot.tzinfo
    if zone is None:
        return ()
    if slot.replace(fold=0).utcoffset() != slot.replace(fold=1).utcoffset():
        return ("the clock shows this time twice: it fires the first time",)
    before = (slot.astimezone(UTC) - timedelta(minutes=1)).astimezone(zone)
    if before.utcoffset() != slot.utcoffset() and (slot.utcoffset() or timedelta()) > (
        before.utcoffset() or timedelta()
    ):
        return ("the clock is set forwards here",)
    return ()

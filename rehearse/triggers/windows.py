"""When a sensor looks, and what came of it. Pure: the time and what its checks found are told (section 8.2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from rehearse.language.cron import Cron, parse_cron
from rehearse.language.model import Sensor
from rehearse.language.zones import zone as find_zone
from rehearse.store.ids import id_of
from rehearse.store.records import timestamp

DEFAULT_FREQUENCY = 60


@dataclass(frozen=True)
class Watch:
    """A sensor of a pipeline. Its id follows from its key in the file, so that a change of its checks keeps the window."""

    id: str
    pipeline: str
    key: str
    sensor: Sensor
    cron: Cron
    zone: ZoneInfo
    exclude: frozenset[date]

    @property
    def length(self) -> timedelta:
        return timedelta(minutes=self.sensor.timeout_mins)

    @property
    def frequency(self) -> timedelta:
        return timedelta(seconds=self.sensor.frequency_secs or DEFAULT_FREQUENCY)

    def next(self, after: datetime) -> datetime | None:
        return self.cron.next(after, self.zone, self.exclude)


@dataclass(frozen=True)
class Window:
    """`opened` None: closed. `passed`: check -> what it found; `said`: check -> what it said last."""

    opened: datetime | None = None
    due: datetime | None = None
    passed: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    said: Mapping[str, str] = field(default_factory=dict)

    def data(self) -> dict[str, Any] | None:
        if self.opened is None:
            return None
        return {"opened": timestamp(self.opened), "due": timestamp(self.due), "passed": self.passed, "said": self.said}

    @classmethod
    def of(cls, data: Mapping[str, Any] | None) -> Window:
        if not data:
            return cls()
        return cls(
            datetime.fromisoformat(data["opened"]),
            datetime.fromisoformat(data["due"]),
            data["passed"],
            data.get("said", {}),
        )


def watches(pipeline: str, sensors: Mapping[str, Sensor]) -> list[Watch]:
    return [
        Watch(
            id_of("sensor", pipeline, key), pipeline, key, sensor, parse_cron(sensor.cron), find_zone(sensor.timezone),
            frozenset(date.fromisoformat(day) for day in sensor.exclude),
        )
        for key, sensor in sensors.items()
    ]  # fmt: skip


def advance(
    watch: Watch, window: Window, seen_until: datetime, now: datetime
) -> tuple[Window, list[tuple[datetime, str]]]:
    """The window of now, and what became of those that are over: `expired`, or `missed` when nobody was there.

    An opening after `seen_until` counts; one whose time is not over yet is opened, however late.
    """
    over: list[tuple[datetime, str]] = []
    if window.opened is not None and now >= window.opened + watch.length:
        over.append((window.opened, "expired"))
        window = Window()
    openings = _openings(watch, seen_until, now)
    if window.opened is None and openings:
        *missed, last = openings
        over += [(moment, "missed") for moment in missed]
        if now < last + watch.length:
            window = Window(last, now)
        else:
            over.append((last, "missed"))
    return window, over


def _openings(watch: Watch, seen_until: datetime, now: datetime) -> Sequence[datetime]:
    """The newest hundred at most."""
    found: list[datetime] = []
    moment: datetime | None = now + timedelta(microseconds=1)
    while now > seen_until and moment is not None and len(found) < 100:
        moment = watch.cron.previous(moment, watch.zone, watch.exclude)
        if moment is None or moment <= seen_until:
            break
        found.append(moment)
    return found[::-1]


def noted(window: Window, check: str, passed: bool, outputs: Mapping[str, Any], message: str | None) -> Window:
    """After one look. What has passed stays so within the window."""
    said = {name: text for name, text in window.said.items() if name != check}
    if message and not passed:
        said[check] = message
    if passed:
        return replace(window, passed={**window.passed, check: dict(outputs)}, said=said)
    return replace(window, said=said)

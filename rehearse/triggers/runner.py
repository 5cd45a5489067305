"""Runs the schedules of all pipelines: decides, starts, records, in this order, so that a crash repeats no slot.

A run is accepted under a key that holds its slot. Who dies between that and the record finds the run again.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from rehearse.bindings.config import Bindings
from rehearse.engine import crash
from rehearse.engine.catalog import Catalog, Entry, Files
from rehearse.errors import StoreError
from rehearse.language.validation import LoadedPipeline
from rehearse.store import triggers as stored
from rehearse.store.records import Store, timestamp
from rehearse.store.triggers import Firing
from rehearse.triggers.schedules import (
    CANCEL_AND_START,
    MISSED,
    OVERLAP,
    START,
    WAIT,
    Timetable,
    decide,
    timetables,
)
from rehearse.triggers.starting import FAILED, PAUSED, SKIPPED, STARTED, Cause, reason, start

WAITING = "waiting"


class Schedules:
    """`tick` does what is due, and says when the next slot is."""

    def __init__(
        self, root: Path, store: Store, files: Files, bindings: Callable[[], Bindings], tell: Callable[[str], None]
    ):
        self._root, self._store, self._files, self._bindings, self._tell = root, store, files, bindings, tell
        self._tables: dict[str, tuple[LoadedPipeline, list[Timetable]]] = {}

    def tick(self, now: datetime) -> datetime | None:
        """Raises BindingError and StoreError; what is wrong with one schedule only hurts that one."""
        bindings = self._bindings()
        catalog = Catalog(self._files, self._store)
        upcoming: list[datetime] = []
        for entry in catalog.entries():
            for timetable in self._timetables(entry):
                self._handle(catalog, entry, timetable, bindings, now)
                if (moment := timetable.next(now)) is not None:
                    upcoming.append(moment.astimezone(UTC))
        return min(upcoming, default=None)

    def _timetables(self, entry: Entry) -> list[Timetable]:
        """Read once per version of a pipeline."""
        if entry.loaded is None:
            return []
        known = self._tables.get(entry.alias)
        if known is None or known[0] is not entry.loaded:
            known = self._tables[entry.alias] = (
                entry.loaded,
                timetables(entry.alias, entry.loaded.pipeline.schedule),
            )
        return known[1]

    def _handle(self, catalog: Catalog, entry: Entry, timetable: Timetable, bindings: Bindings, now: datetime) -> None:
        about = (entry.alias, stored.SCHEDULE, timetable.name)
        row = stored.load(self._store.database, timetable.id)
        if row is None:  # of what was before we knew it, nothing is missed
            stored.save(self._store.database, timetable.id, about, now)
            return
        seen = datetime.fromisoformat(row["seen_until"])
        waiting = [datetime.fromisoformat(text) for text in (row["state"] or {}).get("waiting", [])]
        if not waiting and (now <= seen or not _has_slot(timetable, seen, now)):
            return
        prefix = f"schedule/{timetable.id}/"
        active = stored.active_runs(self._store.database, prefix)
        due = decide(timetable, bindings.schedules.of(entry.alias), seen, now, waiting, bool(active))
        if due.forgotten:
            self._tell(f"{entry.alias}: '{timetable.name}' missed more slots than are listed")
        firings = []
        for slot, deed in due.deeds:
            firing = self._do(catalog, entry, timetable, slot, deed, active)
            firings.append(firing)
            if deed != WAIT:
                self._tell(f"{entry.alias}: '{timetable.name}' of {slot:%Y-%m-%d %H:%M %Z}: {firing.outcome}"
                           f"{f' ({firing.message})' if firing.message else ''}")  # fmt: skip
        crash.point("schedule.started")
        left = {"waiting": [timestamp(slot) for slot in due.waiting]} if due.waiting else None
        stored.save(self._store.database, timetable.id, about, max(seen, now), left, firings)

    def _do(
        self, catalog: Catalog, entry: Entry, timetable: Timetable, slot: datetime, deed: str, active: list[str]
    ) -> Firing:
        key = f"schedule/{timetable.id}/{timestamp(slot)}"

        def came_to(outcome: str, message: str | None = None, run_id: str | None = None) -> Firing:
            return Firing(timetable.id, entry.alias, slot, outcome, run_id, message)

        if deed == MISSED:
            return came_to("missed", "nobody was there to start it")
        if entry.paused:
            return came_to(PAUSED, "the pipeline is paused")
        if found := self._store.run_with_key(key):
            return came_to(STARTED, None, found["id"])
        if deed == OVERLAP:
            return came_to(SKIPPED, "the run before has not ended")
        if deed == WAIT:
            return came_to(WAITING, "until the run before has ended")
        if deed == CANCEL_AND_START:
            for run_id in active:
                if not self._store.has_request(run_id, "cancel"):
                    self._store.request(run_id, "cancel", by=f"the schedule '{timetable.name}'")
        assert deed in (START, CANCEL_AND_START)
        schedule = timetable.schedule
        entry_of = {
            "triggerType": "SCHEDULED", "scheduleName": schedule.name, "scheduleCron": schedule.cron,
            "scheduleTimezone": schedule.timezone or "UTC",
        }  # fmt: skip
        cause = Cause(
            key, "SCHEDULED", {name: value for name, value in entry_of.items() if value is not None},
            f"the schedule '{timetable.name}'", schedule.run_inputs, slot.astimezone(UTC), schedule.environment, schedule.branch,
        )  # fmt: skip
        try:
            accepted = start(self._root, self._store, self._bindings(), catalog, entry, cause)
        except StoreError:
            raise
        except Exception as e:  # whatever it is, it must not keep other schedules from starting
            return came_to(FAILED, reason(e))
        if accepted.status == "SKIPPED":
            return came_to(SKIPPED, accepted.message, accepted.run_id)
        return came_to(STARTED, None, accepted.run_id)


def _has_slot(timetable: Timetable, seen: datetime, now: datetime) -> bool:
    first = timetable.next(seen)
    return first is not None and first <= now

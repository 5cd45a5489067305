"""Runs the sensors of all pipelines. Looks happen in threads, and what they found is picked up at a later tick.

The state of a window is in the store: who comes after a crash goes on in the same one. A run starts under a key that holds
the window.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from rehearse.bindings.config import Bindings
from rehearse.engine import crash
from rehearse.engine.catalog import Catalog, Entry, Files
from rehearse.engine.plans import environment_of
from rehearse.errors import RehearseError, StoreError
from rehearse.language.evaluation import Scope, truthy
from rehearse.language.templates import parse_condition, render_template, resolve
from rehearse.language.validation import LoadedPipeline
from rehearse.planning.inputs import default_scope
from rehearse.store import triggers as stored
from rehearse.store.ids import id_of
from rehearse.store.records import Store, timestamp
from rehearse.store.triggers import Firing
from rehearse.triggers.checks import OF_THE_STORE, Look, look, look_at_store
from rehearse.triggers.starting import FAILED, PAUSED, SKIPPED, STARTED, Cause, named, reason, start
from rehearse.triggers.windows import Watch, Window, advance, noted, watches

THREADS = 4
_SOON = timedelta(seconds=0.2)
Expired = Callable[[Entry, Watch, datetime], None]


class Sensors:
    """`expired`: hears of windows that closed without a find, for their alerts."""

    def __init__(
        self, root: Path, store: Store, files: Files, bindings: Callable[[], Bindings], tell: Callable[[str], None],
        expired: Expired = lambda entry, watch, opened: None,
    ):  # fmt: skip
        self._root, self._store, self._files, self._bindings, self._tell = root, store, files, bindings, tell
        self._expired = expired
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="sensor")
        self._looks: dict[tuple[str, str], tuple[datetime, Future[Look]]] = {}
        self._watches: dict[str, tuple[LoadedPipeline, list[Watch]]] = {}

    def tick(self, now: datetime) -> datetime | None:
        """Raises BindingError, StoreError."""
        bindings = self._bindings()
        catalog = Catalog(self._files, self._store)
        moments = [
            self._handle(catalog, entry, watch, bindings, now)
            for entry in catalog.entries()
            for watch in self._watches_of(entry)
        ]
        return min((moment for moment in moments if moment is not None), default=None)

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _watches_of(self, entry: Entry) -> list[Watch]:
        if entry.loaded is None:
            return []
        known = self._watches.get(entry.alias)
        if known is None or known[0] is not entry.loaded:
            known = self._watches[entry.alias] = (entry.loaded, watches(entry.alias, entry.loaded.pipeline.sensors))
        return known[1]

    def _handle(
        self, catalog: Catalog, entry: Entry, watch: Watch, bindings: Bindings, now: datetime
    ) -> datetime | None:
        row = stored.load(self._store.database, watch.id)
        if row is None:  # a sensor that is new in the middle of its window does not start
            self._save(watch, now, Window(), [])
            return watch.next(now)
        seen = datetime.fromisoformat(row["seen_until"])
        before = Window.of(row["state"])
        window, over = advance(watch, before, seen, now)
        firings = [self._over(entry, watch, opened, outcome) for opened, outcome in over]
        if entry.paused and window.opened is not None:
            if before.opened is None:
                firings.append(Firing(watch.id, entry.alias, window.opened, PAUSED, None, "the pipeline is paused"))
            window = Window()
        if window.opened is not None:
            window, more = self._look(catalog, entry, watch, bindings, window, now)
            firings += more
        if window != before or firings:
            crash.point("sensor.started")
            self._save(watch, max(seen, now), window, firings)
        upcoming = watch.next(now)
        if window.opened is None:
            return upcoming.astimezone(UTC) if upcoming else None
        busy = any(watch.id == watch_id for watch_id, _ in self._looks)
        end: datetime = window.opened.astimezone(UTC) + watch.length
        return now + _SOON if busy else min(window.due or now, end)

    def _over(self, entry: Entry, watch: Watch, opened: datetime, outcome: str) -> Firing:
        message = "its checks did not pass in time" if outcome == "expired" else "nobody was there to look"
        self._tell(
            f"{entry.alias}: the sensor '{watch.sensor.name}' of {opened:%Y-%m-%d %H:%M %Z}: {outcome} ({message})"
        )
        if outcome == "expired":
            self._expired(entry, watch, opened)
        return Firing(watch.id, entry.alias, opened, outcome, None, message)

    def _look(
        self, catalog: Catalog, entry: Entry, watch: Watch, bindings: Bindings, window: Window, now: datetime
    ) -> tuple[Window, list[Firing]]:
        due = window.due or now
        window = self._collect(entry, watch, window)
        waiting = [key for key in watch.sensor.checks if key not in window.passed]
        running = [key for watch_id, key in self._looks if watch_id == watch.id]
        if now >= due and not running:
            scope = self._scope(watch, bindings, now)
            for key in waiting:
                window = self._ask(watch, key, bindings, scope, window)
            window = replace(window, due=now + watch.frequency)
            waiting = [key for key in watch.sensor.checks if key not in window.passed]
            running = [key for watch_id, key in self._looks if watch_id == watch.id]
        if waiting or running:
            return window, []
        return self._found(catalog, entry, watch, bindings, window, now)

    def _ask(self, watch: Watch, key: str, bindings: Bindings, scope: Scope, window: Window) -> Window:
        check = watch.sensor.checks[key]
        assert window.opened is not None
        try:
            parameters: Mapping[str, Any] = resolve(check.parameters, scope)
        except RehearseError as e:
            return noted(window, key, False, {}, f"its parameters: {e}")
        if check.sensor_type in OF_THE_STORE:
            found = look_at_store(check, parameters, self._store, window.opened)
            return noted(window, key, found.passed, found.outputs, found.message)
        future = self._pool.submit(look, key, check, parameters, bindings, self._root, window.opened)
        self._looks[watch.id, key] = (window.opened, future)
        return window

    def _collect(self, entry: Entry, watch: Watch, window: Window) -> Window:
        for (watch_id, key), (opened, future) in list(self._looks.items()):
            if watch_id != watch.id or not future.done():
                continue
            del self._looks[watch_id, key]
            if opened != window.opened or key not in watch.sensor.checks:
                continue  # of an earlier window, or of a check that is gone
            found = future.result()
            if found.is_error and window.said.get(key) != found.message:
                self._tell(f"{entry.alias}: the sensor '{watch.sensor.name}', check '{key}': {found.message}")
            window = noted(window, key, found.passed, found.outputs, found.message)
        return window

    def _found(
        self, catalog: Catalog, entry: Entry, watch: Watch, bindings: Bindings, window: Window, now: datetime
    ) -> tuple[Window, list[Firing]]:
        """All checks have passed: once the condition holds, too, the runs start and the window closes."""
        sensor = watch.sensor
        opened = window.opened
        assert opened is not None
        scope = self._scope(watch, bindings, now)
        merged = {name: value for found in window.passed.values() for name, value in found.items()}
        try:
            if sensor.condition and not truthy(
                render_template(parse_condition(sensor.condition), replace(scope, outputs=merged))
            ):
                return window, []  # until the window closes
            inputs: dict[str, Any] = {}
            for key, check in sensor.checks.items():
                inputs |= resolve(dict(check.map_outputs), replace(scope, outputs=window.passed[key]))
        except RehearseError as e:
            return Window(), [self._came_to(entry, watch, opened, FAILED, str(e))]
        by = {
            "triggerType": "SENSOR",
            "sensorName": sensor.name,
            "sensorRunId": id_of("sensor run", watch.id, timestamp(opened)),
        }
        firings = []
        environments: list[str | None] = list(sensor.environments or ()) or [None]
        for environment in environments:
            key = f"sensor/{watch.id}/{timestamp(opened)}/{environment or ''}"
            cause = Cause(
                key, "SENSOR", by, f"the sensor '{sensor.name}'", sensor.run_inputs, now, environment, given=inputs
            )
            try:
                accepted = start(self._root, self._store, bindings, catalog, entry, cause)
            except StoreError:
                raise
            except Exception as e:  # whatever it is, it must not keep others from starting
                firings.append(self._came_to(entry, watch, opened, FAILED, reason(e), environment))
                continue
            outcome = SKIPPED if accepted.status == "SKIPPED" else STARTED
            firings.append(self._came_to(entry, watch, opened, outcome, accepted.message, environment, accepted.run_id))
        return Window(), firings

    def _came_to(
        self, entry: Entry, watch: Watch, opened: datetime, outcome: str, message: str | None, environment: str | None = None,
        run_id: str | None = None,
    ) -> Firing:  # fmt: skip
        why = f" ({message})" if message else ""
        self._tell(f"{entry.alias}: the sensor '{watch.sensor.name}' of {opened:%Y-%m-%d %H:%M %Z}: {outcome}{why}")
        return Firing(watch.id, entry.alias, opened, outcome, run_id, message, environment or "")

    def _scope(self, watch: Watch, bindings: Bindings, now: datetime) -> Scope:
        first = next(iter(watch.sensor.environments or ()), None)
        _, variables = environment_of(bindings, named(bindings, first))
        return default_scope(variables, now)

    def _save(self, watch: Watch, seen: datetime, window: Window, firings: list[Firing]) -> None:
        about = (watch.pipeline, stored.SENSOR, watch.sensor.name)
        stored.save(self._store.database, watch.id, about, seen, window.data(), firings)

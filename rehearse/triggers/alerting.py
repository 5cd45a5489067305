"""Sends what ended runs set off. An alert is recorded before it is sent, and once: a run is never changed by it."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from rehearse.bindings.config import Bindings
from rehearse.engine import crash
from rehearse.engine.catalog import Entry, load_text, with_stored
from rehearse.engine.masking import Masker, secret_values
from rehearse.engine.plans import environment_of
from rehearse.errors import RehearseError
from rehearse.jobs.alert_senders import send
from rehearse.language.evaluation import Scope
from rehearse.planning.inputs import default_scope
from rehearse.store import alerts as stored
from rehearse.store import triggers
from rehearse.store.ids import id_of
from rehearse.store.records import Store, timestamp
from rehearse.triggers import alerts, anomalies
from rehearse.triggers.events import OVERLAP
from rehearse.triggers.windows import Watch

ATTEMPTS = 5
FIRST_RETRY = timedelta(seconds=5)
THREADS = 4
_TRIGGER = id_of("alerts")
_SOON = timedelta(seconds=0.3)
Row = Mapping[str, Any]


class Alerting:
    """`tick` records and sends; `of_run` does the same for one run, now."""

    def __init__(self, root: Path, store: Store, bindings: Callable[[], Bindings], tell: Callable[[str], None]):
        self._root, self._store, self._bindings, self._tell = root, store, bindings, tell
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="alert")
        self._sending: dict[str, tuple[Row, Future[tuple[bool, str]]]] = {}
        self._done: set[str] = set()

    def tick(self, now: datetime) -> datetime | None:
        """Raises StoreError, BindingError."""
        self._collect(now)
        self._write_new(now)
        self._send_due(now)
        return now + _SOON if self._sending else stored.next_due(self._store.database)

    def of_run(self, run_id: str, seconds: float = 10.0) -> Sequence[Row]:
        """Write and send those of one run, within that time; the rows. What is left a server sends."""
        now = datetime.now(UTC)
        run = self._store.find_run(run_id)
        assert run is not None
        self._write(run, now)
        self._send_due(now, run_id)
        wait([future for _, future in self._sending.values()], timeout=seconds)
        self._collect(datetime.now(UTC))
        return stored.of_run(self._store.database, run_id)

    def of_sensor(self, entry: Entry, watch: Watch, opened: datetime) -> None:
        """A window of a sensor has closed without a find."""
        if not watch.sensor.alerts:
            return
        scope = self._scope(None)
        now = timestamp(datetime.now(UTC)) or ""
        rows = alerts.of_sensor(entry.alias, entry.name, watch.key, watch.sensor, opened, scope, now)
        stored.put(self._store.database, [self._masked(row) for row in rows])

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _write_new(self, now: datetime) -> None:
        row = triggers.load(self._store.database, _TRIGGER)
        if row is None:
            triggers.save(self._store.database, _TRIGGER, ("*", triggers.ALERTS, "ends of runs"), now)
            return
        seen = datetime.fromisoformat(row["seen_until"])
        ended = triggers.ended_since(self._store.database, timestamp(min(seen, now) - OVERLAP) or "")
        new = [run for run in ended if run["id"] not in self._done]
        for brief in new:
            run = self._store.find_run(brief["id"])
            if run is not None:
                self._write(run, now)
        if new:
            crash.point("alert.written")
            latest = max(datetime.fromisoformat(run["ended_at"]) for run in ended)
            about = ("*", triggers.ALERTS, "ends of runs")
            triggers.save(self._store.database, _TRIGGER, about, min(max(seen, latest), now))
            self._done = {run["id"] for run in ended}

    def _write(self, run: Row, now: datetime) -> None:
        """What the run declares itself: its file may have changed since."""
        if "alerts" not in run["definition"] and "anomalies" not in run["definition"]:
            return
        loaded, _ = load_text(run["pipeline"], run["definition"])
        if loaded is None:
            return
        moment = timestamp(now) or ""
        scope = self._scope(run)
        tasks = self._store.task_runs(run["id"])
        rows = alerts.of_run(loaded.pipeline, run, tasks, scope, moment)
        if anomalies.has_any(loaded.pipeline):
            found = anomalies.of_run(self._store.database, loaded.pipeline, run, tasks, moment)
            stored.put_anomalies(self._store.database, [row for _, _, row in found])
            for declared, task, row in found:
                rows += alerts.of_anomaly(run, task, declared.destinations, row, scope, moment)
        stored.put(self._store.database, [self._masked(row) for row in rows])

    def _send_due(self, now: datetime, run_id: str | None = None) -> None:
        bindings = self._bindings()
        for row in stored.claim_due(self._store.database, now, run_id):
            if row["id"] not in self._sending:
                future = self._pool.submit(send, self._root, bindings, row, self._secrets(row))
                self._sending[row["id"]] = (row, future)

    def _collect(self, now: datetime) -> None:
        for alert_id, (row, future) in list(self._sending.items()):
            if not future.done():
                continue
            crash.point("alert.sent")
            del self._sending[alert_id]
            try:
                really, message = future.result()
            except Exception as e:  # whatever a sender raises: the run must not feel it
                said = f"{e} ({e.hint})" if isinstance(e, RehearseError) and e.hint else str(e) or type(e).__name__
                self._failed(row, Masker(self._secrets(row)).text(said)[:1000], now)
                continue
            stored.note(self._store.database, alert_id, stored.SENT if really else stored.LOCAL, message, None, now)
            self._tell(f"alert '{row['name']}' to {where(row)}: {message}")

    def _failed(self, row: Row, why: str, now: datetime) -> None:
        if row["attempt"] >= ATTEMPTS:
            stored.note(self._store.database, row["id"], stored.FAILED, why, None, now)
            self._tell(f"alert '{row['name']}' to {where(row)} could not be sent, {ATTEMPTS} times: {why}")
            return
        pause = FIRST_RETRY * 2 ** (row["attempt"] - 1) * random.uniform(0.8, 1.2)
        stored.note(self._store.database, row["id"], stored.PENDING, why, now + pause, now)
        self._tell(f"alert '{row['name']}' to {where(row)} was not sent, and will be tried again: {why}")

    def _scope(self, run: Row | None) -> Scope:
        name = run["environment"] if run else None
        bindings = with_stored(self._bindings(), self._store)
        try:
            _, variables = environment_of(bindings, name)
        except RehearseError:  # an environment that is gone
            variables = {}
        scope = default_scope(variables, datetime.now(UTC))
        if run is None:
            return scope
        return replace(scope, orchestra={**scope.orchestra, "pipeline_run_id": run["id"]}, inputs=run["inputs"] or {})

    def _masked(self, row: dict[str, Any]) -> dict[str, Any]:
        """Variables of environments with telling names do not go out."""
        values = [
            v
            for env in self._bindings().environments.values()
            for v in secret_values({n: str(x) for n, x in env.items()})
        ]
        return row | {"body": Masker(values).value(row["body"])}

    def _secrets(self, row: Row) -> list[str]:
        try:
            connection = self._bindings().connection(row["integration"], row["connection"] or None)
            return secret_values(connection.known_values()) if connection is not None else []
        except RehearseError:
            return []


def where(row: Row) -> str:
    return " ".join(text for text in (row["integration"], row["destination"], row["connection"]) if text)

"""Pipelines that start when a run of another one ends (section 8.4 of the language reference).

Every ended run is looked at once more than needed rather than once too little: a run starts under a key of the run that
set it off, and so once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from rehearse.bindings.config import Bindings
from rehearse.engine import crash
from rehearse.engine.catalog import Catalog, Entry, Files
from rehearse.errors import StoreError
from rehearse.language.model import TriggerEvent
from rehearse.store import triggers as stored
from rehearse.store.ids import id_of, pipeline_id
from rehearse.store.records import Store, timestamp
from rehearse.store.triggers import Firing
from rehearse.triggers.starting import FAILED, PAUSED, SKIPPED, STARTED, Cause, reason, start

OVERLAP = timedelta(minutes=5)
"""Ends are recorded a little after they happened, and not in their order when several engines work."""
MAX_DEPTH = 20
DEFAULT_STATUSES = ("SUCCEEDED", "WARNING")
_TRIGGER = id_of("events")


class Events:
    def __init__(
        self, root: Path, store: Store, files: Files, bindings: Callable[[], Bindings], tell: Callable[[str], None]
    ):
        self._root, self._store, self._files, self._bindings, self._tell = root, store, files, bindings, tell
        self._done: set[str] = set()  # runs that were looked at, within the overlap

    def tick(self, now: datetime) -> datetime | None:
        row = stored.load(self._store.database, _TRIGGER)
        if row is None:
            stored.save(self._store.database, _TRIGGER, ("*", stored.EVENTS, "ends of runs"), now)
            return None
        seen = datetime.fromisoformat(row["seen_until"])
        ended = stored.ended_since(self._store.database, timestamp(min(seen, now) - OVERLAP) or "")
        new = [run for run in ended if run["id"] not in self._done]
        if not new:
            return None
        catalog = Catalog(self._files, self._store)
        listening = [
            (entry, number, event)
            for entry in catalog.entries()
            if entry.loaded is not None
            for number, event in enumerate(entry.loaded.pipeline.trigger_events)
        ]
        firings = []
        for run in new:
            for entry, number, event in listening:
                if (firing := self._react(catalog, entry, number, event, run, now)) is not None:
                    firings.append(firing)
        crash.point("event.started")
        latest = max(datetime.fromisoformat(run["ended_at"]) for run in ended)
        stored.save(
            self._store.database,
            _TRIGGER,
            ("*", stored.EVENTS, "ends of runs"),
            min(max(seen, latest), now),
            None,
            firings,
        )
        self._done = {run["id"] for run in ended}
        return None

    def _react(
        self, catalog: Catalog, entry: Entry, number: int, event: TriggerEvent, run: Mapping[str, Any], now: datetime
    ) -> Firing | None:
        if run["status"] not in (event.statuses or DEFAULT_STATUSES) or not _is_meant(event, entry, run):
            return None
        ended = datetime.fromisoformat(run["ended_at"])
        key = f"event/{run['id']}/{entry.alias}/{number}"
        trigger_id = id_of("event", entry.alias, number)
        if found := self._store.run_with_key(key):  # who started it may have died before the record
            return Firing(trigger_id, entry.alias, ended, STARTED, found["id"], None, run["id"])
        ancestors = self._ancestors(run)
        if event.pipeline_id == "*" and entry.alias in ancestors:
            return None  # it would react to what it has set off itself

        def came_to(outcome: str, message: str | None = None, run_id: str | None = None) -> Firing:
            self._tell(
                f"{entry.alias}: the end of {run['pipeline']} ({run['status']}): {outcome}{f' ({message})' if message else ''}"
            )
            return Firing(trigger_id, entry.alias, ended, outcome, run_id, message, run["id"])

        if entry.paused:
            return came_to(PAUSED, "the pipeline is paused")
        if len(ancestors) >= MAX_DEPTH:
            return came_to(
                FAILED, f"pipelines set each other off {MAX_DEPTH} times in a row: {' > '.join(ancestors[-4:])}"
            )
        entry_of = {
            "triggerType": "TRIGGER_EVENT", "pipelineName": run["name"],
            "pipelineId": run["pipeline_id"] or pipeline_id(run["pipeline"]), "pipelineRunId": run["id"],
        }  # fmt: skip
        if event.pipeline_id == "*":
            entry_of["wildcardParent"] = True
        cause = Cause(
            key, "TRIGGER_EVENT", entry_of, f"the end of {run['pipeline']}", event.run_inputs, now,
            run["environment"],
            outputs={"pipeline_run": outputs_of(run)},
        )  # fmt: skip
        try:
            accepted = start(self._root, self._store, self._bindings(), catalog, entry, cause)
        except StoreError:
            raise
        except Exception as e:  # whatever it is, it must not keep others from starting
            return came_to(FAILED, reason(e))
        return came_to(SKIPPED if accepted.status == "SKIPPED" else STARTED, accepted.message, accepted.run_id)

    def _ancestors(self, run: Mapping[str, Any]) -> list[str]:
        """The pipelines that led to a run by their ends, the first one first, its own last."""
        found = [run["pipeline"]]
        current: Mapping[str, Any] | None = run
        while current is not None and len(found) < MAX_DEPTH:
            by = next((b for b in current["triggered_by"] or () if b.get("triggerType") == "TRIGGER_EVENT"), None)
            current = self._store.find_run(by["pipelineRunId"]) if by else None
            if current is not None:
                found.insert(0, current["pipeline"])
        return found


def _is_meant(event: TriggerEvent, entry: Entry, run: Mapping[str, Any]) -> bool:
    """By id or alias; `*` is every other pipeline."""
    if event.pipeline_id == "*":
        return bool(run["pipeline"] != entry.alias)
    wanted = event.pipeline_id.lower()
    return event.pipeline_id == run["pipeline"] or wanted in (run["pipeline_id"], pipeline_id(run["pipeline"]))


def outputs_of(run: Mapping[str, Any]) -> dict[str, Any]:
    """What expressions see of a run as `outputs.pipeline_run`."""
    return {
        "pipeline_run_id": run["id"], "pipeline_id": run["pipeline_id"] or pipeline_id(run["pipeline"]),
        "pipeline_name": run["name"], "status": run["status"], "message": run["message"], "started_at": run["started_at"],
        "completed_at": run["ended_at"], "environment": run["environment"], "branch": run["branch"],
    }  # fmt: skip

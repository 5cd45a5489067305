"""Accepting a run: it is recorded, and any engine takes it over from there. Once it is recorded it is never lost.

Who asks again with the same key gets the run that is there: a slot of a schedule, a webhook delivered twice, a double click.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

from rehearse.engine import crash
from rehearse.engine.active import ActiveRun
from rehearse.engine.decisions import Machine
from rehearse.engine.plans import SNAPSHOT, storable_inputs
from rehearse.planning.plan import Plan
from rehearse.planning.selection import Carried
from rehearse.store.database import Row
from rehearse.store.ids import pipeline_id
from rehearse.store.records import NOBODY, Store, timestamp


@dataclass(frozen=True)
class Accepted:
    """`is_new`: False when the key had been used: then it is the run of that time. `message`: why it will not start, if so."""

    run_id: str
    status: str
    is_new: bool
    message: str | None = None


def accept(
    store: Store, root: Path, plan: Plan, carried: Mapping[str, Carried] = {}, *, key: str | None = None, **record: Any
) -> Accepted:
    """Record a run for whichever engine comes first. `record`: more columns of the store, as for `Engine.create`.

    It ends SKIPPED when too many of its pipeline are active. Raises StoreError.
    """
    if key is not None and (found := store.run_with_key(key)):
        return Accepted(found["id"], found["status"], False, found["message"])
    active, row, tasks = lay_out(root, plan, carried, record)
    created = store.create_run(row | {"accept_key": key}, tasks, NOBODY, plan.max_active)
    crash.point("run.recorded")
    if created.run_id != active.id:  # somebody was faster with that key
        shutil.rmtree(root / active.folder)
        found = store.find_run(created.run_id)
        assert found is not None
        return Accepted(created.run_id, found["status"], False, found["message"])
    if created.refused_by:
        return Accepted(active.id, "SKIPPED", True, too_many(plan, created.refused_by))
    return Accepted(active.id, "CREATED", True)


def lay_out(
    root: Path, plan: Plan, carried: Mapping[str, Carried], record: Mapping[str, Any]
) -> tuple[ActiveRun, Row, list[Row]]:
    """A run with its folder and the snapshot in it, and its rows, which are still to be stored."""
    columns = dict(record)
    run_id = columns.pop("id", None) or str(uuid4())
    parent, isolate = columns.pop("parent", None), columns.pop("isolate", False)
    now = datetime.now(UTC)
    machine = Machine(plan, run_id, lambda: datetime.now(UTC), lambda: str(uuid4()), carried)
    folder = f".rehearse/runs/{now:%Y%m%dT%H%M%S}-{run_id[:8]}"
    active = ActiveRun(run_id, plan, machine, root, folder, 0, parent, isolate)
    (root / ".rehearse").mkdir(mode=0o700, exist_ok=True)  # logs are for the owner's eyes
    (root / folder).mkdir(parents=True, exist_ok=True)
    (root / folder / SNAPSHOT).write_text(plan.text, encoding="utf-8")
    row = {
        "id": run_id, "pipeline": plan.alias, "pipeline_id": pipeline_id(plan.alias), "name": plan.name, "file": plan.file,
        "status": "CREATED", "environment": plan.environment, "branch": plan.branch, "inputs": storable_inputs(plan),
        "definition": plan.text, "folder": folder, "trigger": "MANUAL", "max_active": plan.max_active,
        "created_at": timestamp(plan.created_at),
    }  # fmt: skip
    tasks = [active.row(run) for run in machine.runs if run.iteration.group.plan.matrix is None]
    return active, row | columns, tasks


def too_many(plan: Plan, active: int) -> str:
    return f"{active} run(s) of {plan.alias} are active, and max_active is {plan.max_active}"

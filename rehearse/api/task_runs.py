"""Task runs (section 2.6 of the API reference)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import UUID4

from rehearse.api import rows
from rehearse.api.dependencies import Authorized, ServiceHere
from rehearse.api.errors import ApiError
from rehearse.api.models import Envelope, TaskRun
from rehearse.api.paging import PageHere, ShortPageHere, WindowHere, comma_list
from rehearse.api.responses import Json, refused
from rehearse.api.runs import find_run
from rehearse.api.service import Service
from rehearse.store import listing
from rehearse.store.database import Row

router = APIRouter(dependencies=[Authorized])
Superseded = Annotated[bool, Query(description="Also earlier attempts of tasks that were tried again.")]


@router.get("/task_runs", response_model=Envelope[TaskRun])
async def list_task_runs(
    service: ServiceHere,
    page: PageHere,
    window: WindowHere,
    status: str | None = None,
    integration: str | None = None,
    pipeline_ids: str | None = None,
    task_run_ids: str | None = None,
    include_superseded: Superseded = False,
) -> Any:
    """The newest first. There is no filter by pipeline run: see `/pipeline_runs/{id}/task_runs`."""
    ids = [text.lower() for text in comma_list(task_run_ids)]
    tests = listing.Tests()
    tests.among("t.id", ids)
    tests.among("t.status", comma_list(status))
    tests.among("t.integration", comma_list(integration))
    tests.among("r.pipeline_id", [text.lower() for text in comma_list(pipeline_ids)])
    tests.between("t.created_at", *window.unless(bool(ids)))
    found, total = listing.task_runs(
        service.store.database, tests, page.size, page.offset, superseded=include_superseded
    )
    return page.envelope(_shown(service, found), total)


@router.get("/pipeline_runs/{pipeline_run_id}/task_runs", response_model=Envelope[TaskRun], responses=refused(404))
async def list_task_runs_of_run(
    service: ServiceHere, pipeline_run_id: UUID4, page: ShortPageHere, include_superseded: Superseded = False
) -> Any:
    row = find_run(service, pipeline_run_id)
    tests = listing.Tests()
    tests.equal("t.run_id", row["id"])
    found, total = listing.task_runs(
        service.store.database, tests, page.size, page.offset, superseded=include_superseded
    )
    return page.envelope(_shown(service, found), total)


@router.get("/task_runs/{task_run_id}", response_model=TaskRun, responses=refused(404))
async def get_task_run(service: ServiceHere, task_run_id: UUID4) -> Any:
    """Of any age."""
    return Json(_shown(service, [find_task_run(service, str(task_run_id))])[0])


def find_task_run(service: Service, task_run_id: str, run_id: str | None = None) -> Row:
    """Raises ApiError 404, also when it is of another run."""
    tests = listing.Tests()
    tests.equal("t.id", task_run_id)
    tests.equal("t.run_id", run_id)
    found, _ = listing.task_runs(service.store.database, tests, 1, 0)
    if not found:
        raise ApiError(404, "Task run not found")
    return found[0]


def _shown(service: Service, found: Sequence[Row]) -> list[dict[str, Any]]:
    anomalies: dict[str, list[Row]] = {}
    for row in listing.anomalies(service.store.database, list(dict.fromkeys(row["run_id"] for row in found))):
        anomalies.setdefault(row["run_id"], []).append(row)
    return [rows.task_run(service, row, anomalies.get(row["run_id"], ())) for row in found]

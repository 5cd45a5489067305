"""Starting, reading and cancelling runs (sections 2.4, 2.5 and 7 of the API reference)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any

from fastapi import APIRouter, Body, Header, Path, Query, Response
from pydantic import UUID4

from rehearse.api import rows, starts
from rehearse.api.bodies import Body as RequestBody
from rehearse.api.bodies import NoNul
from rehearse.api.dependencies import Authorized, ServiceHere
from rehearse.api.errors import ApiError
from rehearse.api.models import Envelope, PipelineRun, Started
from rehearse.api.paging import PageHere, WindowHere, comma_list
from rehearse.api.responses import Json, refused
from rehearse.api.service import Service
from rehearse.language.statuses import TERMINAL
from rehearse.store import listing
from rehearse.store.database import Row

router = APIRouter(dependencies=[Authorized])


class StartBody(RequestBody):
    branch: NoNul | None = None
    commit: NoNul | None = None
    sha: NoNul | None = None
    version_number: int | None = None
    environment: NoNul | None = None
    environment_overrides: dict[NoNul, starts.Override] | None = None
    run_inputs: dict[NoNul, Any] | None = None
    task_ids: list[NoNul] | None = None
    continue_downstream_run: bool | None = None
    ci_run_id: NoNul | None = None
    retry_from_failed: bool | None = None
    data: list[dict[str, Any]] | None = None


class CancelBody(RequestBody):
    force: bool = False


@router.post("/pipelines/{pipeline_id_or_alias}/start", responses=refused(400, 404))
def start_pipeline(
    service: ServiceHere,
    pipeline_id_or_alias: Annotated[str, Path(min_length=1, max_length=255)],
    body: Annotated[StartBody | None, Body()] = None,
    idempotency_key: Annotated[
        str | None, Header(max_length=255, description="The same key gives the same run.")
    ] = None,
) -> Started:
    """Accept a run: once this answers, the run is kept, whatever dies. It says nothing about how the run will end."""
    wanted = body or StartBody()
    accepted = starts.start(
        service,
        pipeline_id_or_alias,
        starts.Wanted(
            branch=wanted.branch, commit=wanted.commit or wanted.sha, version=wanted.version_number,
            environment=wanted.environment or None, overrides=wanted.environment_overrides or {},
            inputs=wanted.run_inputs or {}, tasks=tuple(wanted.task_ids or ()),
            downstream=bool(wanted.continue_downstream_run), ci_run_id=wanted.ci_run_id,
            from_failed=bool(wanted.retry_from_failed),
            key=f"api/{idempotency_key}" if idempotency_key else None,
        ),
    )  # fmt: skip
    service.wake()
    return Started(id=accepted.pipeline_id, pipelineRunId=accepted.run_id, message=accepted.message)  # type: ignore[arg-type]


@router.get("/pipeline_runs", response_model=Envelope[PipelineRun])
async def list_runs(
    service: ServiceHere,
    page: PageHere,
    window: WindowHere,
    status: str | None = None,
    pipeline_ids: str | None = None,
    pipeline_run_ids: str | None = None,
    environments: Annotated[str | None, Query(description="Ids of environments.")] = None,
) -> Any:
    """The newest first. Without times those of the last day; ids lift that window."""
    ids = [text.lower() for text in comma_list(pipeline_run_ids)]
    tests = listing.Tests()
    tests.among("id", ids)
    tests.among("status", comma_list(status))
    tests.among("pipeline_id", [text.lower() for text in comma_list(pipeline_ids)])
    if environments:
        tests.among("environment", starts.names_of_environments(service, comma_list(environments)) or ["\0"])
    tests.between("created_at", *window.unless(bool(ids)))
    found, total = listing.runs(service.store.database, tests, page.size, page.offset)
    return page.envelope(_shown(service, found), total)


@router.get("/pipeline_runs/{pipeline_run_id}", response_model=PipelineRun, responses=refused(404))
@router.get("/pipeline_runs/{pipeline_run_id}/status", response_model=PipelineRun, responses=refused(404))
async def get_run(service: ServiceHere, pipeline_run_id: UUID4) -> Any:
    """Of any age, with the definition that it runs."""
    row = find_run(service, pipeline_run_id)
    return Json(_shown(service, [row], starts.definition_of(row))[0])


@router.post("/pipeline_runs/{pipeline_run_id}/cancel", status_code=204, responses=refused(400, 404))
def cancel_run(
    service: ServiceHere, pipeline_run_id: UUID4, body: Annotated[CancelBody | None, Body()] = None
) -> Response:
    """Ask for the end of a run; `force` is for one that was asked before and does not end."""
    row = find_run(service, pipeline_run_id)
    if row["status"] in TERMINAL:
        raise ApiError(400, "Pipeline run is already completed")
    asked = service.store.has_request(row["id"], "cancel")
    if body is not None and body.force and not asked:
        raise ApiError(400, "Only a run that was cancelled before can be cancelled by force")
    if not asked or (body is not None and body.force):
        service.store.request(row["id"], "cancel", argument={"force": bool(body and body.force)}, by="the API")
        service.wake()
    return Response(status_code=204)


def find_run(service: Service, run_id: UUID4) -> Row:
    row = service.store.find_run(str(run_id))
    if row is None:
        raise ApiError(404, "Pipeline run not found")
    return row


def _shown(service: Service, found: Iterable[Row], data: dict[str, Any] | None = None) -> list[dict[str, Any]]:
    records = list(found)
    ids = [row["id"] for row in records]
    children = listing.children(service.store.database, ids)
    anomalies: dict[str, list[Row]] = {run_id: [] for run_id in ids}
    for row in listing.anomalies(service.store.database, ids):
        anomalies[row["run_id"]].append(row)
    return [rows.pipeline_run(service, row, children[row["id"]], anomalies[row["id"]], data) for row in records]

"""Operations: what tasks did, one by one (section 2.8 of the API reference)."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import UUID4

from rehearse.api import rows
from rehearse.api.dependencies import Authorized, ServiceHere
from rehearse.api.models import Envelope, Operation, OperationStatus
from rehearse.api.paging import PageHere, WindowHere, comma_list
from rehearse.language.integrations import JOBS_BY_INTEGRATION
from rehearse.store import assets, listing

router = APIRouter(dependencies=[Authorized])
Integration = StrEnum("Integration", {name: name for name in sorted(JOBS_BY_INTEGRATION)})  # type: ignore[misc]


@router.get("/operations", response_model=Envelope[Operation])
async def list_operations(
    service: ServiceHere,
    page: PageHere,
    window: WindowHere,
    operation_type: str | None = None,
    integration: Integration | None = None,
    status: OperationStatus | None = None,
    external_id: Annotated[str | None, Query(max_length=512)] = None,
    task_run_id: UUID4 | None = None,
) -> Any:
    """The newest first. `insertedAt` is the time that the window means: operations are recorded after their task."""
    tests = listing.Tests()
    tests.among("o.type", comma_list(operation_type))
    tests.equal("t.integration", integration.value if integration else None)
    tests.equal("o.status", status.value if status else None)
    tests.equal("o.name", external_id)
    tests.equal("o.task_run_id", str(task_run_id) if task_run_id else None)
    tests.between("o.inserted_at", *window.unless(task_run_id is not None))
    found, total = listing.operations(service.store.database, tests, page.size, page.offset)
    upstream = assets.upstream_names(service.store.database, [row["asset_id"] for row in found if row["asset_id"]])
    shown = [rows.operation(service, row, upstream.get(row["asset_id"], [])) for row in found]
    return page.envelope(shown, total)

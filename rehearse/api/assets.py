"""Assets and what they are made of (section 2.8 of the API reference)."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any
from uuid import uuid4

from fastapi import APIRouter, Body, Path, Response
from pydantic import UUID4, Field

from rehearse.api.bodies import Body as RequestBody
from rehearse.api.bodies import NoNul
from rehearse.api.dependencies import Authorized, ServiceHere
from rehearse.api.errors import ApiError
from rehearse.api.models import Envelope, Strict, Time
from rehearse.api.operations import Integration
from rehearse.api.paging import PageHere, comma_list
from rehearse.api.responses import refused
from rehearse.api.rows import moment
from rehearse.api.service import Service
from rehearse.store import assets
from rehearse.store.database import Row
from rehearse.store.listing import Tests
from rehearse.store.records import timestamp

router = APIRouter(dependencies=[Authorized])
_MOST_EDGES = 100
ExternalId = Annotated[NoNul, Field(min_length=1, max_length=512)]


class AssetType(StrEnum):
    CHART = "CHART"
    DASHBOARD = "DASHBOARD"
    DASHBOARD_VIEWS = "DASHBOARD_VIEWS"
    DATASET = "DATASET"
    QUERIES = "QUERIES"
    TABLE = "TABLE"
    UNKNOWN = "UNKNOWN"
    VIEW = "VIEW"
    WORKBOOK = "WORKBOOK"


class AssetStatus(StrEnum):
    HEALTHY = "HEALTHY"
    UNHEALTHY = "UNHEALTHY"
    UNKNOWN = "UNKNOWN"
    WARNING = "WARNING"


class SortColumn(StrEnum):
    asset_name = "asset_name"
    asset_type = "asset_type"
    status = "status"
    integration = "integration"
    created_in_integration = "created_in_integration"
    last_updated_in_integration = "last_updated_in_integration"


class Direction(StrEnum):
    asc = "asc"
    desc = "desc"


class Asset(Strict):
    assetId: UUID4
    externalId: str
    accountId: UUID4
    integration: str
    integrationAccountId: str
    assetName: str
    assetType: AssetType
    status: AssetStatus
    createdAt: Time
    updatedAt: Time
    databaseName: str | None
    schemaName: str | None
    tableName: str | None
    workspaceName: str | None
    workspaceId: str | None
    connection: str | None
    connectionIntegration: str | None
    lastSuccessfulRun: Time | None
    upstreamDependencies: list[str] | None
    downstreamDependencies: list[str] | None
    integrationAssetType: str | None
    owner: str | None
    owners: list[str] | None
    createdInIntegration: Time | None
    lastUpdatedInIntegration: Time | None
    usagePercentage: float | None
    freshnessConfig: dict[str, Any] | None
    meta: dict[str, Any] | None
    rowCount: int | None
    bytes: int | None
    description: str | None
    url: str | None
    lastViewed: Time | None
    uniqueViewers: int | None
    viewCount: int | None
    viewCountFromTimestamp: Time | None


class AssetBody(RequestBody):
    asset_name: Annotated[NoNul, Field(min_length=1, max_length=512)]
    external_id: ExternalId
    integration_account_id: NoNul
    integration: Integration
    asset_type: AssetType = AssetType.UNKNOWN
    status: AssetStatus = AssetStatus.UNKNOWN
    created_in_integration: datetime | None = None
    last_updated_in_integration: datetime | None = None
    integration_asset_type: NoNul | None = None
    owners: list[NoNul] | None = None
    meta: dict[str, Any] | None = None
    database_name: NoNul | None = None
    schema_name: NoNul | None = None
    table_name: NoNul | None = None
    description: NoNul | None = None
    workspace_name: NoNul | None = None
    workspace_id: NoNul | None = None
    url: NoNul | None = None


class AssetChange(RequestBody):
    created_in_integration: datetime | None = None
    last_updated_in_integration: datetime | None = None
    database_name: NoNul | None = None
    schema_name: NoNul | None = None
    table_name: NoNul | None = None
    description: NoNul | None = None
    meta: dict[str, Any] | None = None
    owners: list[NoNul] | None = None
    table_schema: Annotated[dict[str, Any] | None, Field(alias="schema")] = None
    url: NoNul | None = None
    workspace_id: NoNul | None = None
    workspace_name: NoNul | None = None


class Edge(RequestBody):
    from_id: ExternalId
    to_id: ExternalId
    lineage_detail: Any = None
    integration: NoNul = "ORCHESTRA"


class Edges(RequestBody):
    dependencies: Annotated[list[Edge], Field(max_length=_MOST_EDGES)]


class Created(Strict):
    created: int


@router.get("/assets", response_model=Envelope[Asset])
def list_assets(
    service: ServiceHere,
    page: PageHere,
    asset_type: str | None = None,
    integration: Integration | None = None,
    integration_account_id: str | None = None,
    workspace_id: str | None = None,
    database_name: str | None = None,
    schema_name: str | None = None,
    status: str | None = None,
    asset_ids: str | None = None,
    sort_column: SortColumn = SortColumn.created_in_integration,
    sort_direction: Direction = Direction.desc,
) -> Any:
    """All of them: there is no window of time."""
    tests = Tests()
    tests.among("coalesce(type, 'UNKNOWN')", comma_list(asset_type))
    tests.equal("integration", integration.value if integration else None)
    tests.among("id", [text.lower() for text in comma_list(asset_ids)])
    wanted = {
        "integrationAccountId": integration_account_id, "workspaceId": workspace_id, "databaseName": database_name,
        "schemaName": schema_name,
    }  # fmt: skip
    wanted = {name: value for name, value in wanted.items() if value}
    statuses = comma_list(status)
    database = service.store.database
    column = assets.SORTABLE.get(sort_column.value, "name")
    order = f"{column} {sort_direction.value.upper()}"
    if not wanted and not statuses and sort_column is not SortColumn.status:
        rows, total = assets.page(database, tests, order, page.size, page.offset)
        return page.envelope(_shown(service, rows), total)
    # What these filters mean is not in columns: parts of names, and what the last operation came to.
    rows, _ = assets.page(database, tests, order, 1_000_000, 0)
    shown = [
        asset
        for asset in _shown(service, rows)
        if all(asset[name] == value for name, value in wanted.items()) and (not statuses or asset["status"] in statuses)
    ]
    if sort_column is SortColumn.status:
        shown.sort(key=lambda asset: asset["status"], reverse=sort_direction is Direction.desc)
    return page.envelope(shown[page.offset : page.offset + page.size], len(shown))


@router.post("/assets", status_code=201, response_model=Asset, responses=refused(409))
def create_asset(service: ServiceHere, body: Annotated[AssetBody, Body()]) -> Any:
    now = timestamp(datetime.now().astimezone())
    details = body.model_dump(
        mode="json", by_alias=True, exclude={"external_id", "integration", "asset_type"}, exclude_none=True
    )
    row = {
        "id": str(uuid4()), "integration": body.integration.value, "name": body.external_id, "type": body.asset_type.value,
        "created_at": now, "updated_at": now, "details": details,
    }  # fmt: skip
    if not assets.insert(service.store.database, row):
        raise ApiError(409, f"There is an asset with the externalId {body.external_id} already")
    return _shown(service, [row])[0]


@router.post("/assets/dependencies", status_code=201, responses=refused(404))
def create_dependencies(service: ServiceHere, body: Annotated[Edges, Body()]) -> Created:
    """All of them or none."""
    edges = [(edge.from_id, edge.to_id) for edge in body.dependencies]
    unknown = assets.connect(service.store.database, edges) if edges else []
    if unknown:
        raise ApiError(404, f"Asset not found: {unknown[0]}")
    return Created(created=len(edges))


_AssetId = Annotated[str, Path(min_length=1, max_length=512, description="assetId or externalId")]


@router.get("/assets/{asset_id:path}", response_model=Asset, responses=refused(404))
def get_asset(service: ServiceHere, asset_id: _AssetId) -> Any:
    return _shown(service, [_find(service, asset_id)])[0]


@router.patch("/assets/{asset_id:path}", response_model=Asset, responses=refused(404))
def change_asset(service: ServiceHere, asset_id: _AssetId, body: Annotated[AssetChange, Body()]) -> Any:
    row = _find(service, asset_id)
    details = (row["details"] or {}) | body.model_dump(mode="json", by_alias=True, exclude_unset=True)
    assets.change(service.store.database, row["id"], details)
    return _shown(service, [_find(service, row["id"])])[0]


@router.delete("/assets/{asset_id:path}", status_code=204, responses=refused(404))
def delete_asset(service: ServiceHere, asset_id: _AssetId) -> Response:
    assets.delete(service.store.database, _find(service, asset_id)["id"])
    return Response(status_code=204)


def _find(service: Service, wanted: str) -> Row:
    row = None if "\0" in wanted else assets.find(service.store.database, wanted)
    if row is None:
        raise ApiError(404, "Asset not found")
    return row


_EMPTY = (
    "workspaceName", "workspaceId", "connection", "connectionIntegration", "integrationAssetType", "owner", "owners",
    "usagePercentage", "freshnessConfig", "meta", "rowCount", "bytes", "description", "url", "lastViewed", "uniqueViewers",
    "viewCount", "viewCountFromTimestamp",
)  # fmt: skip
_STATUSES = {"FAILED": "UNHEALTHY", "CANCELLED": "UNKNOWN", "WARNING": "WARNING", None: "UNKNOWN"}


def _shown(service: Service, rows: list[Row]) -> list[dict[str, Any]]:
    ids = [row["id"] for row in rows]
    database = service.store.database
    upstream, downstream = assets.upstream_names(database, ids), assets.downstream_names(database, ids)
    writers = assets.last_writers(database, ids)
    return [
        _asset(service, row, upstream.get(row["id"]), downstream.get(row["id"]), writers.get(row["id"], {}))
        for row in rows
    ]


def _asset(
    service: Service, row: Row, upstream: list[str] | None, downstream: list[str] | None, writer: Row
) -> dict[str, Any]:
    details = row["details"] or {}
    parts = [None, None, *row["name"].split(".")][-3:] if row["type"] in ("TABLE", "VIEW") else [None, None, None]
    status = _STATUSES.get(writer.get("status"), "HEALTHY") if writer else details.get("status", "UNKNOWN")
    kind = row["type"] if row["type"] in AssetType.__members__ else "UNKNOWN"
    empty = dict.fromkeys(_EMPTY)
    known = {
        "assetName": row["name"], "integrationAccountId": service.account_id, "databaseName": parts[0],
        "schemaName": parts[1], "tableName": parts[2], "createdInIntegration": moment(row["created_at"]),
        "lastUpdatedInIntegration": moment(row["updated_at"]),
    }  # fmt: skip
    shown = empty | known | {name: value for name, value in details.items() if name in {*empty, *known}}
    return shown | {
        "assetId": row["id"], "externalId": row["name"], "accountId": service.account_id, "integration": row["integration"],
        "assetType": kind, "status": status, "createdAt": moment(row["created_at"]),
        "updatedAt": moment(row["updated_at"] or row["created_at"]),
        "lastSuccessfulRun": moment(writer.get("succeeded_at")) if writer else None,
        "upstreamDependencies": upstream, "downstreamDependencies": downstream,
    }  # fmt: skip

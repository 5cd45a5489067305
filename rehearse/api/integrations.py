"""What there is to connect to: integrations, their jobs and sensors, and the connections of rehearse.toml (section 2.11)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Body, Query
from pydantic import UUID4

from rehearse.api.bodies import Body as RequestBody
from rehearse.api.bodies import NoNul
from rehearse.api.dependencies import Authorized, ServiceHere
from rehearse.api.errors import ApiError
from rehearse.api.models import Strict, Time
from rehearse.api.operations import Integration
from rehearse.api.responses import refused
from rehearse.language.integrations import JOBS_BY_INTEGRATION, SENSORS
from rehearse.language.parameters import PARAMETERS
from rehearse.store.records import timestamp

router = APIRouter(dependencies=[Authorized])
AuthStatus = Literal["INITIATED", "VALIDATING", "FAILED", "SUCCEEDED", "DEPRECATED"]


class ConnectionRow(Strict):
    integration: str
    authStatus: AuthStatus
    connectionId: str
    connectionName: str
    isDefault: bool
    createdAt: Time
    updatedAt: Time


class FormItem(Strict):
    """Its keys are snake_case on the platform, too."""

    name: str
    type: str
    label: str
    optional: bool
    info: str | None


class IntegrationRow(Strict):
    id: str
    displayName: str
    baseLogoUrl: str | None
    darkModeLogoUrl: str | None
    jobTypes: list[str]
    authSchema: list[FormItem]
    validateSchema: list[FormItem] | None
    status: str
    setupGuideUrl: str | None
    setupDocsUrl: str | None
    supportedAssetTypes: list[str]
    supportedAssetFeatures: list[str] | None
    priority: int
    top: bool
    tags: list[str] | None


class JobRow(Strict):
    id: str
    displayName: str
    description: str | None
    integration: str
    type: str
    status: str
    setupGuideUrl: str | None
    jobSchema: list[FormItem]
    isDataQualityTest: bool | None
    outputKeys: list[str] | None


class SensorRow(Strict):
    id: str
    displayName: str
    description: str | None
    integration: str
    status: str
    sensorSchema: list[FormItem]
    outputKeys: list[str]


class ValidationBody(RequestBody):
    message: NoNul
    status: AuthStatus
    external_message: NoNul | None = None


class Validation(Strict):
    accountId: UUID4
    connectionId: str
    integration: str
    connectionName: str
    isDefault: bool
    credentialStore: str
    authStatus: AuthStatus
    message: str | None
    externalMessage: str | None
    createdAt: Time
    updatedAt: Time
    parameters: dict[str, Any]


class Credentials(Strict):
    subjectId: str
    audience: str


@router.get("/integrations/connections")
def list_connections(
    service: ServiceHere,
    integration: Integration | None = None,
    auth_status: Annotated[AuthStatus | None, Query(alias="authStatus")] = None,
) -> list[ConnectionRow]:
    """Those of rehearse.toml, without what is in them. None is asked whether it works: `rehearse doctor` does that."""
    if auth_status not in (None, "SUCCEEDED"):
        return []
    moment = timestamp(datetime.fromtimestamp(0, UTC))
    return [
        ConnectionRow(
            integration=c.integration, authStatus="SUCCEEDED", connectionId=c.id, connectionName=c.id, isDefault=c.default,
            createdAt=moment, updatedAt=moment,  # type: ignore[arg-type]
        )
        for c in service.bindings().connections.values()
        if integration in (None, c.integration)
    ]  # fmt: skip


@router.get("/integrations/")
def list_integrations(service: ServiceHere) -> list[IntegrationRow]:
    return [_integration(name) for name in sorted(JOBS_BY_INTEGRATION)]


@router.get("/integrations/jobs")
def list_jobs(service: ServiceHere) -> list[JobRow]:
    return [_job(name, job) for name, jobs in sorted(JOBS_BY_INTEGRATION.items()) for job in jobs]


@router.get("/integrations/{integration}")
def get_integration(service: ServiceHere, integration: Integration) -> IntegrationRow:
    return _integration(integration.value)


@router.post("/integrations/{integration}/validate/{connection_id}", responses=refused(404))
def report_validation(
    service: ServiceHere, integration: Integration, connection_id: str, body: Annotated[ValidationBody, Body()]
) -> Validation:
    """The answer of a check of credentials that was made elsewhere. Here nothing waits for one: it is repeated, not kept."""
    connection = service.bindings().connections.get(connection_id)
    if connection is None or connection.integration != integration.value:
        raise ApiError(404, "Connection not found")
    moment = timestamp(datetime.fromtimestamp(0, UTC))
    return Validation(
        accountId=service.account_id, connectionId=connection.id, integration=connection.integration,  # type: ignore[arg-type]
        connectionName=connection.id, isDefault=connection.default, credentialStore="ORCHESTRA", authStatus=body.status,
        message=body.message, externalMessage=body.external_message, createdAt=moment,  # type: ignore[arg-type]
        updatedAt=timestamp(datetime.now(UTC)), parameters={},  # type: ignore[arg-type]
    )  # fmt: skip


@router.get("/sensor_checks/")
def list_sensor_checks(service: ServiceHere) -> list[SensorRow]:
    return [
        SensorRow(
            id=name, displayName=_title(name), description=None, integration=sensor.integration, status="RELEASE",
            sensorSchema=_form(name), outputKeys=list(sensor.outputs),
        )
        for name, sensor in sorted(SENSORS.items())
    ]  # fmt: skip


@router.get("/compute_resources/azure/federated_credentials")
def get_federated_credentials(service: ServiceHere) -> Credentials:
    """A local workspace has no identity at Azure: these lead nowhere."""
    return Credentials(subjectId=f"rehearse:{service.account_id}", audience="api://rehearse.invalid")


@router.get("/setup_guides/{file_path:path}", responses=refused(404))
def get_setup_guide(service: ServiceHere, file_path: str) -> str:
    raise ApiError(404, "There are no setup guides here: rehearse explain has the reference")


def _integration(name: str) -> IntegrationRow:
    return IntegrationRow(
        id=name, displayName=_title(name), baseLogoUrl=None, darkModeLogoUrl=None, jobTypes=[], authSchema=[],
        validateSchema=None, status="RELEASE", setupGuideUrl=None, setupDocsUrl=None, supportedAssetTypes=[],
        supportedAssetFeatures=None, priority=0, top=False, tags=None,
    )  # fmt: skip


def _job(integration: str, job: str) -> JobRow:
    return JobRow(
        id=job, displayName=_title(job), description=None, integration=integration, type="Utility", status="RELEASE",
        setupGuideUrl=None, jobSchema=_form(job), isDataQualityTest=job.endswith("_TEST"), outputKeys=None,
    )  # fmt: skip


def _form(name: str) -> list[FormItem]:
    known = PARAMETERS.get(name)
    if not known:
        return []
    return [
        FormItem(name=key, type=spec.kind, label=_title(key), optional=not spec.required, info=spec.description or None)
        for key, spec in known.items()
    ]


def _title(name: str) -> str:
    return name.replace("_", " ").capitalize()

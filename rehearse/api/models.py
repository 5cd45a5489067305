"""What we answer: closed models, so that the OpenAPI document tells the truth (section 6 of the API reference)."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Generic, TypeVar

from pydantic import UUID4, BaseModel, ConfigDict, PlainSerializer

Row = TypeVar("Row")


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


def _shown(moment: datetime) -> str:
    return moment.isoformat(timespec="microseconds").replace("Z", "+00:00")


Time = Annotated[datetime, PlainSerializer(_shown, return_type=str)]


class Problem(Strict):
    """One thing that is wrong with a request."""

    loc: list[str | int]
    msg: str
    type: str


class Error(Strict):
    detail: str | list[Problem]


class Envelope(Strict, Generic[Row]):
    page: int
    pageSize: int
    total: int
    results: list[Row]


class RunStatus(StrEnum):
    CREATED = "CREATED"
    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    WARNING = "WARNING"
    FAILED = "FAILED"
    SKIPPED = "SKIPPED"
    CANCELLING = "CANCELLING"
    CANCELLED = "CANCELLED"


class TaskRunStatus(StrEnum):
    CREATED = "CREATED"
    SKIPPED = "SKIPPED"
    QUEUED = "QUEUED"
    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    WARNING = "WARNING"
    FAILED = "FAILED"
    CANCELLING = "CANCELLING"
    CANCELLED = "CANCELLED"


class OperationStatus(StrEnum):
    CANCELLED = "CANCELLED"
    FAILED = "FAILED"
    REUSED = "REUSED"
    SKIPPED = "SKIPPED"
    SUCCEEDED = "SUCCEEDED"
    UNKNOWN = "UNKNOWN"
    WARNING = "WARNING"


class ChildRun(Strict):
    pipelineId: UUID4
    pipelineRunId: UUID4
    pipelineName: str


class Anomaly(Strict):
    type: str
    data: dict[str, Any]


class PipelineRun(Strict):
    id: UUID4
    pipelineId: UUID4
    pipelineName: str | None
    accountId: UUID4
    envId: UUID4 | None
    envName: str | None
    runStatus: RunStatus
    message: str
    triggeredBy: list[dict[str, Any]]
    childPipelineRuns: list[ChildRun]
    pipelineVersionNumber: int | None
    branch: str | None
    commit: str | None
    gitLink: str | None
    createdAt: Time
    updatedAt: Time
    startedAt: Time | None
    completedAt: Time | None
    hasAnomalies: bool | None
    anomalies: dict[str, Anomaly] | None
    data: dict[str, Any] | None


class TaskRun(Strict):
    id: UUID4
    pipelineRunId: UUID4
    accountId: UUID4
    pipelineId: UUID4
    taskName: str
    taskId: str
    integration: str
    integrationJob: str
    status: TaskRunStatus
    message: str | None
    externalStatus: str | None
    externalMessage: str | None
    taskParameters: dict[str, Any]
    runParameters: dict[str, Any]
    connectionId: str | None
    computeResourceId: str | None
    platformLink: str | None
    numberOfAttempts: int
    attemptNumber: int
    matrixParent: bool
    matrixParentId: UUID4 | None
    createdAt: Time
    updatedAt: Time
    startedAt: Time | None
    completedAt: Time | None
    dependsOn: list[str] | None
    anomalies: dict[str, Anomaly] | None


class Started(Strict):
    """`id` is the pipeline's."""

    id: UUID4
    pipelineRunId: UUID4
    message: str


class Operation(Strict):
    id: UUID4
    accountId: UUID4
    pipelineRunId: UUID4
    taskRunId: UUID4 | None
    insertedAt: Time
    operationStatus: OperationStatus
    operationType: str
    externalId: str
    operationName: str | None
    message: str | None
    externalStatus: str | None
    externalDetail: str | None
    integration: str | None
    integrationJob: str | None
    startedAt: Time | None
    completedAt: Time | None
    dependencies: list[str]
    operationDuration: float | None
    rowsAffected: int | None
    cost: float | None
    credits: float | None
    creditsLabel: str | None
    currency: str | None
    rawCostAmount: float | None
    rawCostLabel: str | None
    rawCostUnits: str | None
    rawCostIntegration: str | None
    finalCostAmount: float | None
    finalCostCurrency: str | None
    assetExternalId: str | None
    meta: dict[str, Any] | None
    tags: list[str] | None
    canRerun: bool | None

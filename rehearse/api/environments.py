"""Environments: those of rehearse.toml, which are changed there, and those that are created here (section 2.10)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Body, Response
from pydantic import UUID4, Field

from rehearse.api.bodies import Body as RequestBody
from rehearse.api.bodies import NoNul
from rehearse.api.dependencies import Authorized, ServiceHere
from rehearse.api.errors import ApiError
from rehearse.api.models import Strict, Time
from rehearse.api.responses import refused
from rehearse.api.rows import environment_id
from rehearse.api.service import Service
from rehearse.planning.secrets import redact
from rehearse.store import catalog as stored
from rehearse.store.database import Row
from rehearse.store.records import timestamp

router = APIRouter(dependencies=[Authorized])


class Variable(Strict):
    type: Literal["string", "int", "bool", "integration_credential", "LIST", "DICT"]
    value: str | bool | int | float | list[Any] | dict[str, Any]


class Environment(Strict):
    accountId: UUID4
    environmentId: UUID4
    name: str
    defaultEnv: bool


class EnvironmentWithValues(Environment):
    values: dict[str, Variable]
    createdAt: Time
    updatedAt: Time


Name = Annotated[NoNul, Field(min_length=1, max_length=255)]
Values = dict[Annotated[NoNul, Field(min_length=1, max_length=255)], Variable]


class CreateBody(RequestBody):
    name: Name
    values: Values


class ChangeBody(CreateBody):
    default_env: bool


@router.get("/environments")
def list_environments(service: ServiceHere) -> list[Environment]:
    return [Environment(**_brief(service, row)) for row in _all(service)]


@router.post("/environments", status_code=201, responses=refused(409))
def create_environment(service: ServiceHere, body: Annotated[CreateBody, Body()]) -> EnvironmentWithValues:
    """The first one is the default."""
    known = _all(service)
    now = timestamp(datetime.now(UTC))
    row = {
        "id": environment_id(body.name), "name": body.name, "variables": _dumped(body.values), "is_default": not known,
        "created_at": now, "updated_at": now,
    }  # fmt: skip
    if any(row["name"] == other["name"] for other in known) or not stored.put_environment(service.store.database, row):
        raise ApiError(409, f"There is an environment {body.name} already")
    return _full(service, row)


@router.get("/environments/{id}", responses=refused(404))
def get_environment(service: ServiceHere, id: UUID4) -> EnvironmentWithValues:
    """With its variables; of one of rehearse.toml, what looks like a secret is hidden."""
    return _full(service, _find(service, id))


@router.patch("/environments/{id}", responses=refused(400, 404, 409))
def change_environment(service: ServiceHere, id: UUID4, body: Annotated[ChangeBody, Body()]) -> EnvironmentWithValues:
    """`values` replaces all that there were."""
    row = _find(service, id)
    _refuse_file(row)
    if row["is_default"] and not body.default_env:
        raise ApiError(400, "Make another environment the default one instead")
    changed = row | {
        "name": body.name, "variables": _dumped(body.values), "is_default": body.default_env,
        "updated_at": timestamp(datetime.now(UTC)),
    }  # fmt: skip
    taken = any(body.name == other["name"] and other["id"] != row["id"] for other in _all(service))
    if taken or not stored.put_environment(service.store.database, changed):
        raise ApiError(409, f"There is an environment {body.name} already")
    return _full(service, changed)


@router.delete("/environments/{id}", status_code=204, responses=refused(400, 404))
def delete_environment(service: ServiceHere, id: UUID4) -> Response:
    row = _find(service, id)
    _refuse_file(row)
    if row["is_default"] and len(_all(service)) > 1:
        raise ApiError(400, "The default environment cannot be deleted while there are others")
    stored.delete_environment(service.store.database, row["id"])
    return Response(status_code=204)


def _all(service: Service) -> list[Row]:
    """Those of the file first; its first one is the default."""
    bindings = service.bindings()
    moment = timestamp(datetime.fromtimestamp(0, UTC))
    of_file = [
        {
            "id": environment_id(name), "name": name, "is_default": number == 0, "in_file": True, "created_at": moment,
            "updated_at": moment, "variables": _typed(variables, bindings.credentials.get(name, {})),
        }
        for number, (name, variables) in enumerate(bindings.environments.items())
    ]  # fmt: skip
    names = set(bindings.environments)
    created = [row for row in stored.environments(service.store.database) if row["name"] not in names]
    return of_file + [row | {"is_default": bool(row["is_default"]) and not of_file} for row in created]


def _typed(variables: Any, credentials: Any) -> dict[str, Any]:
    kinds = {bool: "bool", int: "int", str: "string", list: "LIST", dict: "DICT"}
    return {
        name: {
            "type": "integration_credential" if name in credentials else kinds.get(type(value), "string"),
            "value": redact(name, value if type(value) in kinds else str(value)),
        }
        for name, value in variables.items()
    }


def _find(service: Service, wanted: UUID4) -> Row:
    for row in _all(service):
        if row["id"] == str(wanted):
            return row
    raise ApiError(404, "Environment not found")


def _refuse_file(row: Row) -> None:
    if row.get("in_file"):
        raise ApiError(400, f"The environment {row['name']} stands in rehearse.toml: change it there")


def _dumped(values: dict[str, Variable]) -> dict[str, Any]:
    return {name: variable.model_dump() for name, variable in values.items()}


def _brief(service: Service, row: Row) -> dict[str, Any]:
    return {
        "accountId": service.account_id, "environmentId": row["id"], "name": row["name"], "defaultEnv": row["is_default"],
    }  # fmt: skip


def _full(service: Service, row: Row) -> EnvironmentWithValues:
    return EnvironmentWithValues(
        **_brief(service, row), values=row["variables"], createdAt=row["created_at"],
        updatedAt=row["updated_at"],
    )  # fmt: skip

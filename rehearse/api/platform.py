"""The platform API: which workspaces a key has (section 2.13 of the API reference)."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import UUID4

from rehearse.api.dependencies import Authorized, ServiceHere
from rehearse.api.models import Strict

router = APIRouter(dependencies=[Authorized])


class Account(Strict):
    id: UUID4
    name: str


@router.get("/accounts")
def list_accounts(service: ServiceHere) -> list[Account]:
    """Its own one."""
    return [Account(id=service.account_id, name=service.account_name)]  # type: ignore[arg-type]

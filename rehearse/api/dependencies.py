"""What routes ask for: the service behind them, and who calls. Async where nothing waits: a thread costs more than the work."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Header, Request

from rehearse.api.errors import ApiError
from rehearse.api.keys import READ_WRITE
from rehearse.api.service import Service


async def service_of(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


ServiceHere = Annotated[Service, Depends(service_of)]


async def authorize(
    request: Request,
    service: ServiceHere,
    authorization: Annotated[str | None, Header()] = None,
    x_orchestra_account_id: Annotated[str | None, Header()] = None,
) -> str:
    """The role of the key; a read-only one may only read. Section 1.2 of the API reference."""
    scheme, _, key = (authorization or "").partition(" ")
    role = service.keys.role(key.strip()) if scheme.lower() == "bearer" else None
    if role is None:
        raise ApiError(401, "Unauthorized")
    if role != READ_WRITE and request.method not in ("GET", "HEAD"):
        raise ApiError(403, "Forbidden: this key may only read")
    if x_orchestra_account_id and x_orchestra_account_id.lower() != service.account_id:
        raise ApiError(403, "Forbidden: this key belongs to another workspace")
    return role


Authorized = Depends(authorize)

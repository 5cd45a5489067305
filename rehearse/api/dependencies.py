"""What routes ask for: the service behind them, and who calls. Async where nothing waits: a thread costs more than the work."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPBearer

from rehearse.api.errors import ApiError
from rehearse.api.keys import READ_WRITE
from rehearse.api.service import Service


async def service_of(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


ServiceHere = Annotated[Service, Depends(service_of)]


class _Key(HTTPBearer):
    """The role of the key; a read-only one may only read. Section 1.2 of the API reference.

    As one dependency without parameters of its own: FastAPI takes a tenth of a millisecond for each.
    """

    async def __call__(self, request: Request) -> str:  # type: ignore[override]  # the role, not the key
        service: Service = request.app.state.service
        scheme, _, key = request.headers.get("authorization", "").partition(" ")
        role = service.keys.role(key.strip()) if scheme.lower() == "bearer" else None
        if role is None:
            raise ApiError(401, "Unauthorized")
        if role != READ_WRITE and request.method not in ("GET", "HEAD"):
            raise ApiError(403, "Forbidden: this key may only read")
        account = request.headers.get("x-orchestra-account-id")
        if account and account.lower() != service.account_id:
            raise ApiError(403, "Forbidden: this key belongs to another workspace")
        return role


Authorized = Depends(_Key())

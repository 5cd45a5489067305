"""Starting, reading and cancelling runs (sections 2.4 and 2.5 of the API reference)."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from rehearse.api.dependencies import Authorized

router = APIRouter()


@router.get("/health")
def health() -> dict[str, Any]:
    """Whether we are there. Needs no key."""
    return {"status": "ok"}


authorized = APIRouter(dependencies=[Authorized])

"""Whether we are there. Needs no key."""

from __future__ import annotations

from fastapi import APIRouter

from rehearse import __version__
from rehearse.api.models import Strict

router = APIRouter()


class Health(Strict):
    status: str
    version: str


@router.get("/health")
def health() -> Health:
    return Health(status="ok", version=__version__)

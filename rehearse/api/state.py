"""State of dbt-orchestra: what was built when, so that it need not be built again (section 2.12 of the API reference)."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Body
from pydantic import Field

from rehearse.api.bodies import NoNul
from rehearse.api.dependencies import Authorized, ServiceHere
from rehearse.api.models import Strict
from rehearse.api.operations import Integration
from rehearse.store import dbt_state

router = APIRouter(dependencies=[Authorized])


class Item(Strict):
    """Its keys are snake_case on the platform, too. `sources` is always a mapping: clients refuse null."""

    last_updated: datetime
    checksum: NoNul
    sources: dict[NoNul, datetime] | None = None


class State(Strict):
    state: dict[Annotated[NoNul, Field(max_length=2000)], Item]


@router.get("/state/{integration}")
def get_state(service: ServiceHere, integration: Integration) -> State:
    found = dbt_state.load(service.store.database, integration.value)
    return State(state={key: Item(**item) for key, item in found.items()})


@router.patch("/state/{integration}")
def patch_state(service: ServiceHere, integration: Integration, body: Annotated[State, Body()]) -> State:
    """Each key that is given is replaced, all others stay: several projects keep their state here."""
    items = {key: item.model_dump(mode="json") for key, item in body.state.items()}
    dbt_state.save(service.store.database, integration.value, items)
    return get_state(service, integration)

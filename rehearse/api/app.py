"""The application: routes at both base paths of the platform, its platform API, and the webhook."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from anyio.to_thread import current_default_thread_limiter
from fastapi import APIRouter, FastAPI

from rehearse.api import (
    assets,
    environments,
    guard,
    health,
    integrations,
    logs,
    operations,
    pipelines,
    platform,
    runs,
    state,
    task_runs,
    webhook,
    welcome,
)  # fmt: skip
from rehearse.api.errors import add_handlers
from rehearse.api.responses import ALWAYS
from rehearse.api.service import Service

ENGINE, OLD_ENGINE, PLATFORM = "/api/engine/public", "/engine/public", "/public/v1"


THREADS = 2
"""Routes that work at the same time. More would only take turns, and those who came first would not be served first. Routes that
only read the store are `async` and have no thread: it takes as long to get one as a page takes to be read."""


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    current_default_thread_limiter().total_tokens = THREADS
    yield


def create_app(service: Service) -> FastAPI:
    app = FastAPI(
        title="Orchestra, played by rehearse",
        version="1",
        openapi_url="/api/engine/openapi.json",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=True,
        lifespan=_lifespan,
    )
    app.state.service = service
    add_handlers(app)
    guard.add_guard(app, service)
    engine = APIRouter(responses=ALWAYS)
    engine.include_router(pipelines.open_router)
    for module in (runs, task_runs, pipelines, logs, operations, assets, environments, integrations, state, health):
        engine.include_router(module.router)
    app.include_router(engine, prefix=ENGINE)
    app.include_router(engine, prefix=OLD_ENGINE, include_in_schema=False)
    app.include_router(platform.router, prefix=PLATFORM, responses=ALWAYS)
    app.include_router(webhook.router, responses=ALWAYS)
    app.include_router(welcome.router)
    return app

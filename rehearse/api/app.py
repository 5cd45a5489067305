"""The application: routes at both base paths of the platform, its platform API, and the webhook."""

from __future__ import annotations

from fastapi import APIRouter, FastAPI

from rehearse.api import guard, runs
from rehearse.api.errors import add_handlers
from rehearse.api.service import Service

ENGINE, OLD_ENGINE, PLATFORM = "/api/engine/public", "/engine/public", "/public/v1"


def create_app(service: Service) -> FastAPI:
    app = FastAPI(
        title="Orchestra, played by rehearse",
        version="1",
        openapi_url="/api/engine/openapi.json",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=True,
    )
    app.state.service = service
    add_handlers(app)
    guard.add_guard(app, service)
    engine = APIRouter()
    engine.include_router(runs.router)
    app.include_router(engine, prefix=ENGINE)
    app.include_router(engine, prefix=OLD_ENGINE, include_in_schema=False)
    return app

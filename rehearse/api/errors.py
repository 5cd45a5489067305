"""Every error is {"detail": ...}: a sentence, or the list of what is wrong with a request (section 1.5 of the API reference)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from rehearse.errors import RehearseError, StoreError


class ApiError(Exception):
    """`detail`: a sentence, or [{"loc": [...], "msg": str, "type": str}]."""

    def __init__(self, status: int, detail: Any, headers: Mapping[str, str] | None = None):
        super().__init__(detail)
        self.status, self.detail, self.headers = status, detail, dict(headers or {})


def invalid(loc: list[str | int], message: str, kind: str = "value_error") -> ApiError:
    """422 about one place: `loc` begins with body, query, path or header."""
    return ApiError(422, [{"loc": loc, "msg": message, "type": kind}])


def add_handlers(app: FastAPI) -> None:
    @app.exception_handler(ApiError)
    def api_error(request: Request, error: ApiError) -> JSONResponse:
        return JSONResponse({"detail": error.detail}, error.status, error.headers)

    @app.exception_handler(HTTPException)
    def http_error(request: Request, error: HTTPException) -> JSONResponse:
        if error.status_code == 400:  # FastAPI's word for a body that is not even text
            problem = {"loc": ["body"], "msg": "The body is not JSON in UTF-8", "type": "json_invalid"}
            return JSONResponse({"detail": [problem]}, 422)
        return JSONResponse({"detail": error.detail}, error.status_code, error.headers)

    @app.exception_handler(RequestValidationError)
    def not_valid(request: Request, error: RequestValidationError) -> JSONResponse:
        problems = [{"loc": list(e["loc"]), "msg": e["msg"], "type": e["type"]} for e in error.errors()]
        return JSONResponse({"detail": problems}, 422)

    @app.exception_handler(StoreError)
    def no_store(request: Request, error: StoreError) -> JSONResponse:
        full = "full" in str(error) or "No space" in str(error)
        return JSONResponse({"detail": f"{error} ({error.hint})" if error.hint else str(error)}, 507 if full else 503)

    @app.exception_handler(RehearseError)
    def refused(request: Request, error: RehearseError) -> JSONResponse:
        return JSONResponse({"detail": f"{error} ({error.hint})" if error.hint else str(error)}, 400)

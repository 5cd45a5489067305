"""How answers are written, and which errors a route may answer with. Any may answer 401, 403, 422, 429 and 503."""

from __future__ import annotations

from typing import Any

import orjson
from starlette.responses import JSONResponse

from rehearse.api.models import Error

_SAID = {
    400: "What was asked for cannot be done", 401: "No key, or a wrong one", 403: "This key may not do that", 404: "Not found",
    409: "It is there already, or has ended", 413: "Too large", 415: "The body is not JSON", 416: "Nothing at that range",
    422: "The request is not valid", 429: "Too many requests: wait Retry-After seconds", 503: "The store cannot be used",
    507: "The disk is full",
}  # fmt: skip


class Json(JSONResponse):
    """A tenth of the time that `json` takes, a page is 40 KB. NaN of an output becomes null: JSON has no such number."""

    def render(self, content: Any) -> bytes:
        try:
            return orjson.dumps(content)
        except TypeError:  # an integer of more than 64 bits
            return super().render(content)


def refused(*statuses: int) -> dict[int | str, dict[str, Any]]:
    return {status: {"model": Error, "description": _SAID[status]} for status in statuses}


ALWAYS = refused(401, 403, 415, 422, 429, 503, 507)

"""A stand-in for Salesforce's REST API over one SQLite file: OAuth token, query and queryAll with paging, describe; Bulk 2.0.

A query's matching rows are remembered as row numbers when it is first asked, so its later pages neither skip nor repeat
a row while `change` writes.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import re
import secrets
import time
from array import array
from collections import OrderedDict
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox import store
from sandbox.layouts import SALESFORCE
from sandbox.salesforce_bulk import Bulk
from sandbox.soql import Query, SoqlError, parse

INSTANCE = "https://lumengoods.my.salesforce.com"
PAGE = 2000
OBJECTS = {name: columns.types for name, columns in SALESFORCE.items()}
_SOAP = {
    "datetime": "xsd:dateTime",
    "boolean": "xsd:boolean",
    "currency": "xsd:double",
    "id": "tns:ID",
    "reference": "tns:ID",
}
_LENGTHS = {"id": 18, "reference": 18, "email": 80, "string": 255, "picklist": 255}
MAX_CURSORS, MAX_TOKENS = 200, 1000


def _error(status: int, code: str, message: str) -> JSONResponse:
    return JSONResponse([{"message": message, "errorCode": code}], status)


class Salesforce:
    def __init__(self, data: Path, settings: dict[str, Any]):
        self.data, self.settings = data, settings
        self.tokens: OrderedDict[str, None] = OrderedDict()
        self.cursors: OrderedDict[str, tuple[Query, array[int]]] = OrderedDict()

    # login

    async def token(self, request: Request) -> Response:
        given = dict(parse_qsl((await request.body()).decode(errors="replace")))
        scheme, _, encoded = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "basic":
            try:
                pair = base64.b64decode(encoded).decode()
            except (binascii.Error, UnicodeDecodeError):
                pair = ""
            given["client_id"], _, given["client_secret"] = pair.partition(":")
        problem = self._refusal(given)
        if problem:
            return JSONResponse({"error": problem[0], "error_description": problem[1]}, 400)
        token = f"00D5g0000000001!{secrets.token_urlsafe(48)}"
        self.tokens[token] = None
        while len(self.tokens) > MAX_TOKENS:
            self.tokens.popitem(last=False)
        return JSONResponse(
            {
                "access_token": token,
                "signature": base64.b64encode(secrets.token_bytes(32)).decode(),
                "scope": "api",
                "instance_url": INSTANCE,
                "id": f"{INSTANCE}/id/00D5g0000000001EAA/0055g0000000001AAA",
                "token_type": "Bearer",
                "issued_at": str(int(time.time() * 1000)),
            }
        )

    def _refusal(self, given: dict[str, str]) -> tuple[str, str] | None:
        def right(name: str, setting: str) -> bool:
            return hmac.compare_digest(given.get(name, "").encode(), str(self.settings[setting]).encode())

        if given.get("grant_type") not in ("client_credentials", "password"):
            return "unsupported_grant_type", "grant type not supported"
        if not right("client_id", "consumer_key"):
            return "invalid_client_id", "client identifier invalid"
        if not right("client_secret", "consumer_secret"):
            return "invalid_client", "invalid client credentials"
        if given["grant_type"] == "password" and not (right("username", "username") and right("password", "password")):
            return "invalid_grant", "authentication failure"
        return None

    def denied(self, request: Request) -> Response | None:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme in ("Bearer", "OAuth") and token in self.tokens:
            return None
        return _error(401, "INVALID_SESSION_ID", "Session expired or invalid")

    # queries

    def query(self, request: Request) -> Response:
        if denied := self.denied(request):
            return denied
        try:
            query, numbers = self.matching(request.query_params.get("q", ""), deleted="queryAll" in request.url.path)
        except SoqlError as error:
            return _error(400, error.code, str(error))
        if not query.fields:
            return JSONResponse({"totalSize": len(numbers), "done": True, "records": []})
        return self._page(request, query, numbers, 0, None)

    def matching(self, text: str, *, deleted: bool) -> tuple[Query, array[int]]:
        """A query, and the row numbers of what it finds. Raises SoqlError."""
        query = parse(text, OBJECTS)
        conditions = [*([query.where] if query.where else []), *([] if deleted else ['"IsDeleted" = 0'])]
        where = f" where {' and '.join(conditions)}" if conditions else ""
        with closing(store.read(self.data)) as connection:
            found = connection.execute(f'select rowid from "{query.object}"{where}{query.tail}', query.values)
            return query, array("q", (number for (number,) in found))

    def rows(self, query: Query, numbers: array[int]) -> list[tuple[str, list[Any]]]:
        """Id and values of each row, in that order."""
        names = ", ".join(f'"{field}"' for field in query.fields)
        booleans = [OBJECTS[query.object][field] == "boolean" for field in query.fields]
        with closing(store.read(self.data)) as connection:
            found = connection.execute(
                f'select rowid, "Id", {names} from "{query.object}" where rowid in (select value from json_each(?))',
                [f"[{','.join(map(str, numbers))}]"],
            )
            by_number = {
                number: (
                    key,
                    [bool(v) if boolean and v is not None else v for v, boolean in zip(values, booleans, strict=True)],
                )
                for number, key, *values in found
            }
        return [by_number[number] for number in numbers]

    def more(self, request: Request) -> Response:
        if denied := self.denied(request):
            return denied
        name, _, offset = request.path_params["locator"].rpartition("-")
        if name not in self.cursors or not offset.isdigit():
            return _error(400, "INVALID_QUERY_LOCATOR", "invalid query locator")
        query, numbers = self.cursors[name]
        return self._page(request, query, numbers, int(offset), name)

    def _page(self, request: Request, query: Query, numbers: array[int], offset: int, cursor: str | None) -> Response:
        size = self._page_size(request)
        version, kind = request.path_params["version"], query.object
        records = [
            {
                "attributes": {"type": kind, "url": f"/services/data/{version}/sobjects/{kind}/{key}"},
                **dict(zip(query.fields, values, strict=True)),
            }
            for key, values in self.rows(query, numbers[offset : offset + size])
        ]
        content: dict[str, Any] = {"totalSize": len(numbers), "done": offset + size >= len(numbers)}
        if not content["done"]:
            cursor = cursor or self._remember(query, numbers)
            content["nextRecordsUrl"] = f"/services/data/{version}/query/{cursor}-{offset + size}"
        return JSONResponse({**content, "records": records})

    def _remember(self, query: Query, numbers: array[int]) -> str:
        name = "01g5g" + secrets.token_hex(7)[:13].upper()
        self.cursors[name] = (query, numbers)
        while len(self.cursors) > MAX_CURSORS:
            self.cursors.popitem(last=False)
        return name

    def _page_size(self, request: Request) -> int:
        asked = re.search(r"batchSize\s*=\s*(\d+)", request.headers.get("sforce-query-options", ""), re.IGNORECASE)
        return min(max(int(asked[1]), 200), PAGE) if asked else PAGE

    # descriptions

    def versions(self, request: Request) -> Response:
        return JSONResponse([{"label": "Summer '26", "url": "/services/data/v67.0", "version": "67.0"}])

    def sobjects(self, request: Request) -> Response:
        if denied := self.denied(request):
            return denied
        return JSONResponse(
            {"encoding": "UTF-8", "maxBatchSize": 200, "sobjects": [self._about(name) for name in OBJECTS]}
        )

    def describe(self, request: Request) -> Response:
        if denied := self.denied(request):
            return denied
        name = request.path_params["object"]
        if name not in OBJECTS:
            return _error(404, "NOT_FOUND", "The requested resource does not exist")
        fields = [
            {
                "name": field,
                "label": re.sub(r"(?<=[a-z])(?=[A-Z])", " ", field),
                "type": kind,
                "soapType": _SOAP.get(kind, "xsd:string"),
                "length": _LENGTHS.get(kind, 0),
                "precision": 18 if kind == "currency" else 0,
                "scale": 0,
                "nillable": field not in ("Id", "Name", "LastName", "IsDeleted") and kind != "datetime",
                "custom": False,
                "filterable": True,
                "sortable": True,
                "referenceTo": ["User" if field == "OwnerId" else "Account"] if kind == "reference" else [],
            }
            for field, kind in OBJECTS[name].items()
        ]
        return JSONResponse({**self._about(name), "fields": fields})

    def _about(self, name: str) -> dict[str, Any]:
        prefix = {"Account": "001", "Contact": "003"}[name]
        plain = {"name": name, "label": name, "labelPlural": f"{name}s", "keyPrefix": prefix, "custom": False}
        rights = {"queryable": True, "retrieveable": True, "createable": False, "updateable": False, "deletable": False}
        return plain | rights


async def _not_found(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    if status == 405:
        return _error(405, "METHOD_NOT_ALLOWED", f"HTTP Method '{request.method}' not allowed")
    return _error(status, "NOT_FOUND", "The requested resource does not exist")


def create_app(data: Path, settings: dict[str, Any]) -> Starlette:
    """The ASGI app over the SQLite file `data`; `settings` has consumer_key, consumer_secret, username and password."""
    api = Salesforce(data, settings)
    root = "/services/data/{version}"
    routes = [Route("/services/oauth2/token", api.token, methods=["POST"]), Route("/services/data", api.versions)]
    for name in ("query", "queryAll"):
        routes += [Route(f"{root}/{name}", api.query), Route(f"{root}/{name}/", api.query)]
        routes += [Route(f"{root}/{name}/{{locator}}", api.more)]
    routes += [Route(f"{root}/sobjects", api.sobjects), Route(f"{root}/sobjects/{{object}}/describe", api.describe)]
    routes += Bulk(api, _error).routes(root)
    return Starlette(routes=routes, exception_handlers={HTTPException: _not_found})

"""A stand-in for SAP's OData v2 service API_OUTBOUND_DELIVERY_SRV over one SQLite file: read-only, basic auth.

Pages have 1,000 rows at most; `__next` holds the absolute address of the next page. Without `$orderby` a page continues
after the last key, otherwise after a number of rows.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote
from xml.sax.saxutils import quoteattr

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from sandbox import store
from sandbox.layouts import SAP
from sandbox.odata_filter import ODataError, order_by, select, where

SERVICE = "/sap/opu/odata/sap/API_OUTBOUND_DELIVERY_SRV"
ENTITY_SET, ENTITY_TYPE, KEY = "A_OutbDeliveryHeader", "A_OutbDeliveryHeaderType", "DeliveryDocument"
TYPES = SAP[ENTITY_SET].types
PAGE = 1000
_OPTIONS = ("$filter", "$orderby", "$select", "$top", "$skip", "$skiptoken", "$inlinecount", "$format")
_LENGTHS = {"DeliveryDocument": 10, "DeliveryDocumentType": 4, "SoldToParty": 10, "ShippingPoint": 4}
_VERSION = {"DataServiceVersion": "2.0"}


def _error(status: int, code: str, message: str, headers: dict[str, str] | None = None) -> JSONResponse:
    content = {"error": {"code": code, "message": {"lang": "en", "value": message}}}
    return JSONResponse(content, status, headers={**_VERSION, **(headers or {})})


def _wire(name: str, value: Any) -> Any:
    """A stored value in OData v2's JSON: decimals are texts, instants `/Date(milliseconds)/`."""
    if value is None or TYPES[name] == "Edm.String":
        return value
    if TYPES[name] == "Edm.Decimal":
        return f"{value // 1000}.{value % 1000:03d}"
    return f"/Date({value}{'+0000' if TYPES[name] == 'Edm.DateTimeOffset' else ''})/"


class Sap:
    def __init__(self, data: Path, settings: dict[str, Any]):
        self.data = data
        self.login = f"{settings['username']}:{settings['password']}".encode()

    def denied(self, request: Request) -> Response | None:
        scheme, _, encoded = request.headers.get("authorization", "").partition(" ")
        try:
            given = base64.b64decode(encoded) if scheme.lower() == "basic" else b""
        except binascii.Error:
            given = b""
        if hmac.compare_digest(given, self.login):
            return None
        return _error(401, "/IWFND/CM_CORE/401", "Logon failed", {"WWW-Authenticate": 'Basic realm="SAP NetWeaver"'})

    def service(self, request: Request) -> Response:
        return self.denied(request) or JSONResponse({"d": {"EntitySets": [ENTITY_SET]}}, headers=_VERSION)

    def metadata(self, request: Request) -> Response:
        return self.denied(request) or Response(edmx(), media_type="application/xml", headers=_VERSION)

    def entity_set(self, request: Request) -> Response:
        if denied := self.denied(request):
            return denied
        try:
            return self._list(request, dict(request.query_params))
        except ODataError as error:
            return _error(400, "/IWBEP/CM_MGW_RT/021", str(error))

    def count(self, request: Request) -> Response:
        if denied := self.denied(request):
            return denied
        try:
            condition, values = where(request.query_params.get("$filter", ""), TYPES)
        except ODataError as error:
            return _error(400, "/IWBEP/CM_MGW_RT/021", str(error))
        return PlainTextResponse(str(self._count(condition, values)), headers=_VERSION)

    def entity(self, request: Request) -> Response:
        if denied := self.denied(request):
            return denied
        key = request.path_params["key"].removeprefix(f"{KEY}=")
        if len(key) < 2 or key[0] != "'" or key[-1] != "'":
            return _error(400, "/IWBEP/CM_MGW_RT/021", f"Invalid key predicate '{key}': it is a quoted text")
        try:
            names = select(request.query_params.get("$select", "*"), TYPES)
        except ODataError as error:
            return _error(400, "/IWBEP/CM_MGW_RT/021", str(error))
        found = self._rows(request, names, f'"{KEY}" = ?', [key[1:-1].replace("''", "'")], f'"{KEY}"', 1, 0)
        if not found:
            return _error(404, "/IWBEP/CM_MGW_RT/020", f"Resource not found for segment '{ENTITY_TYPE}'")
        return JSONResponse({"d": found[0]}, headers=_VERSION)

    def _list(self, request: Request, options: dict[str, str]) -> Response:
        for name in options:
            if name.startswith("$") and name not in _OPTIONS:
                raise ODataError(f"System query option '{name}' is not supported")
        if options.get("$format", "json") != "json":
            raise ODataError("Only $format=json is supported")
        numbers = {}
        for name in ("$top", "$skip"):
            if not (text := options.get(name, "0")).isdecimal():
                raise ODataError(f"Invalid value '{text}' for {name}")
            numbers[name] = int(text)
        left = numbers["$top"] if "$top" in options else None
        names = select(options.get("$select", "*"), TYPES)
        condition, values = where(options.get("$filter", ""), TYPES)
        content: dict[str, Any] = {}
        if options.get("$inlinecount") == "allpages":
            content["__count"] = str(self._count(condition, values))
        skip, token, ordered = numbers["$skip"], options.get("$skiptoken"), "$orderby" in options
        if token and ordered:
            if not token.isdecimal():
                raise ODataError(f"Invalid $skiptoken '{token}'")
            skip = int(token)
        elif token:
            condition, values, skip = f'{condition} and "{KEY}" > ?', [*values, token], 0
        order = order_by(options["$orderby"], TYPES, KEY) if ordered else f'"{KEY}"'
        size = PAGE if left is None else min(PAGE, left)
        found = self._rows(request, [*names, KEY], condition, values, order, size + 1, skip)
        page = found[:size]
        if len(found) > size and left != size:
            following = {**options, "$skiptoken": str(skip + size) if ordered else page[-1][KEY]}
            following.pop("$skip", None)
            if left is not None:
                following["$top"] = str(left - size)
            query = "&".join(f"{quote(name, safe='$')}={quote(value, safe='')}" for name, value in following.items())
            content["__next"] = f"{self._root(request)}/{ENTITY_SET}?{query}"
        if KEY not in names:
            for row in page:
                del row[KEY]
        return JSONResponse({"d": {"results": page, **content}}, headers=_VERSION)

    def _root(self, request: Request) -> str:
        return f"{request.url.scheme}://{request.url.netloc}{SERVICE}"

    def _count(self, condition: str, values: list[Any]) -> int:
        with closing(store.read(self.data)) as connection:
            return int(
                connection.execute(f'select count(*) from "{ENTITY_SET}" where {condition}', values).fetchone()[0]
            )

    def _rows(
        self, request: Request, names: list[str], condition: str, values: list[Any], order: str, limit: int, skip: int
    ) -> list[dict[str, Any]]:
        columns = ", ".join(f'"{name}"' for name in names)
        sql = f'select "{KEY}", {columns} from "{ENTITY_SET}" where {condition} order by {order} limit ? offset ?'
        with closing(store.read(self.data)) as connection:
            found = connection.execute(sql, [*values, limit, skip]).fetchall()
        root, rows = self._root(request), []
        for key, *row in found:
            uri = f"{root}/{ENTITY_SET}('{key}')"
            meta = {"id": uri, "uri": uri, "type": f"API_OUTBOUND_DELIVERY_SRV.{ENTITY_TYPE}"}
            shown = {name: _wire(name, value) for name, value in zip(names, row, strict=True)}
            rows.append({"__metadata": meta, **shown})
        return rows


def edmx() -> str:
    """The service's $metadata."""
    properties = []
    for name, kind in TYPES.items():
        facets = ' Nullable="false"' if name == KEY else ""
        if kind == "Edm.String":
            facets += f' MaxLength="{_LENGTHS.get(name, 20)}"'
        elif kind == "Edm.Decimal":
            facets += ' Precision="15" Scale="3"'
        elif kind in ("Edm.DateTime", "Edm.DateTimeOffset"):
            facets += ' Precision="0"' + (' sap:display-format="Date"' if kind == "Edm.DateTime" else "")
        properties.append(f'        <Property Name={quoteattr(name)} Type="{kind}"{facets}/>')
    lines = "\n".join(properties)
    return f"""<?xml version="1.0" encoding="utf-8"?>
<edmx:Edmx Version="1.0" xmlns:edmx="http://schemas.microsoft.com/ado/2007/06/edmx"
    xmlns:m="http://schemas.microsoft.com/ado/2007/08/dataservices/metadata" xmlns:sap="http://www.sap.com/Protocols/SAPData">
  <edmx:DataServices m:DataServiceVersion="2.0">
    <Schema Namespace="API_OUTBOUND_DELIVERY_SRV" xmlns="http://schemas.microsoft.com/ado/2008/09/edm">
      <EntityType Name="{ENTITY_TYPE}">
        <Key><PropertyRef Name="{KEY}"/></Key>
{lines}
      </EntityType>
      <EntityContainer Name="API_OUTBOUND_DELIVERY_SRV_Entities" m:IsDefaultEntityContainer="true">
        <EntitySet Name="{ENTITY_SET}" EntityType="API_OUTBOUND_DELIVERY_SRV.{ENTITY_TYPE}"/>
      </EntityContainer>
    </Schema>
  </edmx:DataServices>
</edmx:Edmx>
"""


async def _not_found(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    message = f"Resource not found for segment '{request.url.path.rsplit('/', 1)[-1]}'"
    return _error(status, "/IWFND/CM_BEC/026", message)


def create_app(data: Path, settings: dict[str, Any]) -> Starlette:
    """The ASGI app over the SQLite file `data`; `settings` has username and password."""
    api = Sap(data, settings)
    routes = [
        Route(SERVICE, api.service),
        Route(f"{SERVICE}/", api.service),
        Route(f"{SERVICE}/$metadata", api.metadata),
        Route(f"{SERVICE}/{ENTITY_SET}", api.entity_set),
        Route(f"{SERVICE}/{ENTITY_SET}/$count", api.count),
        Route(f"{SERVICE}/{ENTITY_SET}({{key}})", api.entity),
    ]
    return Starlette(routes=routes, exception_handlers={HTTPException: _not_found})

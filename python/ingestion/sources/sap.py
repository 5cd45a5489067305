"""SAP OData v2 and v4 over httpx: typed by $metadata, paged by the server's links, retried with patience for 429 and 5xx."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import urljoin
from xml.etree import ElementTree

import httpx
import pyarrow as pa
from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception,
    stop_after_attempt,
    stop_after_delay,
    wait_random_exponential,
)

from ingestion import settings
from ingestion.catalogue import Entry, SourceSettings
from ingestion.errors import SourceError, first_line, place, unreachable
from ingestion.sources import EVERYTHING, Found, Span

JSON = "application/json;IEEE754Compatible=true"
"""Decimals and 64-bit integers as text, as v2 has them always: a JSON number would lose digits."""
UTC_TIME = pa.timestamp("us", tz="UTC")
TYPES = {"Edm.Boolean": pa.bool_(), "Edm.Byte": pa.int16(), "Edm.SByte": pa.int16(), "Edm.Int16": pa.int16(),
         "Edm.Int32": pa.int32(), "Edm.Int64": pa.int64(), "Edm.Single": pa.float64(), "Edm.Double": pa.float64(),
         "Edm.DateTime": UTC_TIME, "Edm.DateTimeOffset": UTC_TIME, "Edm.Date": pa.date32()}  # fmt: skip
DATE = re.compile(r"/Date\((-?\d+)(?:[+-]\d{1,4})?\)/")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
PATIENCE = 60  # seconds of retries for a system that answers, but not now
PATIENCE_REFUSED = 3  # attempts for one that does not answer at all: a stopped system fails within seconds


class Sap:
    """One HTTP client with basic authentication."""

    def __init__(self, source: SourceSettings) -> None:
        config = settings.read(source.name, ("url", "username", "password"))
        self.url = str(config["url"]).rstrip("/") + "/"
        self.client = httpx.Client(
            auth=(str(config["username"]), str(config["password"])), timeout=httpx.Timeout(60, connect=5),
            headers={"Accept": JSON}, follow_redirects=False,
        )  # fmt: skip

    def batches(self, entry: Entry, span: Span) -> Iterator[pa.Table]:
        yield from self._read(entry, entry.columns, span)

    def keys(self, entry: Entry) -> Iterator[pa.Table]:
        yield from self._read(entry, entry.key, EVERYTHING)

    def count(self, entry: Entry, span: Span) -> int | None:
        params = _filter(entry, span, metadata_version(self._metadata()) if span else 2)
        answer = (
            self._get(urljoin(self.url, f"{entry.entity}/$count"), params, "text/plain").text.strip().lstrip("\ufeff")
        )
        if not answer.isdecimal():
            raise self._failed(f"not a number of rows: {first_line(answer[:200] or 'empty')}")
        return int(answer)

    def entities(self) -> Iterator[Found]:
        document = self._metadata()
        for name in metadata_sets(document):
            types = metadata_types(document, name)
            yield Found(
                name, metadata_key(document, name), {column: kind == UTC_TIME for column, kind in types.items()}
            )

    def close(self) -> None:
        self.client.close()

    def _read(self, entry: Entry, columns: tuple[str, ...], span: Span) -> Iterator[pa.Table]:
        document = self._metadata()
        types, version = metadata_types(document, entry.entity), metadata_version(document)
        wanted = columns or tuple(types)
        if missing := [name for name in (*wanted, *entry.key, entry.cursor) if name and name not in types]:
            raise self._failed(
                f"{entry.entity} lacks {', '.join(missing)}" if types else f"no entity set {entry.entity}"
            )
        params = {"$format": "json", "$select": ",".join(wanted), **_filter(entry, span, version)}
        url, seen = urljoin(self.url, entry.entity), set()
        while url:
            if url in seen:
                raise self._failed("the paging runs in a circle: the next link repeats")
            seen.add(url)
            rows, following = self._page(self._get(url, params), version)
            try:
                table = to_arrow(rows, {name: types[name] for name in wanted})
            except (pa.ArrowException, ArithmeticError, ValueError, TypeError) as error:
                raise self._failed(first_line(error)) from error
            yield table
            # The link is complete: sending the parameters again would start over. It may be relative.
            url, params = urljoin(url, following) if following else "", {}
            if url and httpx.URL(url).host != httpx.URL(self.url).host:
                raise self._failed("the next link leads to another host; the password stays here")

    def _metadata(self) -> bytes:
        return self._get(urljoin(self.url, "$metadata"), {}, "application/xml").content

    def _page(self, response: httpx.Response, version: int) -> tuple[list[dict[str, Any]], str | None]:
        try:
            if version == 4:
                answer = response.json()
                return answer["value"], answer.get("@odata.nextLink")
            data = response.json()["d"]
            return (data, None) if isinstance(data, list) else (data["results"], data.get("__next"))
        except (ValueError, KeyError, TypeError) as error:
            what = first_line(response.text[:200] or "empty")
            raise self._failed(f"not an OData v{version} answer: {what}") from error

    def _get(self, url: str, params: dict[str, str], accept: str = JSON) -> httpx.Response:
        stop = stop_after_delay(PATIENCE)
        retrying = Retrying(
            retry=retry_if_exception(_passing), wait=_wait, reraise=True,
            stop=lambda state: stop(state) or (not _answered(state) and stop_after_attempt(PATIENCE_REFUSED)(state)),
        )  # fmt: skip
        try:
            # A URL that brings its own query must keep it: httpx would replace it by an empty one.
            return retrying(
                lambda: self.client.get(url, params=params or None, headers={"Accept": accept}).raise_for_status()
            )
        except httpx.HTTPStatusError as error:
            status = error.response.status_code
            hint = "check SOURCES__SAP__USERNAME and SOURCES__SAP__PASSWORD" if status in (401, 403) else None
            text = " ".join(error.response.text.split())[:150]
            raise self._failed(f"HTTP {status} {error.response.reason_phrase} {text}".strip(), hint) from error
        except httpx.HTTPError as error:
            raise unreachable("sap", self.url, str(error) or type(error).__name__) from error

    def _failed(self, why: str, hint: str | None = None) -> SourceError:
        return SourceError("sap cannot be read", where=place(self.url), why=why, hint=hint)


def metadata_version(document: bytes) -> int:
    """4 or 2, which reads 3 as well. Raises SourceError."""
    return 4 if _parsed(document).get("Version", "").startswith("4") else 2


def metadata_types(document: bytes, entity_set: str) -> dict[str, pa.DataType]:
    """Property -> Arrow type of an entity set; empty when $metadata does not know the set. Raises SourceError."""
    found = _entity_type(document, entity_set)
    return (
        {str(p.get("Name")): _arrow_type(p) for p in found if p.tag.endswith("}Property")} if found is not None else {}
    )


def metadata_key(document: bytes, entity_set: str) -> tuple[str, ...]:
    found = _entity_type(document, entity_set)
    return (
        tuple(str(p.get("Name")) for p in found.iter() if p.tag.endswith("}PropertyRef")) if found is not None else ()
    )


def metadata_sets(document: bytes) -> dict[str, str]:
    """Entity set -> the name of its type. Raises SourceError."""
    root = _parsed(document)
    return {
        str(e.get("Name")): str(e.get("EntityType")).rpartition(".")[2]
        for e in root.iter()
        if e.tag.endswith("}EntitySet")
    }


def _parsed(document: bytes) -> ElementTree.Element:
    try:
        return ElementTree.fromstring(document)
    except ElementTree.ParseError as error:
        raise SourceError("sap cannot be read", why=f"$metadata is not XML: {error}") from error


def _entity_type(document: bytes, entity_set: str) -> ElementTree.Element | None:
    kind = metadata_sets(document).get(entity_set)
    types = (e for e in _parsed(document).iter() if e.tag.endswith("}EntityType"))
    return next((e for e in types if kind is not None and e.get("Name") == kind), None)


def _arrow_type(field: ElementTree.Element) -> pa.DataType:
    kind = str(field.get("Type"))
    if kind == "Edm.Decimal":
        scale = field.get("Scale") or "0"
        unbounded = not scale.isdecimal()  # variable, floating (v4)
        return pa.decimal128(38, 9) if unbounded else pa.decimal128(int(field.get("Precision") or 38), int(scale))
    return TYPES.get(kind, pa.string())


def to_arrow(rows: list[dict[str, Any]], types: dict[str, pa.DataType]) -> pa.Table:
    """OData JSON rows as an Arrow table: decimals and 64-bit integers are text there, times of v2 are /Date(ms)/."""
    return pa.table(
        {name: pa.array([_value(row.get(name), kind) for row in rows], kind) for name, kind in types.items()}
    )


def _value(value: Any, kind: pa.DataType) -> Any:
    if value is None:
        return None
    if kind == UTC_TIME:
        return parse_date(value) if value.startswith("/") else datetime.fromisoformat(value).astimezone(UTC)
    if pa.types.is_date32(kind):
        return date.fromisoformat(value)
    if pa.types.is_decimal(kind):
        return Decimal(value)
    if pa.types.is_integer(kind):
        return int(value)
    if pa.types.is_floating(kind):
        return float(value)
    return value if pa.types.is_boolean(kind) or isinstance(value, str) else str(value)


def parse_date(text: str) -> datetime:
    """/Date(ms)/ or /Date(ms+0060)/ in UTC: the milliseconds already are UTC, the offset in minutes only says where the
    writer was. Raises ValueError."""
    match = DATE.fullmatch(text)
    if not match:
        raise ValueError(f"not an OData v2 date: {text[:60]!r}")
    return EPOCH + timedelta(milliseconds=int(match[1]))


def _filter(entry: Entry, span: Span, version: int) -> dict[str, str]:
    bounds = [
        f"{entry.cursor} {sign} {literal(bound, version)}"
        for sign, bound in (("ge", span.lower), ("lt", span.upper))
        if bound is not None
    ]
    return {"$filter": " and ".join(bounds)} if bounds else {}


def literal(value: Any, version: int = 2) -> str:
    """A bound for $filter."""
    if isinstance(value, datetime):
        text = value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return f"datetimeoffset'{text}'" if version == 2 else text
    return str(value) if isinstance(value, (int, Decimal, date)) else "'" + str(value).replace("'", "''") + "'"


def _passing(error: BaseException) -> bool:
    if isinstance(error, httpx.HTTPStatusError):
        return error.response.status_code == 429 or error.response.status_code >= 500
    return isinstance(error, httpx.TransportError)


def _answered(state: RetryCallState) -> bool:
    return state.outcome is not None and isinstance(state.outcome.exception(), httpx.HTTPStatusError)


def _wait(state: RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    if isinstance(error, httpx.HTTPStatusError) and (after := error.response.headers.get("Retry-After", "")).isdigit():
        return min(float(after), 30.0)
    return wait_random_exponential(multiplier=0.3, max=5)(state)

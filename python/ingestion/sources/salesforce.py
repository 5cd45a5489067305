"""Salesforce over its REST API with simple-salesforce: SOQL through queryAll, typed by describe."""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice
from typing import Any
from urllib.parse import urlsplit

import pyarrow as pa
import requests
from pyarrow import csv
from requests.adapters import HTTPAdapter
from simple_salesforce import Salesforce as Client
from simple_salesforce.exceptions import SalesforceError, SalesforceOperationError
from urllib3.util.retry import Retry

from ingestion import settings
from ingestion.catalogue import Entry, SourceSettings
from ingestion.errors import SourceError, first_line, place, unreachable
from ingestion.sources import Found, Span

BATCH_ROWS = 5_000
BULK_FROM, BULK_ROWS = 20_000, 50_000
"""Rows from which on a bulk job is made (it takes seconds to begin), and rows of a page of it."""
LOGIN = ("username", "password", "security_token", "organizationId", "consumer_key", "consumer_secret", "privatekey_file",
         "privatekey", "session_id", "instance_url", "domain", "version")  # fmt: skip
FLOWS = (
    ("consumer_key", "consumer_secret", "domain"),  # client credentials
    ("username", "password", "security_token"), ("username", "password", "organizationId"),
    ("username", "password", "consumer_key", "consumer_secret"), ("username", "consumer_key", "privatekey_file"),
    ("username", "consumer_key", "privatekey"), ("session_id", "instance_url"),
)  # fmt: skip
"""Ways to log in, by what they need; see simple_salesforce.Salesforce."""
TIMEOUT = (5, 120)  # seconds to connect, seconds without a byte
# Statuses worth another try; a refused connection gets few tries, because a stopped system should fail in seconds.
RETRY = Retry(total=4, connect=2, read=2, backoff_factor=0.3, status_forcelist=(429, 500, 502, 503, 504),
              allowed_methods=None, retry_after_max=30)  # fmt: skip
UTC_TIME = pa.timestamp("us", tz="UTC")
TYPES = {"boolean": pa.bool_(), "int": pa.int64(), "long": pa.int64(), "double": pa.float64(), "currency": pa.float64(),
         "percent": pa.float64(), "datetime": UTC_TIME, "date": pa.date32()}  # fmt: skip


class Adapter(HTTPAdapter):
    """Adds a timeout to every request, and sends *.salesforce.com to `endpoint` when one is configured."""

    def __init__(self, endpoint: str | None) -> None:
        super().__init__(max_retries=RETRY)
        self.endpoint = endpoint.rstrip("/") if endpoint else None

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:  # type: ignore[override]
        url = urlsplit(str(request.url))
        if self.endpoint and (url.hostname or "").endswith(".salesforce.com"):
            request.url = self.endpoint + url.path + (f"?{url.query}" if url.query else "")
        return super().send(request, **{**options, "timeout": options.get("timeout") or TIMEOUT})


class Salesforce:
    """One login; every read is a SOQL query that also returns deleted records."""

    def __init__(self, source: SourceSettings) -> None:
        config = settings.read(source.name, (), (*LOGIN, "endpoint"))
        login = {name: config[name] for name in LOGIN if config[name]}
        if not any(set(flow) <= login.keys() for flow in FLOWS):
            settings.read(source.name, next((flow for flow in FLOWS if flow[0] in login), FLOWS[0]))
        self.url = (
            config["endpoint"]
            or login.get("instance_url")
            or f"https://{login.get('domain') or 'login'}.salesforce.com"
        )
        self.session = requests.Session()
        self.session.mount("https://", Adapter(config["endpoint"]))
        with self._errors("the login failed"):
            self.client = Client(session=self.session, **login)

    def batches(self, entry: Entry, span: Span) -> Iterator[pa.Table]:
        yield from self._read(entry, entry.columns, _where(entry, span), include_deleted=True)

    def keys(self, entry: Entry) -> Iterator[pa.Table]:
        yield from self._read(entry, entry.key, "", include_deleted=False)

    def count(self, entry: Entry, span: Span) -> int | None:
        with self._errors(f"counting {entry.entity} failed"):
            query = f"SELECT COUNT() FROM {entry.entity}{_where(entry, span)}"
            return int(self.client.query(query, include_deleted=True)["totalSize"])

    def entities(self) -> Iterator[Found]:
        with self._errors("asking for its objects failed"):
            names = [found["name"] for found in self.client.describe()["sobjects"] if found.get("queryable", True)]
            for name in names:
                fields = getattr(self.client, name).describe()["fields"]
                yield Found(name, ("Id",), {field["name"]: field["type"] == "datetime" for field in fields})

    def close(self) -> None:
        self.session.close()

    def _read(self, entry: Entry, columns: tuple[str, ...], where: str, include_deleted: bool) -> Iterator[pa.Table]:
        with self._errors(f"reading {entry.entity} failed"):
            schema = self._schema(entry, columns)
            yield schema.empty_table()
            total = self.client.query(f"SELECT COUNT() FROM {entry.entity}{where}", include_deleted=include_deleted)[
                "totalSize"
            ]
            query = f"SELECT {', '.join(schema.names)} FROM {entry.entity}{where}"
            if total < int(entry.read.get("bulk_from", BULK_FROM)):
                yield from self._pages(query, schema, include_deleted)
            else:
                yield from self._bulk(entry.entity, query, schema, include_deleted)
        self._mind_the_limit()

    def _pages(self, query: str, schema: pa.Schema, include_deleted: bool) -> Iterator[pa.Table]:
        rows = self.client.query_all_iter(query, include_deleted=include_deleted)
        while chunk := list(islice(rows, BATCH_ROWS)):
            yield pa.table(
                {field.name: _column([row.get(field.name) for row in chunk], field.type) for field in schema}
            )

    def _bulk(self, entity: str, query: str, schema: pa.Schema, include_deleted: bool) -> Iterator[pa.Table]:
        """A job of Bulk API 2.0: fifty thousand rows per call instead of two thousand, as CSV."""
        bulk = getattr(self.client.bulk2, entity)
        read = bulk.query_all if include_deleted else bulk.query
        options = csv.ConvertOptions(column_types=schema, strings_can_be_null=True, null_values=[""], true_values=["true"],
                                     false_values=["false"], include_columns=schema.names)  # fmt: skip
        parsing = csv.ParseOptions(newlines_in_values=True)
        for page in read(query, max_records=BULK_ROWS):
            yield csv.read_csv(io.BytesIO(page.encode()), parse_options=parsing, convert_options=options)

    def _mind_the_limit(self) -> None:
        """Salesforce says with each answer how many calls of the day are gone."""
        usage = (self.client.api_usage or {}).get("api-usage")
        if usage and usage.used >= usage.total * 0.9:
            print(f"warning: {usage.used:,} of {usage.total:,} API calls of the day are used", file=sys.stderr)

    def _schema(self, entry: Entry, columns: tuple[str, ...]) -> pa.Schema:
        description = getattr(self.client, entry.entity).describe()
        # Compound fields (address, location) only repeat what their parts say, and SOQL cannot stream base64.
        types = {f["name"]: TYPES.get(f["type"], pa.string()) for f in description["fields"]
                 if f["type"] not in ("address", "location", "base64")}  # fmt: skip
        wanted = columns or tuple(types)
        if missing := [name for name in (*wanted, *entry.key, entry.cursor) if name and name not in types]:
            raise SourceError(f"{entry.entity} lacks {', '.join(missing)}", where=place(self.url),
                              why="the field does not exist or the user may not see it")  # fmt: skip
        return pa.schema([(name, types[name]) for name in wanted])

    def _errors(self, what: str) -> _Translate:
        return _Translate(self.url, what)


class _Translate:
    """Turns the client's exceptions into SourceError. Its client raises them from several families."""

    def __init__(self, url: str, what: str) -> None:
        self.url, self.what = url, what

    def __enter__(self) -> None: ...

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, requests.RequestException):
            raise unreachable("salesforce", self.url, _reason(error)) from error
        if isinstance(error, (SalesforceError, SalesforceOperationError)):
            raise SourceError(f"salesforce: {self.what}", where=place(self.url), why=first_line(error),
                              hint="check consumer_key, consumer_secret, domain and rights") from error  # fmt: skip
        if isinstance(error, (pa.ArrowException, KeyError, ValueError)):
            raise SourceError(f"salesforce: {self.what}", where=place(self.url), why=first_line(error)) from error


def _column(values: list[Any], kind: pa.DataType) -> pa.Array:
    if kind == UTC_TIME:
        # '2026-06-30T08:00:00.000+0000', which fromisoformat reads from Python 3.11 on
        values = [datetime.fromisoformat(value).astimezone(UTC) if value else None for value in values]
    elif pa.types.is_date32(kind):
        values = [datetime.fromisoformat(value).date() if value else None for value in values]
    elif pa.types.is_string(kind):
        values = [value if value is None or isinstance(value, str) else str(value) for value in values]
    return pa.array(values, kind)


def _where(entry: Entry, span: Span) -> str:
    bounds = [
        f"{entry.cursor} {sign} {_literal(bound)}"
        for sign, bound in ((">=", span.lower), ("<", span.upper))
        if bound is not None
    ]
    return f" WHERE {' AND '.join(bounds)}" if bounds else ""


def _literal(value: Any) -> str:
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{value.microsecond // 1000:03d}Z"
    return "'" + str(value).replace("\\", "\\\\").replace("'", "\\'") + "'"


def _reason(error: Exception) -> str:
    text = str(error)
    if refusals := re.search(r"too many (\d{3}) error responses", text):
        return f"HTTP {refusals[1]} again and again"
    return "connection refused" if "refused" in text.lower() else first_line(text)

"""Any JSON API over HTTP, declared in the catalogue: dlt's REST client with its paginators and its ways to log in.

_source: {kind: rest, auth: {type: bearer}, paginator: {...}}; per object `read`: {params, data_selector, paginator, from_param,
to_param, method, json}. entity is the path. Credentials and `base_url` are settings of the source, never in the catalogue.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import pyarrow as pa
import requests
from dlt.common.exceptions import DltException
from dlt.sources.helpers.requests import Client
from dlt.sources.helpers.rest_client import RESTClient
from dlt.sources.rest_api.config_setup import create_auth, create_paginator

from ingestion import settings
from ingestion.catalogue import Entry, SourceSettings
from ingestion.errors import ConfigError, SourceError, UsageError, did_you_mean, first_line, place, unreachable
from ingestion.sources import Span, WholeRows
from ingestion.sources.rows import RowTables

ATTEMPTS, BACKOFF = 5, 1.0  # tries of a request; seconds after the first, doubled each time
OPTIONS = ("params", "data_selector", "paginator", "from_param", "to_param", "method", "json")
AUTH = {"bearer": ("token",), "api_key": ("api_key",), "http_basic": ("username", "password")}
_UTC_TIME = pa.timestamp("us", tz="UTC")


class Rest(WholeRows):
    def __init__(self, source: SourceSettings) -> None:
        self.name, self.options = source.name, source.options
        auth = dict(self.options.get("auth") or {})
        kind = auth.get("type")
        if kind is not None and kind not in AUTH:
            raise ConfigError(f"{source.name}: auth.type is {kind!r}", hint=f"known: {', '.join(AUTH)}")
        self.secrets = AUTH.get(str(kind), ())
        config = settings.read(source.name, ("base_url", *self.secrets))
        self.url = str(config["base_url"])
        self.auth = create_auth({**auth, **{name: config[name] for name in self.secrets}}) if kind else None  # type: ignore[arg-type]

    def batches(self, entry: Entry, span: Span) -> Iterator[pa.Table]:
        """Cursor values that are texts of times become times, so that bounds can be compared."""
        read = {**self.options, **entry.read}
        for name in entry.read:
            if name not in OPTIONS:
                raise UsageError(f"{entry.source}.{entry.name} has an unknown option read.{name}.{did_you_mean(name, OPTIONS)}",
                                 hint=f"known: {', '.join(OPTIONS)}")  # fmt: skip
        params = dict(read.get("params") or {})
        for name, bound in (("from_param", span.lower), ("to_param", span.upper)):
            if bound is not None and read.get(name):
                params[read[name]] = bound.isoformat().replace("+00:00", "Z") if isinstance(bound, datetime) else bound
        paginator = create_paginator(read["paginator"]) if read.get("paginator") else None
        client = RESTClient(
            self.url,
            auth=self.auth,
            paginator=paginator,
            data_selector=read.get("data_selector"),
            session=self._session(),
        )
        tables = RowTables()
        try:
            pages = client.paginate(
                entry.entity, method=read.get("method", "GET"), params=params, json=read.get("json")
            )
            for page in pages:
                rows = [row if isinstance(row, dict) else {"value": row} for row in page]
                if rows:
                    self._refuse_missing(rows[0], entry)
                    table = _with_times(_chosen(tables.table(rows), entry), entry)
                    yield _inside(table, entry, span)
        except requests.HTTPError as error:
            status, text = error.response.status_code, " ".join(error.response.text.split())[:150]
            names = " and ".join(settings.variable(self.name, secret) for secret in self.secrets)
            raise SourceError(
                f"reading {entry.entity} failed", where=place(self.url), why=f"HTTP {status} {text}".strip(),
                hint=f"check {names or 'auth in the catalogue'}" if status in (401, 403) else None,
            ) from error  # fmt: skip
        except requests.RequestException as error:
            raise unreachable(self.name, self.url, error) from error
        except (DltException, pa.ArrowException, ValueError, KeyError, TypeError) as error:
            raise SourceError(f"reading {entry.entity} failed", where=place(self.url), why=first_line(error)) from error

    def _refuse_missing(self, row: dict[str, Any], entry: Entry) -> None:
        if missing := [name for name in (*entry.key, entry.cursor) if name and name not in row]:
            raise SourceError(
                f"{entry.entity} is not as the catalogue says", where=place(self.url), why=f"it lacks {', '.join(missing)}",
                hint=f"it has {', '.join(row)}",
            )  # fmt: skip

    def _session(self) -> requests.Session:
        """dlt's, with its retries, for this host only: a next link that leads elsewhere would take the key along."""
        session = Client(request_timeout=60, request_max_attempts=ATTEMPTS, request_backoff_factor=BACKOFF).session
        send, host = session.send, urlsplit(self.url).netloc

        def guarded(request: requests.PreparedRequest, **options: Any) -> requests.Response:
            if urlsplit(str(request.url)).netloc != host:
                raise SourceError(
                    f"{self.name} leads to another host", where=place(str(request.url)), why="the credentials stay here"
                )
            return send(request, **options)

        session.send = guarded  # type: ignore[method-assign]
        return session


def _chosen(table: pa.Table, entry: Entry) -> pa.Table:
    return table.select(list(entry.columns)) if entry.columns else table


def _with_times(table: pa.Table, entry: Entry) -> pa.Table:
    if not entry.cursor or not pa.types.is_string(table[entry.cursor].type):
        return table
    index = table.column_names.index(entry.cursor)
    try:
        values = [None if text is None else _moment(text) for text in table[entry.cursor].to_pylist()]
    except ValueError:
        return table  # it is a text that grows, then
    return table.set_column(index, entry.cursor, pa.array(values, _UTC_TIME))


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def _inside(table: pa.Table, entry: Entry, span: Span) -> pa.Table:
    """An API that knows no bound sends everything."""
    import pyarrow.compute as pc

    for bound, compare in ((span.lower, pc.greater_equal), (span.upper, pc.less)):
        if bound is not None and entry.cursor:
            column = table[entry.cursor]
            table = table.filter(pc.or_(compare(column, pa.scalar(bound, column.type)), pc.is_null(column)))
    return table

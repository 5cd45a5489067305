"""PostgreSQL over ADBC: COPY streamed into Arrow record batches, inside one read-only snapshot."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import chain
from typing import Any

import adbc_driver_manager
import adbc_driver_postgresql.dbapi as adbc
import pyarrow as pa
import pyarrow.compute as pc

from ingestion import settings
from ingestion.catalogue import Entry
from ingestion.errors import ConfigError, SourceError, first_line, place, unreachable

# What numeric without a declared precision becomes; values that do not fit fail loudly instead of being rounded.
UNBOUNDED_NUMERIC = pa.decimal128(38, 9)
COLUMNS = """
select column_name, data_type, numeric_precision, numeric_scale
from information_schema.columns where table_schema = {schema} and table_name = {table} order by ordinal_position
"""


class Postgres:
    """One connection and one transaction, so rows and keys come from the same snapshot."""

    def __init__(self) -> None:
        self.url = str(settings.read("postgres", ("credentials",))["credentials"])
        if not re.match(r"postgres(ql)?://", self.url):
            raise ConfigError(
                "SOURCES__POSTGRES__CREDENTIALS must look like postgresql://user:password@host:port/database"
            )
        try:
            # Without a timeout a dropped packet (a firewall) would hang the invocation for minutes.
            timeout = "" if "connect_timeout=" in self.url else ("&" if "?" in self.url else "?") + "connect_timeout=10"
            self.connection = adbc.connect(self.url + timeout)
            self.cursor = self.connection.cursor()
            self.cursor.execute("set transaction isolation level repeatable read, read only")
            self.cursor.execute("set local time zone 'UTC'")
        except adbc_driver_manager.Error as error:
            raise unreachable("postgres", self.url, _reason(error)) from error

    def batches(self, entry: Entry, lower: Any | None) -> Iterator[pa.RecordBatch]:
        types = self._types(entry)
        where = f" where {_quote(entry.cursor)} >= {_literal(lower)}" if lower is not None and entry.cursor else ""
        yield from self._read(entry, types, entry.columns or tuple(types), where)

    def keys(self, entry: Entry) -> Iterator[pa.RecordBatch]:
        yield from self._read(entry, self._types(entry), entry.key, "")

    def close(self) -> None:
        self.cursor.close()
        self.connection.close()

    def _types(self, entry: Entry) -> dict[str, pa.DataType | None]:
        """Column name -> the decimal type to cast to, None for columns that arrive as they should."""
        schema, table = _split(entry)
        query = COLUMNS.format(schema=_literal(schema), table=_literal(table))
        types: dict[str, pa.DataType | None] = {}
        for name, kind, precision, scale in self._execute(query).fetchall():
            types[name] = None
            if kind == "numeric":
                types[name] = pa.decimal128(precision, scale) if precision and precision <= 38 else UNBOUNDED_NUMERIC
        missing = [name for name in (*entry.key, entry.cursor, *entry.columns) if name and name not in types]
        if missing:
            why = f"it lacks {', '.join(missing)}" if types else "no such table, or no right to read it"
            raise SourceError(f"{entry.entity} is not as the catalogue says", where=place(self.url), why=why,
                              hint=f"compare python/objects/{entry.source}.yml with the database")  # fmt: skip
        return types

    def _read(
        self, entry: Entry, types: dict[str, pa.DataType | None], columns: tuple[str, ...], where: str
    ) -> Iterator[pa.RecordBatch]:
        relation = ".".join(map(_quote, _split(entry)))
        query = f"select {', '.join(map(_quote, columns))} from {relation}{where}"
        try:
            reader = self._execute(query).fetch_record_batch()
            empty = pa.record_batch([pa.array([], field.type) for field in reader.schema], schema=reader.schema)
            for batch in chain([empty], reader):
                yield pa.record_batch([_plain(batch.column(n), types[n]) for n in columns], names=list(columns))
        except (adbc_driver_manager.Error, pa.ArrowException) as error:
            raise SourceError(f"reading {entry.entity} failed", where=place(self.url), why=_reason(error)) from error

    def _execute(self, query: str) -> adbc.Cursor:
        try:
            self.cursor.execute(query)
        except adbc_driver_manager.Error as error:
            raise SourceError("a query failed", where=place(self.url), why=_reason(error)) from error
        return self.cursor


def _plain(column: pa.Array, decimal: pa.DataType | None) -> pa.Array:
    """ADBC hands numeric (and types it does not know) over as an opaque extension on text: take the text, then cast."""
    if isinstance(column, pa.ExtensionArray):
        column = column.storage
    if decimal is not None:
        return pc.cast(column, decimal)
    if pa.types.is_timestamp(column.type) and column.type.tz:
        return column.cast(pa.timestamp("us", tz="UTC"))
    return column


def _split(entry: Entry) -> tuple[str, str]:
    schema, _, table = entry.entity.rpartition(".")
    return schema or "public", table


def _quote(name: str | None) -> str:
    return '"' + str(name).replace('"', '""') + '"'


def _literal(value: Any) -> str:
    """A literal, not a parameter: with parameters ADBC gives up COPY and holds the whole result in memory."""
    if isinstance(value, datetime):
        value = value if value.tzinfo else value.replace(tzinfo=UTC)
        return f"'{value.isoformat()}'::timestamptz"
    return "'" + str(value).replace("'", "''") + "'"


def _reason(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    detail = next((line for line in lines if "FATAL" in line or "ERROR" in line or "failed:" in line), None)
    return first_line(detail or error)

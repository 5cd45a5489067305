"""PostgreSQL over ADBC: COPY streamed into Arrow record batches, inside one read-only snapshot."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import chain
from typing import Any, NamedTuple

import adbc_driver_manager
import adbc_driver_postgresql.dbapi as adbc
import pyarrow as pa
import pyarrow.compute as pc

from ingestion import settings
from ingestion.catalogue import Entry, SourceSettings
from ingestion.errors import ConfigError, SourceError, first_line, place, unreachable
from ingestion.sources import Found, Span
from ingestion.totals import Totals, from_rows, months, query

# What numeric without a declared precision becomes; values that do not fit fail loudly instead of being rounded.
UNBOUNDED_NUMERIC = pa.decimal128(38, 9)
COLUMNS = """
select column_name, data_type, numeric_precision, numeric_scale
from information_schema.columns where table_schema = {schema} and table_name = {table} order by ordinal_position
"""
ENTITIES = """
select n.nspname, c.relname,
  (select array_agg(a.attname::text order by array_position(i.indkey::int2[], a.attnum)) from pg_index i
   join pg_attribute a on a.attrelid = c.oid and a.attnum = any(i.indkey) where i.indrelid = c.oid and i.indisprimary),
  (select array_agg(a.attname::text order by a.attnum) from pg_attribute a
   where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped),
  (select array_agg(a.attname::text order by a.attnum) from pg_attribute a
   where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and a.atttypid in (1114, 1184))
from pg_class c join pg_namespace n on n.oid = c.relnamespace
where c.relkind in ('r', 'p', 'v', 'm') and n.nspname not in ('pg_catalog', 'information_schema') and n.nspname !~ '^pg_toast'
order by 1, 2
"""


# What ADBC makes of these is what they are. Everything else would come as the bytes of PostgreSQL's protocol: it is read as
# text, and arrays as JSON.
NATIVE = {
    "boolean", "smallint", "integer", "bigint", "oid", "real", "double precision", "text", "character varying", "character",
    "name", "bytea", "time without time zone", "json", "jsonb",
}  # fmt: skip
INTEGERS = ("smallint", "integer", "bigint")
TIMES = ("date", "timestamp with time zone", "timestamp without time zone")


class Postgres:
    """One connection and one transaction, so rows and keys come from the same snapshot."""

    def __init__(self, source: SourceSettings) -> None:
        self.url = str(settings.read(source.name, ("credentials",))["credentials"])
        if not re.match(r"postgres(ql)?://", self.url):
            raise ConfigError(
                f"{settings.variable(source.name, 'credentials')} must look like "
                "postgresql://user:password@host:port/database"
            )
        try:
            # Without a timeout a dropped packet (a firewall) would hang the invocation for minutes.
            timeout = "" if "connect_timeout=" in self.url else ("&" if "?" in self.url else "?") + "connect_timeout=10"
            self.connection = adbc.connect(self.url + timeout)
            self.cursor = self.connection.cursor()
            self.cursor.execute("set transaction isolation level repeatable read, read only")
            self.cursor.execute("set local time zone 'UTC'")
        except adbc_driver_manager.Error as error:
            raise unreachable(source.name, self.url, _reason(error)) from error

    def batches(self, entry: Entry, span: Span) -> Iterator[pa.RecordBatch]:
        columns = self._columns(entry)
        yield from self._read(entry, columns, entry.columns or tuple(columns), _where(entry, span))

    def keys(self, entry: Entry) -> Iterator[pa.RecordBatch]:
        yield from self._read(entry, self._columns(entry), entry.key, "")

    def count(self, entry: Entry, span: Span) -> int | None:
        """Of the whole table what the planner thinks, which costs nothing; -1 is a table that was never analyzed."""
        self._columns(entry)
        if not span:
            relation = _literal(_relation(entry))
            [(estimate,)] = self._execute(
                f"select reltuples::bigint from pg_class where oid = {relation}::regclass"
            ).fetchall()
            if estimate > 0:
                return int(estimate)
        [(count,)] = self._execute(f"select count(*) from {_relation(entry)}{_where(entry, span)}").fetchall()
        return int(count)

    def totals(self, entry: Entry) -> Totals:
        """Rows, and the sums of numbers that are loaded as they are, per month of the cursor. Raises SourceError."""
        columns = self._columns(entry)
        names = [name for name in entry.columns or columns if columns[name].is_number and not _is_changed(entry, name)]
        bare = {name: column.sql.removesuffix(f" as {_quote(name)}") for name, column in columns.items()}
        cursor, edges = _quote(entry.cursor) if entry.cursor else None, ()
        if entry.cursor:
            bounds = f"min({bare[entry.cursor]}), max({bare[entry.cursor]})"
            [(low, high)] = self._execute(f"select {bounds} from {_relation(entry)}").fetchall()
            edges = months(low, high)
        sums = [bare[name] for name in names]
        return from_rows(edges, names, self._execute(query(_relation(entry), cursor, edges, sums)).fetchall())

    def entities(self) -> Iterator[Found]:
        for schema, table, key, columns, times in self._execute(ENTITIES).fetchall():
            yield Found(f"{schema}.{table}", tuple(key or ()), {name: name in (times or ()) for name in columns})

    def close(self) -> None:
        self.cursor.close()
        self.connection.close()

    def _columns(self, entry: Entry) -> dict[str, _Column]:
        schema, table = _split(entry)
        query = COLUMNS.format(schema=_literal(schema), table=_literal(table))
        found = {name: _column(name, *kind) for name, *kind in self._execute(query).fetchall()}
        missing = [name for name in (*entry.key, entry.cursor, *entry.columns) if name and name not in found]
        if missing or not found:
            why = f"it lacks {', '.join(missing)}" if found else "no such table, or no right to read it"
            raise SourceError(f"{entry.entity} is not as the catalogue says", where=place(self.url), why=why,
                              hint=f"compare python/objects/{entry.source}.yml with the database")  # fmt: skip
        return found

    def _read(
        self, entry: Entry, columns: dict[str, _Column], names: tuple[str, ...], where: str
    ) -> Iterator[pa.RecordBatch]:
        query = f"select {', '.join(columns[name].sql for name in names)} from {_relation(entry)}{where}"
        try:
            reader = self._execute(query).fetch_record_batch()
            empty = pa.record_batch([pa.array([], field.type) for field in reader.schema], schema=reader.schema)
            for batch in chain([empty], reader):
                yield pa.record_batch([_plain(batch.column(n), columns[n].type) for n in names], names=list(names))
        except (adbc_driver_manager.Error, pa.ArrowException) as error:
            raise SourceError(f"reading {entry.entity} failed", where=place(self.url), why=_reason(error)) from error

    def _execute(self, query: str) -> adbc.Cursor:
        try:
            self.cursor.execute(query)
        except adbc_driver_manager.Error as error:
            raise SourceError("a query failed", where=place(self.url), why=_reason(error)) from error
        return self.cursor


class _Column(NamedTuple):
    """How a column is asked for, and the decimal type that it is cast to (None: it arrives as it should)."""

    sql: str
    type: pa.DataType | None
    is_number: bool = False
    """One whose sum is exact."""


def _column(name: str, kind: str, precision: int | None, scale: int | None) -> _Column:
    quoted = _quote(name)
    if kind == "numeric":
        fits = precision is not None and precision <= 38
        decimal = pa.decimal128(precision, scale) if fits else UNBOUNDED_NUMERIC
        return _Column(f"nullif({quoted}, 'NaN') as {quoted}", decimal, fits)
    if kind == "money":
        return _Column(f"{quoted}::numeric as {quoted}", pa.decimal128(19, 2))
    if kind in TIMES:  # infinity comes over the wire as a number that overflows; other systems end at the year 9999
        last = "9999-12-31" if kind == "date" else "9999-12-31 23:59:59.999999"
        zone = "+00" if kind == "timestamp with time zone" else ""
        first = "0001-01-01" if kind == "date" else "0001-01-01 00:00:00"
        bounded = (
            f"when {quoted} > '{last}{zone}' then '{last}{zone}' when {quoted} < '{first}{zone}' then '{first}{zone}'"
        )
        return _Column(f"case {bounded} else {quoted} end as {quoted}", None)
    if kind == "ARRAY":
        return _Column(f"to_json({quoted})::text as {quoted}", None)
    return _Column(quoted if kind in NATIVE else f"{quoted}::text as {quoted}", None, kind in INTEGERS)


def _plain(column: pa.Array, decimal: pa.DataType | None) -> pa.Array:
    """ADBC hands numeric and JSON over as an extension on text: take the text, then cast."""
    if isinstance(column, pa.ExtensionArray):
        column = column.storage
    if decimal is not None:
        return pc.cast(column, decimal)
    if pa.types.is_timestamp(column.type):
        return column.cast(pa.timestamp("us", tz="UTC" if column.type.tz else None))
    return column


def _is_changed(entry: Entry, column: str) -> bool:
    """Whether the catalogue makes something else of its values."""
    return column in entry.mask or column in entry.types


def _split(entry: Entry) -> tuple[str, str]:
    schema, _, table = entry.entity.rpartition(".")
    return schema or "public", table


def _relation(entry: Entry) -> str:
    return ".".join(map(_quote, _split(entry)))


def _where(entry: Entry, span: Span) -> str:
    bounds = [
        f"{_quote(entry.cursor)} {sign} {_literal(bound)}"
        for sign, bound in ((">=", span.lower), ("<", span.upper))
        if bound is not None and entry.cursor
    ]
    return f" where {' and '.join(bounds)}" if bounds else ""


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

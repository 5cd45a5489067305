"""Any database that SQLAlchemy knows: MySQL, SQL Server, Oracle, SQLite, ... entity = schema.table, or a table's name."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, NoSuchTableError, SQLAlchemyError

from ingestion import settings
from ingestion.catalogue import Entry, SourceSettings
from ingestion.errors import ConfigError, SourceError, first_line, place, unreachable
from ingestion.sources import EVERYTHING, Found, Span

BATCH_ROWS = 20_000


class Sql:
    """One connection in one transaction; the isolation is what the database gives without being asked."""

    def __init__(self, source: SourceSettings) -> None:
        self.name = source.name
        self.url = str(settings.read(source.name, ("credentials",))["credentials"])
        variable = settings.variable(source.name, "credentials")
        try:
            self.engine = sa.create_engine(self.url, pool_size=1)
        except (ArgumentError, NoSuchModuleError, ImportError) as error:
            why = "it is no URL" if type(error) is ArgumentError else first_line(error)
            raise ConfigError(
                f"{variable} cannot be used",
                why=why,
                hint="dialect+driver://user:password@host:port/database, and its driver",
            ) from error
        try:
            self.connection = self.engine.connect()
        except SQLAlchemyError as error:
            raise unreachable(source.name, self.url, getattr(error, "orig", None) or error) from error

    def batches(self, entry: Entry, span: Span) -> Iterator[pa.Table]:
        table = self._table(entry)
        yield from self._read(entry, table, [table.c[name] for name in entry.columns] or list(table.c), span)

    def keys(self, entry: Entry) -> Iterator[pa.Table]:
        table = self._table(entry)
        yield from self._read(entry, table, [table.c[name] for name in entry.key], EVERYTHING)

    def count(self, entry: Entry, span: Span) -> int | None:
        table = self._table(entry)
        query = _within(sa.select(sa.func.count()).select_from(table), table, entry, span)
        with _Translated(self, entry):
            return int(self.connection.execute(query).scalar_one())

    def entities(self) -> Iterator[Found]:
        inspector = sa.inspect(self.engine)
        for name in [*inspector.get_table_names(), *inspector.get_view_names()]:
            columns = {
                column["name"]: isinstance(column["type"], sa.DateTime) for column in inspector.get_columns(name)
            }
            yield Found(name, tuple(inspector.get_pk_constraint(name)["constrained_columns"]), columns)

    def close(self) -> None:
        self.connection.close()
        self.engine.dispose()

    def _table(self, entry: Entry) -> sa.Table:
        schema, _, name = entry.entity.rpartition(".")
        try:
            table = sa.Table(
                name, sa.MetaData(), schema=schema or None, autoload_with=self.connection, resolve_fks=False
            )
            names = set(table.c.keys())
        except NoSuchTableError:
            names = set()
        except SQLAlchemyError as error:
            raise unreachable(self.name, self.url, getattr(error, "orig", None) or error) from error
        missing = [name for name in (*entry.key, entry.cursor, *entry.columns) if name and name not in names]
        if missing or not names:
            why = f"it lacks {', '.join(missing)}" if names else "no such table, or no right to read it"
            raise SourceError(f"{entry.entity} is not as the catalogue says", where=place(self.url), why=why,
                              hint=f"compare python/objects/{entry.source}.yml with the database")  # fmt: skip
        return table

    def _read(self, entry: Entry, table: sa.Table, columns: list[Any], span: Span) -> Iterator[pa.Table]:
        schema = pa.schema([(column.name, _arrow(column.type)) for column in columns])
        with _Translated(self, entry):
            yield schema.empty_table()
            result = self.connection.execution_options(stream_results=True, max_row_buffer=BATCH_ROWS).execute(
                _within(sa.select(*columns), table, entry, span)
            )
            for rows in result.partitions(BATCH_ROWS):
                values = zip(*rows, strict=True)
                yield pa.table(
                    [_column(list(column), field.type) for column, field in zip(values, schema, strict=True)],
                    schema=schema,
                )


class _Translated:
    def __init__(self, source: Sql, entry: Entry):
        self.source, self.entry = source, entry

    def __enter__(self) -> None: ...

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, (SQLAlchemyError, pa.ArrowException)):
            why = first_line(getattr(error, "orig", None) or error)
            raise SourceError(f"reading {self.entry.entity} failed", where=place(self.source.url), why=why) from error


def _within(query: Any, table: sa.Table, entry: Entry, span: Span) -> Any:
    if entry.cursor and span:
        column = table.c[entry.cursor]
        naive = isinstance(column.type, sa.DateTime) and not column.type.timezone
        lower, upper = (value.replace(tzinfo=None) if naive and hasattr(value, "tzinfo") else value
                        for value in (span.lower, span.upper))  # fmt: skip
        query = query.where(column >= lower) if lower is not None else query
        query = query.where(column < upper) if upper is not None else query
    return query


def _arrow(kind: Any) -> pa.DataType:
    """The Arrow type of a column. What has no counterpart is text."""
    if isinstance(kind, sa.Boolean):
        return pa.bool_()
    if isinstance(kind, sa.Integer):
        return pa.int64()
    if isinstance(kind, (sa.Float, sa.Double)):
        return pa.float64()
    if isinstance(kind, sa.Numeric):
        precision = kind.precision or 38
        return pa.decimal128(min(precision, 38), kind.scale if kind.scale is not None else 9)
    if isinstance(kind, sa.DateTime):
        return pa.timestamp("us", tz="UTC")
    if isinstance(kind, sa.Date):
        return pa.date32()
    if isinstance(kind, sa.LargeBinary):
        return pa.binary()
    return pa.string()


def _column(values: list[Any], kind: pa.DataType) -> pa.Array:
    if pa.types.is_string(kind):
        values = [value if value is None or isinstance(value, str) else str(value) for value in values]
    return pa.array(values, kind)

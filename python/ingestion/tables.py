"""What stands in the destination: which keys a table has, and how many rows. Asked by SQL, or read from the files of a lake."""

from __future__ import annotations

from datetime import UTC, date, datetime
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Literal, Protocol, get_args

from ingestion.catalogue import Entry
from ingestion.errors import UsageError, did_you_mean
from ingestion.totals import Totals, from_rows, query

if TYPE_CHECKING:
    import dlt
    import pyarrow as pa

DELETED = "_deleted"
SNAPSHOT = "_snapshot_date"
FILES = "filesystem"
"""dlt's name of the destination that is a folder, here or in a cloud's storage."""
TableFormat = Literal["parquet", "delta", "iceberg"]
LIBRARIES = {"delta": "deltalake", "iceberg": "pyiceberg"}


class Tables(Protocol):
    def keys(self, entry: Entry) -> pa.Table | None:
        """The keys in an object's table, under the source's names. None: there is no such table.

        Without delete detection no row is read, only whether the table is still there.
        """

    def count(self, entry: Entry, day: date | None) -> int:
        """The rows that stand for rows of the source; of a snapshot those of the day, of a history the current ones."""

    def totals(self, entry: Entry, day: date | None, like: Totals) -> Totals | None:
        """Of these rows, what `like` tells of the source. None: this kind of table cannot be asked."""


def open_tables(pipeline: dlt.Pipeline, table_format: TableFormat) -> Tables:
    return _SqlTables(pipeline) if table_format == "parquet" else _LakeTables(pipeline, table_format)


def table_format_of(name: str | None, destination: str, entry: Entry) -> TableFormat:
    """How a table is kept. Only files leave a choice, and not every kind of file can be changed. Raises UsageError."""
    if name is not None and name not in get_args(TableFormat):
        raise UsageError(
            f"unknown table format {name!r}.{did_you_mean(name, get_args(TableFormat))}",
            hint=f"one of {', '.join(get_args(TableFormat))}",
        )
    if destination != FILES:
        if name is not None:
            raise UsageError(f"a table format is for files, and {destination} keeps tables in its own way")
        return "parquet"
    chosen: TableFormat = name or "parquet"  # type: ignore[assignment]
    what = f"{entry.source}.{entry.name}"
    if entry.pattern in ("history", "snapshot"):
        raise UsageError(
            f"the pattern of {what} is {entry.pattern}, which files cannot keep",
            why="rows that are there would have to be retired or replaced by other than their key",
            hint="merge, append and replace work; a database keeps all patterns",
        )
    if chosen == "parquet" and (entry.pattern == "merge" or entry.contract == "quarantine"):
        raise UsageError(
            f"{what} needs a table whose rows can be changed, and Parquet files cannot be",
            why=f"its pattern is {entry.pattern}, its contract {entry.contract}: rows would be there twice",
            hint="--table-format delta (or iceberg) makes tables of the files",
        )
    if chosen == "iceberg" and entry.deletes == "compare_keys":
        raise UsageError(
            f"deleted rows of {what} would stay: dlt does not delete from Iceberg", hint="--table-format delta does"
        )
    if chosen != "parquet" and find_spec(LIBRARIES[chosen]) is None:
        raise UsageError(
            f"the library of {chosen} tables is not installed",
            hint=f"pip install {LIBRARIES[chosen]}, or: make install",
        )
    return chosen


class _SqlTables:
    """Any destination that speaks SQL; and Parquet files, for which dlt does."""

    def __init__(self, pipeline: dlt.Pipeline):
        self._pipeline = pipeline

    def keys(self, entry: Entry) -> pa.Table | None:
        import dlt
        from dlt.destinations.exceptions import DatabaseUndefinedRelation

        pipeline = self._pipeline
        # A load that was killed may have left its rows without the schema that dlt stores after them.
        schema = pipeline.default_schema if pipeline.default_schema_name else dlt.Schema(pipeline.pipeline_name)
        naming = schema.naming
        with pipeline.sql_client() as client:
            columns = ", ".join(client.escape_column_name(naming.normalize_identifier(key)) for key in entry.key) or "1"
            table = client.make_qualified_table_name(naming.normalize_identifier(entry.name))
            limit = "" if entry.deletes == "compare_keys" else " where 1 = 0"
            try:
                with client.execute_query(f"select {columns} from {table}{limit}") as cursor:
                    keys = cursor.arrow()
            except DatabaseUndefinedRelation:
                return None
        return keys.rename_columns(list(entry.key)) if entry.key else keys

    def count(self, entry: Entry, day: date | None) -> int:
        with self._pipeline.sql_client() as client:
            [(count,)] = client.execute_sql(f"select count(*) from {self._rows(client, entry, day)}") or [(0,)]
        return int(count)

    def totals(self, entry: Entry, day: date | None, like: Totals) -> Totals:
        with self._pipeline.sql_client() as client:
            naming = self._pipeline.default_schema.naming

            def quoted(column: str) -> str:
                return str(client.escape_column_name(naming.normalize_identifier(column)))

            cursor = quoted(entry.cursor) if entry.cursor else None
            sql = query(self._rows(client, entry, day), cursor, like.edges, map(quoted, like.columns))
            return from_rows(like.edges, like.columns, client.execute_sql(sql) or [])

    def _rows(self, client: Any, entry: Entry, day: date | None) -> str:
        where = f" where {DELETED} = false" if entry.deletes == "compare_keys" else ""
        if entry.pattern == "history":
            where = " where _dlt_valid_to is null"
        elif entry.pattern == "snapshot":
            where = f" where {SNAPSHOT} = '{day or datetime.now(UTC).date()}'"
        naming = self._pipeline.default_schema.naming
        return f"{client.make_qualified_table_name(naming.normalize_identifier(entry.name))}{where}"


class _LakeTables:
    """Delta and Iceberg tables by their own libraries: DuckDB, by which dlt would ask, has to download an extension first."""

    def __init__(self, pipeline: dlt.Pipeline, table_format: TableFormat):
        self._pipeline = pipeline
        self._format = table_format

    def keys(self, entry: Entry) -> pa.Table | None:
        import pyarrow as pa

        table, naming = self._open(entry)
        if table is None:
            return None
        if entry.deletes != "compare_keys":
            return pa.table({key: pa.array([], pa.null()) for key in entry.key})
        keys = table.to_pyarrow_dataset().to_table(columns=[naming.normalize_identifier(key) for key in entry.key])
        return keys.rename_columns(list(entry.key))

    def count(self, entry: Entry, day: date | None) -> int:
        table, _ = self._open(entry)
        if table is None:
            return 0
        return int(table.count() if self._format == "delta" else table.scan().count())

    def totals(self, entry: Entry, day: date | None, like: Totals) -> None:
        return None

    def _open(self, entry: Entry) -> tuple[Any, Any]:
        from dlt.common.destination.exceptions import DestinationUndefinedEntity
        from dlt.common.schema.utils import new_table

        with self._pipeline.destination_client() as client:
            # A load that was killed may have left its rows without the schema that dlt stores after them.
            schema = client.schema = client.schema.clone()
            name = schema.naming.normalize_identifier(entry.name)
            if name not in schema.tables:
                schema.update_table(new_table(name, table_format=self._format))
            try:
                return client.load_open_table(self._format, name), schema.naming  # type: ignore[attr-defined]
            except DestinationUndefinedEntity:
                return None, schema.naming

"""One source object into `raw_<source>.<object>` with dlt.

The destination is the only truth: dlt stores the cursor there, in the same load as the rows it belongs to. So what
an earlier invocation left in the local pipeline folder (a killed one leaves half a package, a deleted warehouse leaves
a cursor for rows that are gone) is thrown away first, and state and schema are restored from the destination.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ingestion.catalogue import Entry
from ingestion.errors import IngestError, LoadError, SourceError, UsageError, first_line
from ingestion.sources import Source, open_source
from ingestion.warehouse import DuckDbFile, exclusive

if TYPE_CHECKING:
    import dlt
    import pyarrow as pa

# What the README promises must not depend on where the command runs, so it does not only stand in .dlt/config.toml.
INVARIANTS = {
    "RUNTIME__DLTHUB_TELEMETRY": "false",
    "NORMALIZE__PARQUET_NORMALIZER__ADD_DLT_LOAD_ID": "true",
    "DESTINATION__REPLACE_STRATEGY": "insert-from-staging",
}
DELETED = "_deleted"


@dataclass(frozen=True)
class Summary:
    """What one invocation did. rows: written, new or changed; deleted: tombstones applied; cursors: ISO text."""

    source: str
    object: str
    table: str
    destination: str
    mode: str
    rows: int
    deleted: int
    cursor_from: str | None
    cursor_to: str | None
    seconds: float

    def as_dict(self) -> dict[str, Any]:
        return {"schema_version": 1, **asdict(self)}


def ingest(entry: Entry, destination: str = "duckdb", full_refresh: bool = False) -> Summary:
    """Extracts and loads one object. Raises ConfigError, SourceError, LoadError, UsageError."""
    started = time.monotonic()
    os.environ.update(INVARIANTS)
    # dlt logs a failure with a long traceback; ours says the same in four lines. RUNTIME__LOG_LEVEL=INFO shows its own.
    os.environ.setdefault("RUNTIME__LOG_LEVEL", "CRITICAL")
    import dlt

    name = f"{entry.source}_{entry.name}"
    root = os.environ.get("DLT_PIPELINES_DIR") or dlt.config.get("pipelines_dir") or Path(".dlt", ".pipelines")
    folder = Path(root).resolve() / destination
    # Two invocations for the same object would read the same cursor, and the slower one would put older rows back.
    with exclusive(folder / f"{name}.lock", f"another invocation for {entry.source}.{entry.name}"):
        shutil.rmtree(folder / name, ignore_errors=True)
        target, held = _destination(destination)
        with closing(open_source(entry.source)) as source, _translated(entry, destination):
            pipeline = dlt.pipeline(
                pipeline_name=name, pipelines_dir=str(folder), destination=target, dataset_name=f"raw_{entry.source}"
            )
            return _Run(pipeline, entry, source, held, full_refresh).run(destination, started)


class _Run:
    def __init__(self, pipeline: dlt.Pipeline, entry: Entry, source: Source, held: Any, full_refresh: bool):
        self.pipeline, self.entry, self.source, self.held, self.full = pipeline, entry, source, held, full_refresh
        self.deleted = 0

    def run(self, destination: str, started: float) -> Summary:
        entry, pipeline = self.entry, self.pipeline
        with self.held():
            pipeline.sync_destination()
            present = self._present()
        lost = (
            present is None and entry.name in pipeline.default_schema.tables if pipeline.default_schema_name else False
        )
        cursor_from = self._cursor()
        self.full = self.full or entry.pattern == "replace" or present is None or cursor_from is None
        if self.full:
            cursor_from = present = None
        info = pipeline.extract(
            self._resource(cursor_from, present),
            loader_file_format="parquet",
            # A table that somebody dropped is still in dlt's stored schema, so it would not be created again.
            refresh="drop_resources" if lost else None,
        )
        items = sum(
            table.items_count
            for steps in info.metrics.values()
            for step in steps
            for table_name, table in step["table_metrics"].items()
            if table_name == pipeline.default_schema.naming.normalize_identifier(entry.name)
        )
        cursor_to = self._cursor() or cursor_from
        # With nothing new there is nothing to commit; the package on disk goes away with the next invocation.
        if self.full or items:
            pipeline.normalize()
            with self.held():
                pipeline.load()
        return Summary(
            source=entry.source,
            object=entry.name,
            table=entry.table,
            destination=destination,
            mode="full" if self.full else "incremental",
            rows=items - self.deleted,
            deleted=self.deleted,
            cursor_from=_text(cursor_from),
            cursor_to=_text(cursor_to),
            seconds=round(time.monotonic() - started, 2),
        )

    def _cursor(self) -> Any | None:
        """The last cursor value of dlt's state, which comes from the destination."""
        state = self.pipeline.state.get("sources", {}).get(self.pipeline.pipeline_name, {})
        incremental = state.get("resources", {}).get(self.entry.name, {}).get("incremental", {})
        return incremental.get(self.entry.cursor, {}).get("last_value")

    def _present(self) -> pa.Table | None:
        """The keys in the destination's table, under the source's names. None: there is no such table.

        Without delete detection no row is read, only whether the table is still there.
        """
        from dlt.destinations.exceptions import DatabaseUndefinedRelation

        entry, pipeline = self.entry, self.pipeline
        if not pipeline.default_schema_name:
            return None
        naming = pipeline.default_schema.naming
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

    def _resource(self, lower: Any | None, present: pa.Table | None) -> Any:
        import dlt

        entry = self.entry
        # The key alone would hide a second change within the cursor's resolution (a second, for some systems).
        incremental = entry.cursor and dlt.sources.incremental(
            entry.cursor, primary_key=_whole_row, on_cursor_value_missing="include"
        )
        return dlt.resource(
            self._batches(lower, present),
            name=entry.name,
            primary_key=list(entry.key) or None,
            write_disposition="replace" if self.full else {"disposition": "merge", "strategy": "delete-insert"},
            columns={DELETED: {"data_type": "bool", "hard_delete": not self.full}}
            if entry.deletes == "compare_keys"
            else None,
            incremental=incremental or None,
        )

    def _batches(self, lower: Any | None, present: pa.Table | None) -> Iterator[pa.Table]:
        import pyarrow as pa

        entry, compare = self.entry, self.entry.deletes == "compare_keys"
        find_deletes = compare and present is not None and present.num_rows > 0
        # Keys are read before the rows: a row that appears in between is no orphan then, at worst a delete waits
        # for the next run.
        gone = (
            _without(present, [_table(batch, entry.key) for batch in self.source.keys(entry)]) if find_deletes else None
        )
        seen: list[pa.Table] = []
        schema = None
        for batch in self.source.batches(entry, lower):
            table = _table(batch, entry.key)
            if find_deletes:
                seen.append(table.select(entry.key))
            schema = table.schema
            yield table.append_column(DELETED, pa.repeat(pa.scalar(False), len(table))) if compare else table
        if gone is not None and schema is not None:
            gone = _without(gone, seen)
            self.deleted = gone.num_rows
            if gone.num_rows:
                # Through the empty table of the same shape every other column is null and has its type.
                rows = _table(pa.concat_tables([schema.empty_table(), gone], promote_options="default"), entry.key)
                yield rows.append_column(DELETED, pa.repeat(pa.scalar(True), len(rows)))


def _without(keys: pa.Table, others: list[pa.Table]) -> pa.Table:
    """The rows of `keys` that are in none of the other tables of keys (anti-join, in Arrow)."""
    import pyarrow as pa

    other = pa.concat_tables(others)
    return keys.cast(other.schema).join(other, keys=other.schema.names, join_type="left anti")


def _table(batch: Any, key: tuple[str, ...]) -> pa.Table:
    """The batch as a table whose key columns cannot be null, which is what dlt's primary_key says of them."""
    import pyarrow as pa

    table = pa.Table.from_batches([batch]) if isinstance(batch, pa.RecordBatch) else batch
    return table.cast(pa.schema([field.with_nullable(field.name not in key) for field in table.schema]))


def _whole_row(item: Any) -> list[str]:
    """Every column tells two rows at the cursor's boundary apart. dlt asks once with a table, then with each row."""
    return list(item) if isinstance(item, dict) else item.schema.names


def _text(value: Any | None) -> str | None:
    return None if value is None else value.isoformat() if hasattr(value, "isoformat") else str(value)


def _destination(name: str) -> tuple[Any, Any]:
    """dlt's destination, and what to hold while it is open: the DuckDB file's lock, or nothing."""
    import dlt
    from dlt.common.destination import Destination
    from dlt.common.destination.exceptions import DestinationException

    if name != "duckdb":
        try:
            return Destination.from_reference(name), nullcontext
        except (DestinationException, ImportError, AttributeError) as error:
            why = first_line(error)
            raise UsageError(
                f"unknown destination {name!r}", why=why, hint="duckdb, postgres, snowflake, ..."
            ) from error
    configured = dlt.secrets.get("destination.duckdb.credentials")
    if configured:
        from dlt.destinations.impl.duckdb.configuration import DuckDbCredentials

        database = dlt.secrets.get("destination.duckdb.credentials", DuckDbCredentials).database
    else:
        database = os.environ.get("DUCKDB_PATH") or "warehouse.duckdb"
    path = Path(database).resolve()
    path.parent.mkdir(parents=True, exist_ok=True)
    return dlt.destinations.duckdb(credentials={"database": str(path)}), DuckDbFile(path).held


class _translated(AbstractContextManager[None]):
    """Turns dlt's failures into ours; what a source raised inside dlt comes out as it was."""

    def __init__(self, entry: Entry, destination: str):
        self.entry, self.destination = entry, destination

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        from dlt.common.configuration.exceptions import ConfigFieldMissingException
        from dlt.common.exceptions import DltException
        from dlt.pipeline.exceptions import PipelineStepFailed

        if not isinstance(error, Exception):
            return
        chain = list(_causes(error))
        ours = next((cause for cause in chain if isinstance(cause, IngestError)), None)
        if ours is not None:
            if ours is not error:
                raise ours from error
            return
        root: BaseException = error
        while root.__cause__ is not None:
            root = root.__cause__
        why = first_line(root)
        if missing := next((cause for cause in chain if isinstance(cause, ConfigFieldMissingException)), None):
            from ingestion.errors import ConfigError

            fields = ", ".join(sorted({t.key for traces in missing.traces.values() for t in traces}))
            raise ConfigError(
                f"the destination {self.destination} is not configured", why=f"missing: {fields}"
            ) from error
        if isinstance(error, PipelineStepFailed) and error.step == "extract":
            raise SourceError(f"reading {self.entry.entity} failed", why=why) from error
        if isinstance(error, DltException):
            raise LoadError(
                f"loading into {self.destination} failed", where=self.entry.table, why=why,
                hint="what is in the table stays as it was; run the same command again",
            ) from error  # fmt: skip


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__

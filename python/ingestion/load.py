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
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ingestion.catalogue import Entry, SourceSettings
from ingestion.destinations import open_destination, translated
from ingestion.errors import UsageError
from ingestion.progress import Progress, is_watched
from ingestion.reading import ahead
from ingestion.shaping import ROW_VERSION, Shaper, as_table, with_version, without
from ingestion.sources import EVERYTHING, Source, Span, open_source
from ingestion.startup import import_dlt
from ingestion.tables import DELETED, FILES, SNAPSHOT, TableFormat, open_tables, table_format_of
from ingestion.totals import Totals, differences
from ingestion.warehouse import Warehouse, exclusive

if TYPE_CHECKING:
    import dlt
    import pyarrow as pa

# What the README promises must not depend on where the command runs, so it does not only stand in .dlt/config.toml.
INVARIANTS = {
    "RUNTIME__DLTHUB_TELEMETRY": "false",
    "NORMALIZE__PARQUET_NORMALIZER__ADD_DLT_LOAD_ID": "false",  # we do: dlt writes every file a second time for it
    "DESTINATION__REPLACE_STRATEGY": "insert-from-staging",
}
LOAD_ID = "_dlt_load_id"
QUARANTINE = "_quarantine"
SAMPLE = "_sample"


@dataclass(frozen=True)
class Options:
    """How an invocation differs from the ordinary one. `span`: a range of the cursor to read again (a backfill); `limit`: at
    most so many rows, into a table beside; `dry_run`: look, and write nothing; `day`: of a snapshot; `verify`: compare
    both sides; `table_format`: of files, see `tables`."""

    full_refresh: bool = False
    span: Span = EVERYTHING
    limit: int | None = None
    dry_run: bool = False
    day: date | None = None
    verify: bool = False
    table_format: str | None = None


@dataclass(frozen=True)
class Summary:
    """What one invocation did. rows: written, new or changed; deleted: tombstones applied; quarantined: put aside; cursors:
    ISO text. A dry run has written nothing: rows is what would be read, as far as the source tells, else null."""

    source: str
    object: str
    table: str
    destination: str
    pattern: str
    mode: str
    rows: int | None
    deleted: int
    quarantined: int
    cursor_from: str | None
    cursor_to: str | None
    seconds: float
    dry_run: bool = False
    verified: bool | None = None
    verification: dict[str, Any] | None = None

    def as_dict(self) -> dict[str, Any]:
        return {"schema_version": 1, **asdict(self)}


def ingest(
    entry: Entry, settings: SourceSettings, destination: str = "duckdb", options: Options = Options()
) -> Summary:
    """Extracts and loads one object. Raises ConfigError, SourceError, LoadError, UsageError."""
    started = time.monotonic()
    refuse_contradiction(entry, options)
    table_format = table_format_of(options.table_format, destination, entry)
    os.environ.update(INVARIANTS)
    if destination == FILES and table_format == "parquet":
        os.environ["DESTINATION__REPLACE_STRATEGY"] = "truncate-and-insert"  # files know no other
    # dlt logs a failure with a long traceback; ours says the same in four lines. RUNTIME__LOG_LEVEL=INFO shows its own.
    os.environ.setdefault("RUNTIME__LOG_LEVEL", "CRITICAL")
    import_dlt(destination)
    import dlt

    if options.limit is not None:
        entry = replace(entry, name=entry.name + SAMPLE, pattern="replace", deletes="none", cursor=None)
    name = f"{entry.source}_{entry.name}"
    root = os.environ.get("DLT_PIPELINES_DIR") or dlt.config.get("pipelines_dir") or Path(".dlt", ".pipelines")
    folder = Path(root).resolve() / destination
    # Two invocations for the same object would read the same cursor, and the slower one would put older rows back.
    with exclusive(folder / f"{name}.lock", f"another invocation for {entry.source}.{entry.name}"):
        shutil.rmtree(folder / name, ignore_errors=True)
        target, warehouse = open_destination(destination)
        with closing(open_source(settings)) as source, translated(entry, destination):
            pipeline = dlt.pipeline(
                pipeline_name=name, pipelines_dir=str(folder), destination=target, dataset_name=f"raw_{entry.source}"
            )
            return _Run(pipeline, entry, source, warehouse, options, table_format).run(destination, started)


def refuse_contradiction(entry: Entry, options: Options) -> None:
    """Raises UsageError for options that this object cannot have."""
    if options.span:
        if not entry.cursor:
            raise UsageError(f"{entry.source}.{entry.name} has no cursor, so it has no range that could be loaded")
        if entry.pattern not in ("merge", "append") or not entry.key:
            raise UsageError(
                f"a range of {entry.source}.{entry.name} cannot be loaded again",
                why=f"its pattern is {entry.pattern}" + ("" if entry.key else ", and it has no key: rows would be there twice"),
                hint="a range needs pattern merge, or append with a key",
            )  # fmt: skip
        if options.full_refresh or options.limit is not None:
            raise UsageError("a range, --full-refresh and --limit exclude each other")
    if options.day and entry.pattern != "snapshot":
        raise UsageError(f"--date is the day of a snapshot, and the pattern of {entry.name} is {entry.pattern}")


class _Run:
    def __init__(
        self,
        pipeline: dlt.Pipeline,
        entry: Entry,
        source: Source,
        warehouse: Warehouse,
        options: Options,
        table_format: TableFormat,
    ):
        self.pipeline, self.entry, self.source, self.options = pipeline, entry, source, options
        self.warehouse = warehouse
        self.tables = open_tables(pipeline, table_format)
        self.table_format = None if table_format == "parquet" else table_format
        self.full = options.full_refresh
        self.first = False
        self.deleted = 0
        self.reading: Any = None

    def run(self, destination: str, started: float) -> Summary:
        entry, pipeline = self.entry, self.pipeline
        with self.warehouse.held():
            pipeline.sync_destination()
            present = self.tables.keys(entry)
        stored = pipeline.default_schema.tables.get(entry.name) if pipeline.default_schema_name else None
        # A table that somebody dropped is still in dlt's stored schema, so it would not be created again.
        lost = present is None and stored is not None
        cursor_from = self._cursor()
        is_range = bool(self.options.span)
        if is_range and present is None:
            raise UsageError(
                f"there is no {entry.table} yet into which a range could be loaded",
                hint="run once without --from and --to",
            )
        self.first = present is None
        if not is_range:
            self.full = self.full or not entry.is_incremental or present is None or cursor_from is None
        if is_range:
            cursor_from = self.options.span.lower
        elif self.full:
            cursor_from = None
            present = present if entry.pattern == "history" else None
        span = self.options.span or Span(_below(cursor_from, entry.lag_value))
        mode = "range" if is_range else "full" if self.full else "incremental"
        if self.options.dry_run:
            return self._summary(destination, mode, self.source.count(entry, span), 0, cursor_from, None, started)
        naming = pipeline.default_schema.naming if pipeline.default_schema_name else None
        shaper = Shaper(entry, set(stored["columns"]) if stored and present is not None else None, naming)
        try:
            info = pipeline.extract(
                self._resource(span, present, shaper),
                loader_file_format="parquet",
                refresh="drop_resources" if lost else None,
            )
        finally:
            if self.reading is not None:  # nobody reads any more when the source is closed
                self.reading.close()
        items = self._items(info, entry.name)
        cursor_to = self.options.span.upper if is_range else self._cursor() or cursor_from
        if shaper.quarantined:
            pipeline.extract(self._quarantine(shaper), loader_file_format="parquet")
        # With nothing new there is nothing to commit; the package on disk goes away with the next invocation.
        if self.full or items or shaper.quarantined:
            pipeline.normalize()
            _give_back_memory()
            self._load()
        aside = len(shaper.quarantined)
        done = self._summary(destination, mode, items - self.deleted, aside, cursor_from, cursor_to, started)
        return replace(done, **self._verified()) if self.options.verify else done

    def _load(self) -> None:
        from dlt.pipeline.exceptions import PipelineStepFailed

        try:
            with self.warehouse.held():
                self.pipeline.load()
        except PipelineStepFailed as error:
            if not self.warehouse.has_more_memory(error):
                raise
            self._load()  # it goes on with the package where it failed

    def _verified(self) -> dict[str, Any]:
        """Rows of the whole object on both sides, and sums where both can sum. A row that comes in between makes them
        differ: look again then."""
        entry = self.entry
        if (asked := getattr(self.source, "totals", None)) is not None:
            wanted: Totals = asked(entry)
            with self.warehouse.held():
                found = self.tables.totals(entry, self.options.day, wanted)
            if found is not None:
                differing = differences(wanted, found)
                counted = {"source_rows": wanted.count, "table_rows": found.count, "partitions": len(wanted.rows),
                           "sums": list(wanted.columns), "differences": differing}  # fmt: skip
                return {"verified": not differing, "verification": counted}
        with self.warehouse.held():
            ours = self.tables.count(entry, self.options.day)
        if entry.key and entry.deletes != "flag":  # rows that are marked are in the table, too
            theirs: int | None = sum(batch.num_rows for batch in self.source.keys(entry))
        else:
            theirs = self.source.count(entry, EVERYTHING)
        if theirs is None:
            raise UsageError(f"{entry.source} cannot tell how many rows {entry.entity} has", hint="leave --verify out")
        return {"verified": theirs == ours, "verification": {"source_rows": int(theirs), "table_rows": ours}}

    def _summary(
        self, destination: str, mode: str, rows: int | None, quarantined: int, low: Any, high: Any, started: float
    ) -> Summary:
        entry = self.entry
        return Summary(
            source=entry.source, object=entry.name, table=entry.table, destination=destination, pattern=entry.pattern,
            mode=mode, rows=rows, deleted=self.deleted, quarantined=quarantined, cursor_from=_text(low),
            cursor_to=_text(high), seconds=round(time.monotonic() - started, 2), dry_run=self.options.dry_run,
        )  # fmt: skip

    def _items(self, info: Any, name: str) -> int:
        normalized = self.pipeline.default_schema.naming.normalize_identifier(name)
        return sum(
            table.items_count
            for steps in info.metrics.values()
            for step in steps
            for table_name, table in step["table_metrics"].items()
            if table_name == normalized
        )

    def _cursor(self) -> Any | None:
        """The last cursor value of dlt's state, which comes from the destination."""
        state = self.pipeline.state.get("sources", {}).get(self.pipeline.pipeline_name, {})
        incremental = state.get("resources", {}).get(self.entry.name, {}).get("incremental", {})
        return incremental.get(self.entry.cursor, {}).get("last_value")

    def _resource(self, span: Span, present: pa.Table | None, shaper: Shaper) -> Any:
        import dlt

        entry = self.entry
        # The key alone would hide a second change within the cursor's resolution (a second, for some systems).
        incremental = (
            dlt.sources.incremental(
                entry.cursor, primary_key=_whole_row, on_cursor_value_missing="include", lag=entry.lag_value or None
            )
            if entry.cursor and not self.options.span and (entry.is_incremental or entry.pattern == "replace")
            else None
        )
        columns: dict[str, Any] = {LOAD_ID: {"data_type": "text", "nullable": False}}
        disposition: Any = self._merge
        merge_key: Any = None
        if entry.pattern == "history":
            disposition = {"disposition": "merge", "strategy": "scd2", "row_version_column_name": ROW_VERSION}
            merge_key = None if self.full else list(entry.key)  # else what is not read again would be retired
        elif entry.pattern == "snapshot":
            merge_key = SNAPSHOT
        elif self.first:
            disposition = "append"  # one file, one transaction: whoever looks sees all of it or nothing
        elif self.full:
            disposition = "replace"
        elif entry.pattern == "append" and not self.options.span and not (self.table_format and entry.key):
            disposition = "append"  # files of a killed load may be there already: with a key they are replaced
        if entry.deletes == "compare_keys":
            columns[DELETED] = {"data_type": "bool", "hard_delete": not self.full}
        return dlt.resource(
            self._stamped(span, present, shaper),
            name=entry.name,
            primary_key=list(entry.key) if entry.key and entry.pattern not in ("history", "snapshot") else None,
            merge_key=merge_key,
            write_disposition=disposition,
            columns=columns,
            incremental=incremental,
            table_format=self.table_format,
            schema_contract={"columns": "freeze", "data_type": "freeze"} if entry.contract == "freeze" else None,
        )

    @property
    def _merge(self) -> Any:
        return {"disposition": "merge", "strategy": "upsert" if self.table_format else "delete-insert"}

    def _quarantine(self, shaper: Shaper) -> Any:
        """The rows that were put aside, beside the table; the same row once."""
        import dlt
        import pyarrow as pa

        return dlt.resource(
            [pa.Table.from_pylist(shaper.quarantined)], name=self.entry.name + QUARANTINE, primary_key="_row_id",
            write_disposition=self._merge, table_format=self.table_format,
        )  # fmt: skip

    def _stamped(self, span: Span, present: pa.Table | None, shaper: Shaper) -> Iterator[pa.Table]:
        """The next batch is read and shaped while dlt writes the one before."""
        import pyarrow as pa
        from dlt.common.storages.load_package import load_package_state

        load_id = load_package_state()["load_id"]
        # Before the rows are read: a connection does one thing at a time.
        total = self.source.count(self.entry, span) if is_watched() else None
        self.reading = ahead(self._batches(span, present, shaper))
        with closing(Progress(f"{self.entry.source}.{self.entry.name}", total)) as progress:
            for table in self.reading:
                yield table.append_column(
                    pa.field(LOAD_ID, pa.string(), nullable=False), pa.repeat(pa.scalar(load_id), len(table))
                )
                progress.advance(len(table))

    def _batches(self, span: Span, present: pa.Table | None, shaper: Shaper) -> Iterator[pa.Table]:
        import pyarrow as pa

        entry, compare = self.entry, self.entry.deletes == "compare_keys"
        find_deletes = compare and not self.options.span and present is not None and present.num_rows > 0
        # Keys are read before the rows: a row that appears in between is no orphan then, at worst a delete waits
        # for the next run.
        gone = without(present, [shaper.keys(batch) for batch in self.source.keys(entry)]) if find_deletes else None
        seen: list[pa.Table] = []
        schema = None
        left = self.options.limit
        for batch in self.source.batches(entry, span):
            table = shaper.rows(batch)
            if left is not None:
                table = table.slice(0, left)
                left -= len(table)
            if find_deletes:
                seen.append(table.select(entry.key))
            schema = table.schema
            if compare:
                table = table.append_column(DELETED, pa.repeat(pa.scalar(False), len(table)))
            elif entry.pattern == "history":
                table = with_version(table)
            elif entry.pattern == "snapshot":
                day = self.options.day or datetime.now(UTC).date()
                table = table.append_column(SNAPSHOT, pa.repeat(pa.scalar(day), len(table)))
            if len(table) or self.full:  # after an empty one dlt (1.31) fails when there is a lag
                yield table
            if left == 0:
                break
        if gone is not None and schema is not None:
            gone = without(gone, seen)
            self.deleted = gone.num_rows
            if gone.num_rows:
                # Through the empty table of the same shape every other column is null and has its type.
                rows = pa.concat_tables([schema.empty_table(), gone], promote_options="default")
                rows = as_table(rows, entry.key)
                yield rows.append_column(DELETED, pa.repeat(pa.scalar(True), len(rows)))


def _give_back_memory() -> None:
    """What Arrow keeps for the next batch; there is none, and the destination wants some."""
    import pyarrow as pa

    pa.default_memory_pool().release_unused()


def _whole_row(item: Any) -> list[str]:
    """All columns of the source tell two rows at the cursor's boundary apart. dlt asks with a table, then with each row."""
    return [name for name in (item if isinstance(item, dict) else item.schema.names) if name != LOAD_ID]


def _below(cursor: Any | None, lag: float) -> Any | None:
    if cursor is None or not lag:
        return cursor
    return cursor - timedelta(seconds=lag) if isinstance(cursor, datetime) else cursor - type(cursor)(lag)


def _text(value: Any | None) -> str | None:
    return None if value is None else value.isoformat() if hasattr(value, "isoformat") else str(value)

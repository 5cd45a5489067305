"""Where rows go: dlt's destinations, what to hold while one is open, and dlt's failures in our words."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from ingestion.catalogue import Entry
from ingestion.errors import ConfigError, IngestError, LoadError, SourceError, UsageError, first_line
from ingestion.warehouse import DuckDbFile, Warehouse


def open_destination(name: str) -> tuple[Any, Warehouse]:
    """dlt's destination, and what to hold while it is open. Raises UsageError."""
    import dlt
    from dlt.common.destination import Destination
    from dlt.common.destination.exceptions import DestinationException

    if name == "postgres":
        from dlt.destinations.impl.postgres.postgres import PostgresParquetCopyJob

        # Given the whole file, ADBC takes 220 MB more for a million rows; it is one transaction either way.
        PostgresParquetCopyJob._ingest_per_rowgroup = True
    if name != "duckdb":
        try:
            return Destination.from_reference(name), Warehouse()
        except (DestinationException, ImportError, AttributeError) as error:
            why = first_line(error)
            raise UsageError(
                f"unknown destination {name!r}", why=why, hint="duckdb, postgres, snowflake, ..."
            ) from error
    # What a file refuses once it refuses five times, and a lack of memory takes its time each time.
    os.environ.setdefault("LOAD__RAISE_ON_MAX_RETRIES", "1")
    configured = dlt.secrets.get("destination.duckdb.credentials")
    if configured:
        from dlt.destinations.impl.duckdb.configuration import DuckDbCredentials

        database = dlt.secrets.get("destination.duckdb.credentials", DuckDbCredentials).database
    else:
        database = os.environ.get("DUCKDB_PATH") or "warehouse.duckdb"
    path = Path(database).resolve()
    path.parent.mkdir(parents=True, exist_ok=True)
    return dlt.destinations.duckdb(credentials={"database": str(path)}), DuckDbFile(path)


class translated(AbstractContextManager[None]):
    """Turns dlt's failures into ours; what a source raised inside dlt comes out as it was."""

    def __init__(self, entry: Entry, destination: str):
        self.entry, self.destination = entry, destination

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        from dlt.common.configuration.exceptions import ConfigFieldMissingException
        from dlt.common.exceptions import DltException
        from dlt.common.schema.exceptions import DataValidationError
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
            keys = {trace.key for traces in missing.traces.values() for trace in traces}
            usual = f"DESTINATION__{self.destination.upper()}__"  # of the dozen places where dlt looks
            names = ", ".join(sorted({key for key in keys if key.startswith(usual)} or keys))
            raise ConfigError(
                f"the destination {self.destination} is not configured", why=f"missing: {names}"
            ) from error
        if broken := next((cause for cause in chain if isinstance(cause, DataValidationError)), None):
            raise LoadError(
                f"{self.entry.entity} is no longer what the table is", where=self.entry.table,
                why=f"the contract is freeze, and {broken.schema_entity} {broken.column_name or broken.table_name} differs",
                hint="contract: evolve in the catalogue takes it in",
            ) from error  # fmt: skip
        if isinstance(error, PipelineStepFailed) and error.step == "extract":
            raise SourceError(f"reading {self.entry.entity} failed", why=why) from error
        if isinstance(error, DltException):
            short = self.destination == "duckdb" and "Out of Memory" in why
            again = "with more in DUCKDB_MEMORY_LIMIT" if short else "run the same command again"
            raise LoadError(
                f"loading into {self.destination} failed", where=self.entry.table, why=why,
                hint=f"what is in the table stays as it was; {again}",
            ) from error  # fmt: skip


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__

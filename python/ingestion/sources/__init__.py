"""What a source is: something that yields Arrow batches. One module per system."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol

from ingestion.catalogue import Entry
from ingestion.errors import UsageError

if TYPE_CHECKING:
    import pyarrow as pa


class Source(Protocol):
    """A connection to one system. Columns keep the source's own names; times are UTC; decimals stay decimal128.

    Both readers yield at least one batch, an empty one when there are no rows: the table needs its columns anyway.
    """

    def batches(self, entry: Entry, lower: Any | None) -> Iterator[pa.Table | pa.RecordBatch]:
        """The rows whose cursor is at or above `lower` (None: every row). Raises SourceError."""

    def keys(self, entry: Entry) -> Iterator[pa.Table | pa.RecordBatch]:
        """The key columns of every row that exists now. Raises SourceError."""

    def close(self) -> None: ...


MODULES = {"postgres": "Postgres", "salesforce": "Salesforce", "sap": "Sap"}


def open_source(name: str) -> Source:
    """Connects to a source, with credentials from dlt's configuration. Raises ConfigError, SourceError."""
    if name not in MODULES:
        raise UsageError(
            f"no code reads the source {name!r}", hint=f"add ingestion/sources/{name}.py and name it in MODULES"
        )
    # Imported by name so that a Postgres run does not pay for the Salesforce client.
    return getattr(import_module(f"ingestion.sources.{name}"), MODULES[name])()

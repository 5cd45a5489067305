"""What a source is: something that yields Arrow batches. One module per kind of system."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol

from ingestion.catalogue import Entry, SourceSettings
from ingestion.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class Span:
    """Which rows, by their cursor: at or above `lower`, below `upper`. None: no bound."""

    lower: Any | None = None
    upper: Any | None = None

    def __bool__(self) -> bool:
        return self.lower is not None or self.upper is not None


EVERYTHING = Span()


@dataclass(frozen=True)
class Found:
    """An entity that a source has. columns: name -> whether it holds times."""

    entity: str
    key: tuple[str, ...]
    columns: Mapping[str, bool]


class Source(Protocol):
    """A connection to one system. Columns keep the source's own names; times are UTC; decimals stay decimal128.

    A reader that knows the columns yields at least one batch, an empty one when there are no rows: the table needs them anyway.
    One that can tell what there is has `entities`, which yields `Found`; one that can sum has `totals`, see `ingestion.totals`.
    """

    def batches(self, entry: Entry, span: Span) -> Iterator[pa.Table | pa.RecordBatch]:
        """The rows of the span. Raises SourceError."""

    def keys(self, entry: Entry) -> Iterator[pa.Table | pa.RecordBatch]:
        """The key columns of every row that exists now. Raises SourceError."""

    def count(self, entry: Entry, span: Span) -> int | None:
        """How many rows there are in the span, as far as it costs little to know. Raises SourceError."""

    def close(self) -> None: ...


class WholeRows:
    """What a source is that can only be read: its keys are in its rows, and nobody knows how many there are."""

    def batches(self, entry: Entry, span: Span) -> Iterator[pa.Table]:
        raise NotImplementedError

    def keys(self, entry: Entry) -> Iterator[pa.Table]:
        for table in self.batches(entry, EVERYTHING):
            yield table.select(entry.key)

    def count(self, entry: Entry, span: Span) -> int | None:
        return None

    def close(self) -> None:
        """There is no connection that stays open."""


KINDS = {
    "postgres": "Postgres", "salesforce": "Salesforce", "sap": "Sap", "sql": "Sql", "files": "Files", "rest": "Rest",
}  # fmt: skip


def open_source(settings: SourceSettings) -> Source:
    """Connects to a source, with credentials from dlt's configuration. Raises ConfigError, SourceError, UsageError."""
    if settings.kind not in KINDS:
        raise UsageError(
            f"no code reads sources of the kind {settings.kind!r}.{did_you_mean(settings.kind, KINDS)}",
            hint=f"known kinds: {', '.join(KINDS)}; a new one is ingestion/sources/{settings.kind}.py, named in KINDS",
        )
    # Imported by name so that a Postgres run does not pay for the Salesforce client.
    found: Source = getattr(import_module(f"ingestion.sources.{settings.kind}"), KINDS[settings.kind])(settings)
    return found

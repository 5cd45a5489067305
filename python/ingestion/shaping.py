"""What becomes of rows between source and table: keys, masks, declared types, and the rows that do not fit."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ingestion.catalogue import Entry
from ingestion.errors import ConfigError, SourceError, first_line

if TYPE_CHECKING:
    import pyarrow as pa

ROW_VERSION = "_row_version"
SALT = "ingest.mask_salt"
_MOST_QUARANTINED = 100_000


def as_table(batch: Any, key: Iterable[str]) -> pa.Table:
    """The batch as a table whose key columns cannot be null, which is what dlt's primary key says of them."""
    import pyarrow as pa

    table = pa.Table.from_batches([batch]) if isinstance(batch, pa.RecordBatch) else batch
    return table.cast(pa.schema([field.with_nullable(field.name not in key) for field in table.schema]))


class Shaper:
    """Makes of a source's batches what is loaded. `known`: the table's columns when it exists, by dlt's `naming`.

    `quarantined` collects the rows that were put aside, as {"_row", "_reason", "_quarantined_at", "_row_id"}.
    """

    def __init__(self, entry: Entry, known: Iterable[str] | None = None, naming: Any = None):
        self.entry = entry
        self.quarantined: list[dict[str, Any]] = []
        self._known = set(known) if known is not None and entry.contract == "quarantine" else None
        self._naming = naming
        self._salt = _salt() if "hash" in entry.mask.values() else b""
        self._is_checked = bool(entry.types) or entry.contract == "quarantine"

    def rows(self, batch: Any) -> pa.Table:
        """Raises SourceError for a row that does not fit, unless the contract is quarantine."""
        table = as_table(batch, ())
        if self._is_checked:
            table = self._fitting(table)
        table = self.masked(table)
        try:
            return as_table(table, self.entry.key)
        except ValueError as error:  # of Arrow: a null in a column that must not have one
            raise SourceError(
                f"{self.entry.entity} has a row without its key", why=first_line(error),
                hint="contract: quarantine in the catalogue puts such rows aside",
            ) from error  # fmt: skip

    def keys(self, batch: Any) -> pa.Table:
        return as_table(self.masked(as_table(batch, ())), self.entry.key)

    def masked(self, table: pa.Table) -> pa.Table:
        import pyarrow as pa

        for column, how in self.entry.mask.items():
            if column not in table.column_names:
                continue
            index = table.column_names.index(column)
            if how == "null":
                values: Any = pa.nulls(len(table), pa.string())
            else:
                encoded = table.column(index).combine_chunks().dictionary_encode()
                hashes = [None if value is None else self._hash(value) for value in encoded.dictionary.to_pylist()]
                values = pa.array(hashes, pa.string()).take(encoded.indices)
            table = table.set_column(index, column, values)
        return table

    def _hash(self, value: Any) -> str:
        return hmac.new(self._salt, str(value).encode(), hashlib.sha256).hexdigest()

    def _fitting(self, table: pa.Table) -> pa.Table:
        """The rows that are what the catalogue says, with the types it says."""
        import pyarrow as pa
        import pyarrow.compute as pc

        entry = self.entry
        reasons: list[tuple[Any, str]] = []  # (which rows, why)
        unknown = (
            []
            if self._known is None
            else [name for name in table.column_names if self._naming.normalize_identifier(name) not in self._known]
        )
        for name in unknown:
            reasons.append((pc.is_valid(table[name]), f"the table has no column {name}"))
        cast = _cast(table, {name: kind for name, kind in entry.types.items() if name in table.column_names})
        for name in entry.types:
            if name in table.column_names:
                lost = pc.and_(pc.is_valid(table[name]), pc.is_null(cast[name]))
                reasons.append((lost, f"{name} is no {entry.types[name]}"))
        for name in entry.key:
            if name in table.column_names:
                reasons.append((pc.is_null(table[name]), f"the key {name} is missing"))
        bad = pa.array([False] * len(table), pa.bool_()) if reasons else None
        for which, _ in reasons:
            bad = pc.or_(bad, which)
        if bad is None or not pc.any(bad, min_count=0).as_py():
            return cast.drop_columns(unknown) if unknown else cast
        if entry.contract != "quarantine":
            which, why = next((which, why) for which, why in reasons if pc.any(which, min_count=0).as_py())
            first = self.masked(table.filter(which).slice(0, 1)).to_pylist()[0]
            key = ", ".join(f"{name} {first.get(name)!r}" for name in entry.key)
            raise SourceError(
                f"{entry.entity} has rows that do not fit: {why}", where=f"the first one: {key}" if key else None,
                why=f"{pc.sum(which).as_py()} of {len(table)} rows of a batch",
                hint="contract: quarantine in the catalogue puts such rows aside",
            )  # fmt: skip
        self._put_aside(table, bad, reasons)
        return cast.drop_columns(unknown).filter(pc.invert(bad))

    def _put_aside(self, table: pa.Table, bad: Any, reasons: list[tuple[Any, str]]) -> None:
        import pyarrow as pa

        now = datetime.now(UTC)
        flags = pa.table({str(number): which for number, (which, _) in enumerate(reasons)}).filter(bad).to_pylist()
        for row, flagged in zip(self.masked(table.filter(bad)).to_pylist(), flags, strict=True):
            filled = {name: value for name, value in row.items() if value is not None}  # the same when a column is new
            text = json.dumps(filled, default=str, ensure_ascii=False, sort_keys=True)
            why = "; ".join(reasons[int(number)][1] for number, is_so in flagged.items() if is_so)
            row_id = hashlib.sha256(text.encode()).hexdigest()
            self.quarantined.append({"_row_id": row_id, "_row": text, "_reason": why, "_quarantined_at": now})
        if len(self.quarantined) > _MOST_QUARANTINED:
            raise SourceError(
                f"more than {_MOST_QUARANTINED:,} rows of {self.entry.entity} do not fit", why=self.quarantined[-1]["_reason"],
                hint="that is another table than the catalogue says: compare its types with the source",
            )  # fmt: skip


def with_version(table: pa.Table) -> pa.Table:
    """The rows with a digest of all their values: two versions of a row differ in it."""
    import duckdb

    parts = ", ".join(f"coalesce(cast({_quoted(name)} as varchar), chr(30))" for name in table.column_names)
    with duckdb.connect() as connection:
        connection.execute("set timezone = 'UTC'")
        return connection.sql(
            f'select *, md5(concat_ws(chr(31), {parts})) as "{ROW_VERSION}" from "table"'
        ).to_arrow_table()


def without(keys: pa.Table, others: list[pa.Table]) -> pa.Table:
    """The rows of `keys` that are in none of the other tables of keys (anti-join, in Arrow)."""
    import pyarrow as pa

    other = pa.concat_tables(others)
    return keys.cast(other.schema).join(other, keys=other.schema.names, join_type="left anti")


def _cast(table: pa.Table, types: Mapping[str, str]) -> pa.Table:
    """With the declared types; null where a value cannot be that."""
    if not types:
        return table
    import duckdb

    chosen = [
        f"try_cast({_quoted(name)} as {types[name]}) as {_quoted(name)}" if name in types else _quoted(name)
        for name in table.column_names
    ]
    with duckdb.connect() as connection:
        connection.execute("set timezone = 'UTC'")
        try:
            return connection.sql(f'select {", ".join(chosen)} from "table"').to_arrow_table()
        except duckdb.Error as error:
            raise ConfigError("the types in the catalogue cannot be used", why=first_line(error)) from error


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _salt() -> bytes:
    """Without a secret salt a hash of a telephone number is no secret: there are few of them."""
    import dlt

    salt = dlt.secrets.get(SALT)
    if not salt:
        raise ConfigError(
            "there is no salt for the masked columns", why="INGEST__MASK_SALT is missing",
            where="neither in the environment nor in .dlt/secrets.toml ([ingest] mask_salt)",
            hint="make one, and keep it: openssl rand -hex 32",
        )  # fmt: skip
    return str(salt).encode()

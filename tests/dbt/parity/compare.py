"""Row-by-row equality of what two warehouses built."""

from __future__ import annotations

from typing import Any

HIDDEN = ("dbt_scd_id",)  # a hash of texts that each warehouse writes in its own way
Row = dict[str, str | None]


def first_difference(warehouse: str, got: dict[str, list[Row]], expected: dict[str, list[Row]]) -> str | None:
    """What differs first, in words: a table, or a row by its key with both values. None if nothing does."""
    if set(got) != set(expected):
        return f"{warehouse}: tables differ: {sorted(set(got) ^ set(expected))}"
    for table in sorted(expected):
        ours, theirs = _sorted(got[table]), _sorted(expected[table])
        for mine, other in zip(ours, theirs, strict=False):
            if mine != other:
                key = next(iter(other))
                columns = [column for column in {**other, **mine} if mine.get(column) != other.get(column)]
                said = "; ".join(f"{column} is {mine.get(column)}, on DuckDB {other.get(column)}" for column in columns)
                return f"{warehouse}: {table} differs at {key} = {other[key]}: {said}"
        if len(ours) != len(theirs):
            return f"{warehouse}: {table} has {len(ours)} rows, on DuckDB {len(theirs)}"
    return None


def _sorted(rows: list[Row]) -> list[Row]:
    shown: list[Any] = [{name: value for name, value in row.items() if name not in HIDDEN} for row in rows]
    return sorted(shown, key=lambda row: [(value is not None, value or "") for value in row.values()])

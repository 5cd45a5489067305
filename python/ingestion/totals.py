"""What both sides of a load have: rows and sums of numbers, per month of the cursor. The same SQL asks either of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

MOST_MONTHS = 240
"""A query gets no longer than that; what is before counts as one."""
SHOWN = 10

Row = tuple[int, tuple[Decimal | None, ...]]


@dataclass(frozen=True)
class Totals:
    """edges: the ends of the partitions but the last, exclusive; columns: those that are summed; rows: number of the partition
    (-1: no cursor) -> rows, sums."""

    edges: tuple[datetime, ...]
    columns: tuple[str, ...]
    rows: dict[int, Row]

    @property
    def count(self) -> int:
        return sum(rows for rows, _ in self.rows.values())

    def label(self, partition: int) -> str:
        if partition < 0:
            return "without a cursor"
        if not self.edges:
            return "all"
        return f"{self.edges[partition - 1]:%Y-%m}" if partition else f"before {self.edges[0]:%Y-%m}"


def months(low: Any, high: Any) -> tuple[datetime, ...]:
    """The beginnings of the months after `low`, up to that of `high`, with a time zone if these have one. None at all for a
    cursor that is no time."""
    if not isinstance(low, date) or not isinstance(high, date):  # a datetime is a date, too
        return ()
    first, last = (12 * moment.year + moment.month for moment in (low, high))  # of the month after
    numbers = range(first, last)[-MOST_MONTHS:]
    zone = UTC if getattr(low, "tzinfo", None) else None
    return tuple(datetime(number // 12, number % 12 + 1, 1, tzinfo=zone) for number in numbers)


def query(rows: str, cursor: str | None, edges: Sequence[datetime], sums: Iterable[str]) -> str:
    """Partition, rows, sums as text. `rows`: what comes after `from`. The names are quoted already."""
    partition = "0"
    if cursor and edges:
        # Compared as what it is: between a time with and one without a zone stands the zone of the session.
        kind = "timestamp with time zone" if edges[0].tzinfo else "timestamp"
        cases = (
            f"when {cursor} < cast('{edge.isoformat()}' as {kind}) then {number}" for number, edge in enumerate(edges)
        )
        partition = f"case when {cursor} is null then -1 {' '.join(cases)} else {len(edges)} end"
    summed = "".join(f", cast(sum({column}) as varchar)" for column in sums)
    return f"select {partition} as part, count(*){summed} from {rows} group by 1"


def from_rows(edges: Sequence[datetime], columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> Totals:
    found = {
        int(part): (int(count), tuple(None if text is None else Decimal(text) for text in sums))
        for part, count, *sums in rows
    }
    return Totals(tuple(edges), tuple(columns), found)


def differences(theirs: Totals, ours: Totals) -> list[str]:
    """In words, the first ones of many."""
    found = []
    for partition in sorted(theirs.rows.keys() | ours.rows.keys()):
        label = theirs.label(partition)
        nothing: Row = (0, (None,) * len(theirs.columns))
        (rows, sums), (our_rows, our_sums) = (side.rows.get(partition, nothing) for side in (theirs, ours))
        if rows != our_rows:
            found.append(f"{label}: the source has {rows:,} rows, the table {our_rows:,}")
        for column, here, there in zip(theirs.columns, sums, our_sums, strict=True):
            if rows == our_rows and here != there:
                found.append(f"{label}: the sum of {column} is {here} in the source, {there} in the table")
    return found[:SHOWN]

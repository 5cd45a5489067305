"""Rows of JSON, Excel and other systems without types as Arrow tables: the first value of a column decides its type."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any

import pyarrow as pa

BATCH_ROWS = 10_000


class RowTables:
    """Makes tables of rows; what a column was in the first batch that had a value in it, it stays.

    Objects and lists become JSON text. A column of several types at once becomes text as well.
    """

    def __init__(self) -> None:
        self._types: dict[str, pa.DataType] = {}

    def tables(self, rows: Iterable[Mapping[str, Any]], size: int = BATCH_ROWS) -> Iterator[pa.Table]:
        rows = iter(rows)
        while chunk := list(islice(rows, size)):
            yield self.table(chunk)

    def table(self, rows: list[Mapping[str, Any]]) -> pa.Table:
        names = dict.fromkeys([*self._types, *(name for row in rows for name in row)])
        return pa.table({name: self._column(name, [row.get(name) for row in rows]) for name in names})

    def _column(self, name: str, values: list[Any]) -> pa.Array:
        values = [
            json.dumps(value, ensure_ascii=False, default=str) if isinstance(value, (dict, list)) else value
            for value in values
        ]
        known = self._types.get(name)
        try:
            column = pa.array(values, known)
        except (pa.ArrowException, TypeError, ValueError, OverflowError):
            if known is not None and not pa.types.is_string(known):
                raise
            column = pa.array([None if value is None else _text(value) for value in values], pa.string())
        if pa.types.is_null(column.type):
            return column if known else pa.nulls(len(values), pa.string())
        self._types.setdefault(name, column.type)
        return column


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=str)

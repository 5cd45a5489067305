"""What SQL gives back: its values as JSON, and how a test measures and judges them (sections 9.6 and 9.7)."""

from __future__ import annotations

import datetime
import decimal
import math
import operator
import re
from collections.abc import Callable, Sequence
from typing import Any

Row = tuple[Any, ...]

_COMPARE: dict[str, Callable[[Any, int], bool]] = {
    "=": operator.eq, "!=": operator.ne, ">": operator.gt, "<": operator.lt, ">=": operator.ge, "<=": operator.le,
}  # fmt: skip
_THRESHOLD = re.compile(r"\s*(=|!=|>=|<=|>|<)\s*([0-9]+)\s*")
_NUMBERS = (int, float, decimal.Decimal)


def judge(measured: Any, error: str | None, warn: str | None) -> tuple[str, str]:
    """Status of a test, and why: the error threshold is looked at first (section 9.7). None is a threshold that is not
    set. Raises ValueError for a threshold of another form."""
    for status, threshold in (("FAILED", error), ("WARNING", warn)):
        if threshold is None:
            continue
        match = _THRESHOLD.fullmatch(threshold)
        if match is None:
            raise ValueError(f"invalid threshold expression '{threshold}': an operator and a whole number, as in '> 0'")
        if _COMPARE[match[1]](measured, int(match[2])):
            return status, f"measured {_shown(measured)}, which is {threshold.strip()}"
    return "SUCCEEDED", f"measured {_shown(measured)}"


def measure(rows: Sequence[Row], count: int, is_aggregate: Callable[[], bool]) -> Any:
    """What a test compares: the number of rows, but the value itself of a query for one aggregate (9.7).

    `is_aggregate` is asked only when there is one value, because it has to parse the SQL. An aggregate over no rows is
    NULL, which counts as 0; one that is no number is one row.
    """
    if count != 1 or len(rows[0]) != 1:
        return count
    value = rows[0][0]
    if (value is None or is_number(value)) and is_aggregate():
        return value or 0
    return count


def is_number(value: Any) -> bool:
    return isinstance(value, _NUMBERS) and not isinstance(value, bool) and math.isfinite(value)


def is_aggregate(sql: str, dialect: str) -> bool:
    """Whether the last statement selects one aggregate: then its value is measured, else the number of rows (9.7)."""
    import sqlglot
    from sqlglot import exp

    try:
        last = [statement for statement in sqlglot.parse(sql, read=dialect) if statement is not None][-1]
    except (sqlglot.errors.SqlglotError, IndexError):
        return False  # the database understood it and we do not: count rows
    if not isinstance(last, exp.Select) or len(last.expressions) != 1:
        return False
    selected = last.expressions[0].unalias()
    while isinstance(selected, (exp.Paren, exp.Cast)):
        selected = selected.this
    return isinstance(selected, (exp.Count, exp.CountIf, exp.Sum, exp.Min, exp.Max, exp.Avg))


def json_value(value: Any) -> Any:
    """As the output `results` holds it: decimals are numbers, dates ISO text, bytes hexadecimal text."""
    if value is None or isinstance(value, (str, bool, int)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)  # JSON has no NaN and no infinity
    if isinstance(value, decimal.Decimal):
        if not value.is_finite():
            return str(value)
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, (datetime.datetime, datetime.date, datetime.time)):
        return value.isoformat()
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value).hex()
    if isinstance(value, dict):
        return {str(key): json_value(each) for key, each in value.items()}
    if isinstance(value, (list, tuple, set)):
        return [json_value(each) for each in value]
    return str(value)


def _shown(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)

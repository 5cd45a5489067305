"""What a test measures, and what values become."""

from __future__ import annotations

import datetime
import json
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from rehearse.jobs.sql_values import is_aggregate, is_number, json_value, judge, measure


@pytest.mark.parametrize(
    ("measured", "error", "warn", "status"),
    [(10, "> 5", "> 8", "FAILED"), (7, "> 10", "> 5", "WARNING"), (0, "> 0", "> 0", "SUCCEEDED"),
     (2, "= 1", "= 3", "SUCCEEDED"), (0, "> 1000000", "= 0", "WARNING"), (0, "<1", "> 0", "FAILED"),
     (3, "!=3", "!= 4", "WARNING"), (3, ">=3", "> 0", "FAILED"), (3, "<= 2", " >= 3 ", "WARNING"),
     (0.5, "> 0", "> 0", "FAILED"), (Decimal("0.5"), "> 0", None, "FAILED"), (9, None, "> 8", "WARNING"),
     (9, None, None, "SUCCEEDED")],
)  # fmt: skip
def test_thresholds_as_documented(measured: Any, error: str | None, warn: str | None, status: str) -> None:
    assert judge(measured, error, warn)[0] == status


@pytest.mark.parametrize("threshold", ["== 1", "> 1.5", "> -1", "5", "> 1 or 1", ""])
def test_a_threshold_of_another_form_is_refused(threshold: str) -> None:
    with pytest.raises(ValueError, match="invalid threshold expression"):
        judge(1, threshold, None)


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("select count(*) from t", True),
        ("with bad as (select 1 as x where 1 = 0) select count(*) as n from bad", True),
        ("set x = 1; select sum(a) from t where b = 'a;b'; ", True),
        ("-- select a\nselect max(a) from t", True),
        ("select (count(*))::int from t", True),
        ("select a from t where a in (select count(*) from u)", False),
        ("select count(*), 1 from t", False),
        ("select count(*) + 1 from t", False),
        ("this is not SQL (", False),
        ("", False),
    ],
)
def test_a_single_aggregate_is_measured_by_its_value(sql: str, expected: bool) -> None:
    assert is_aggregate(sql, "snowflake") is expected


@pytest.mark.parametrize(
    ("rows", "count", "aggregate", "measured"),
    [([(7,)], 1, True, 7), ([(7,)], 1, False, 1), ([(None,)], 1, True, 0), ([("7",)], 1, True, 1), ([], 0, True, 0),
     ([(7,), (8,)], 2, True, 2), ([(7, 8)], 1, True, 1), ([(Decimal("2.5"),)], 1, True, Decimal("2.5")),
     ([(True,)], 1, True, 1), ([(1,)], 5_000_000, True, 5_000_000)],
)  # fmt: skip
def test_what_is_measured(rows: list[tuple[Any, ...]], count: int, aggregate: bool, measured: Any) -> None:
    assert measure(rows, count, lambda: aggregate) == measured


def test_every_value_is_json() -> None:
    utc = datetime.UTC
    values = {
        "decimal": Decimal("1.50"), "whole": Decimal("12345678901234567890"), "nan": Decimal("NaN"), "float": float("inf"),
        "day": datetime.date(2026, 1, 2), "time": datetime.datetime(2026, 1, 2, 3, 4, tzinfo=utc), "bytes": b"\x00\xff",
        "list": [Decimal(1), (2, None)], "dict": {1: datetime.time(1, 2)}, "uuid": UUID(int=1),
        "long": datetime.timedelta(days=1), "true": True, "none": None,
    }  # fmt: skip
    assert json.loads(json.dumps(json_value(values), allow_nan=False)) == {
        "decimal": 1.5, "whole": 12345678901234567890, "nan": "NaN", "float": "inf", "day": "2026-01-02",
        "time": "2026-01-02T03:04:00+00:00", "bytes": "00ff", "list": [1, [2, None]], "dict": {"1": "01:02:00"},
        "uuid": "00000000-0000-0000-0000-000000000001", "long": "1 day, 0:00:00", "true": True, "none": None,
    }  # fmt: skip


def test_what_is_a_number() -> None:
    assert [is_number(v) for v in (1, 1.5, Decimal(1), True, "1", None, float("nan"))] == [True] * 3 + [False] * 4

from __future__ import annotations

import pytest

from rehearse.jobs.base import JobError
from rehearse.jobs.dbt_core import split_commands
from rehearse.jobs.sql_host import _is_aggregate, judge


@pytest.mark.parametrize(
    ("text", "commands"),
    [
        ("dbt build", [["build"]]),
        ("dbt deps; dbt build;", [["deps"], ["build"]]),
        ("dbt build\n--select models\n;", [["build", "--select", "models"]]),
        ("dbt deps\ndbt seed", [["deps"], ["seed"]]),
        ("dbt run --vars '{a: \"x;y\"}'", [["run", "--vars", '{a: "x;y"}']]),
    ],
)
def test_dbt_commands_are_split(text: str, commands: list[list[str]]) -> None:
    assert split_commands(text) == commands


@pytest.mark.parametrize("text", ["", ";", "rm -rf /", "dbt build; rm x", "dbt run 'open"])
def test_what_is_not_a_dbt_command_is_refused(text: str) -> None:
    with pytest.raises(JobError):
        split_commands(text)


@pytest.mark.parametrize(
    ("measured", "error", "warn", "status"),
    [(10, "> 5", "> 8", "FAILED"), (7, "> 10", "> 5", "WARNING"), (0, "> 0", "> 0", "SUCCEEDED"),
     (2, "= 1", "= 3", "SUCCEEDED"), (0, "> 1000000", "= 0", "WARNING"), (0, "<1", "> 0", "FAILED")],
)  # fmt: skip
def test_thresholds_as_documented(measured: float, error: str, warn: str, status: str) -> None:
    assert judge(measured, error, warn)[0] == status


@pytest.mark.parametrize(
    ("sql", "is_aggregate"),
    [
        ("select count(*) from t", True),
        ("with bad as (select 1 as x where 1 = 0) select count(*) as n from bad", True),
        ("set x = 1; select sum(a) from t where b = 'a;b'; ", True),
        ("-- select a\nselect max(a) from t", True),
        ("select a from t where a in (select count(*) from u)", False),
        ("select count(*), 1 from t", False),
        ("select count(*) + 1 from t", False),
        ("this is not SQL (", False),
    ],
)
def test_a_single_aggregate_is_measured_by_its_value(sql: str, is_aggregate: bool) -> None:
    assert _is_aggregate(sql, "snowflake") is is_aggregate

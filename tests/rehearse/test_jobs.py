from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from unittest.mock import Mock

import pytest

from rehearse.jobs.base import JobError
from rehearse.jobs.dbt_core import split_commands
from rehearse.jobs.sql_host import _is_aggregate, _open_patiently, judge


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


def _write(folder: str, name: int) -> None:
    import duckdb

    with _open_patiently(duckdb, f"{folder}/w.duckdb", read_only=False) as connection:
        connection.execute(f"create table t{name} as select 1")


def test_several_tasks_make_the_same_duckdb_file(tmp_path: Path) -> None:
    """DuckDB lets one see the empty file of the other, and calls it broken."""
    import duckdb

    with ProcessPoolExecutor(3, mp_context=get_context("spawn")) as pool:
        for attempt in range(12):
            folder = tmp_path / str(attempt)
            folder.mkdir()
            list(pool.map(_write, [str(folder)] * 3, range(3)))
            assert [path.name for path in folder.iterdir()] == ["w.duckdb"]
            with duckdb.connect(str(folder / "w.duckdb")) as connection:
                assert len(connection.execute("show tables").fetchall()) == 3


def test_a_duckdb_file_where_no_links_can_be_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.link", Mock(side_effect=PermissionError))
    _write(str(tmp_path), 1)
    assert [path.name for path in tmp_path.iterdir()] == ["w.duckdb"]

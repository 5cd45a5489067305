"""Every way of loading, over days of changes: the table is what the source is, or was. The source is SQLite by SQLAlchemy."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from ingest_harness import Sandbox
from ingestion.catalogue import Entry
from ingestion.errors import LoadError, SourceError, UsageError
from ingestion.load import Options, ingest
from ingestion.sources import Span
from ingestion.warehouse import DuckDbFile
from till import SALES, SETTINGS, START, Till


@pytest.fixture(params=["duckdb", "postgres"])
def till(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sandbox: Sandbox
) -> Iterator[Till]:
    monkeypatch.setenv("DUCKDB_PATH", str(tmp_path / "warehouse.duckdb"))
    monkeypatch.setenv("DLT_PIPELINES_DIR", str(tmp_path / "pipelines"))
    monkeypatch.setenv("SOURCES__TILL__CREDENTIALS", f"sqlite:///{tmp_path}/till.db")
    credentials = None
    if request.param == "postgres":
        # Each worker process has its own sandbox, so the schemas are ours.
        credentials = sandbox.env["SOURCES__POSTGRES__CREDENTIALS"]
        monkeypatch.setenv("DESTINATION__POSTGRES__CREDENTIALS", credentials)
    found = Till(tmp_path, request.param, credentials)
    yield found
    found.source.close()
    if credentials:
        with psycopg.connect(credentials, autocommit=True) as connection:
            connection.execute("drop schema if exists raw_till, raw_till_staging cascade")


@pytest.mark.parametrize("pattern", ["merge", "replace"])
def test_after_any_history_of_changes_the_table_is_the_source(till: Till, pattern: str) -> None:
    """Ten days, of which some are not loaded; rows come, change and vanish."""
    chance = random.Random(20261126)
    entry = SALES if pattern == "merge" else replace(SALES, pattern="replace", deletes="none")
    for day in range(10):
        keys = [key for key, _ in till.rows()]
        till.remove(*chance.sample(keys, min(len(keys), chance.randrange(4))))
        till.put(day, *((chance.randrange(40), chance.randrange(100)) for _ in range(chance.randrange(12))))
        if chance.random() < 0.7 or day in (0, 9):
            till.load(entry)
            assert till.table() == till.rows(), day
    again = till.load(entry)
    assert till.table() == till.rows()
    assert pattern == "replace" or (again.rows, again.deleted) == (0, 0)


def test_append_keeps_every_version_once(till: Till) -> None:
    entry = replace(SALES, pattern="append", deletes="none")
    till.put(0, (1, 10), (2, 20))
    assert till.load(entry).rows == 2
    till.put(1, (1, 11))
    assert [till.load(entry).rows for _ in range(2)] == [1, 0]
    assert till.table() == [(1, 10), (1, 11), (2, 20)]


def test_history_has_a_version_for_each_change(till: Till) -> None:
    entry = replace(SALES, pattern="history", deletes="none")
    till.put(0, (1, 10), (2, 20), (3, 30))
    till.load(entry)
    till.put(1, (1, 11))
    till.remove(2)
    till.load(entry)
    till.load(entry)
    assert till.table(where="_dlt_valid_to is null") == [(1, 11), (3, 30)] == till.rows()
    assert till.table() == [(1, 10), (1, 11), (2, 20), (3, 30)]
    till.put(2, (2, 20))
    till.load(entry, full_refresh=True)  # even then nothing of the past is lost
    assert till.table(where="_dlt_valid_to is null") == till.rows()
    assert till.table() == [(1, 10), (1, 11), (2, 20), (2, 20), (3, 30)]


def test_history_with_marked_deletes_reads_only_what_is_new(till: Till) -> None:
    entry = replace(SALES, pattern="history", deletes="flag")
    till.put(0, (1, 10), (2, 20))
    till.load(entry)
    till.put(1, (1, 11))
    assert till.load(entry).mode == "incremental"
    assert till.table(where="_dlt_valid_to is null") == till.rows()
    assert till.table() == [(1, 10), (1, 11), (2, 20)]


def test_a_snapshot_per_day_which_can_be_taken_again(till: Till) -> None:
    entry = replace(SALES, pattern="snapshot", deletes="none", cursor=None)
    till.put(0, (1, 10), (2, 20))
    till.load(entry, day=date(2026, 1, 1))
    till.put(1, (1, 11))
    till.remove(2)
    till.load(entry, day=date(2026, 1, 2))
    till.put(1, (1, 12))
    till.load(entry, day=date(2026, 1, 2))
    assert till.table() == [(1, 10), (1, 12), (2, 20)]
    assert till.table(where="_snapshot_date = '2026-01-02'") == [(1, 12)]


def test_late_rows_are_found_within_the_lag(till: Till) -> None:
    entry = replace(SALES, deletes="none", lag="2d")
    till.put(5, (1, 10))
    till.load(entry)
    till.put(4, (2, 20))  # committed late, with a value below the cursor
    till.put(1, (3, 30))  # too late
    till.load(entry)
    assert till.table() == [(1, 10), (2, 20)]
    till.load(replace(entry, lag=None))
    assert till.table() == [(1, 10), (2, 20)]


def test_a_range_is_loaded_again_and_the_cursor_stays(till: Till) -> None:
    entry = replace(SALES, deletes="none")
    till.put(0, (1, 10), (2, 20))
    till.put(9, (3, 30))
    with pytest.raises(UsageError, match="into which a range"):
        till.load(entry, span=Span(START, START + timedelta(days=1)))
    high = till.load(entry).cursor_to
    till.source.execute("update sales set amount = amount + 1")  # behind the cursor's back
    done = till.load(entry, span=Span(START, START + timedelta(days=1)))
    assert (done.mode, done.rows) == ("range", 2)
    assert till.table() == [(1, 11), (2, 21), (3, 30)]
    till.put(10, (4, 40))
    # 3 is at the very cursor value, where the next load looks again
    assert (till.load(entry).cursor_from, till.table()) == (high, [(1, 11), (2, 21), (3, 31), (4, 40)])


@pytest.mark.parametrize(
    ("entry", "options"),
    [
        (replace(SALES, pattern="append", deletes="none", key=()), {"span": Span(START)}),
        (replace(SALES, pattern="history", deletes="none"), {"span": Span(START)}),
        (SALES, {"span": Span(START), "full_refresh": True}),
        (SALES, {"day": date(2026, 1, 1)}),
    ],
)
def test_what_makes_no_sense_is_refused(entry: Entry, options: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        ingest(entry, SETTINGS, options=Options(**options))


def test_a_dry_run_writes_nothing_and_a_sample_goes_beside(till: Till) -> None:
    till.put(0, *((key, key) for key in range(20)))
    done = till.load(SALES, dry_run=True)
    assert (done.dry_run, done.mode, done.rows) == (True, "full", 20)
    assert till.load(SALES, limit=5).object == "sales_sample"
    assert len(till.table("sales_sample")) == 5
    assert (till.load(SALES).mode, len(till.table())) == ("full", 20)
    till.put(1, (1, 5))
    done = till.load(SALES, dry_run=True)
    assert (done.mode, done.rows) == ("incremental", 20)  # 1 changed, 19 at the very cursor value
    assert till.table()[1] == (1, 1)


def test_verify_counts_both_sides(till: Till) -> None:
    entry = replace(SALES, deletes="none")
    till.put(0, (1, 10), (2, 20))
    assert till.load(entry, verify=True).verified is True
    till.remove(1)
    done = till.load(entry, verify=True)
    assert (done.verified, done.verification) == (False, {"source_rows": 1, "table_rows": 2})
    assert till.load(SALES, full_refresh=True, verify=True).verified is True


def test_masked_columns_can_still_be_joined_but_not_read(till: Till, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = replace(SALES, mask={"note": "hash", "amount": "null"})
    till.put(0, (1, 10), (2, 20), note="amy@example.com")
    with pytest.raises(Exception, match="no salt"):
        till.load(entry)
    monkeypatch.setenv("INGEST__MASK_SALT", "pepper-and-salt")
    till.load(entry)
    till.put(1, (1, 10), note="bo@example.com")
    till.load(entry)
    rows = till.query("select id, amount, note from raw_till.sales order by id")
    assert [(row[0], row[1], len(row[2])) for row in rows] == [(1, None, 64), (2, None, 64)]
    assert rows[0][2] != rows[1][2] and "amy" not in str(rows)
    with pytest.raises(SourceError) as caught:  # nor in an error
        till.load(replace(entry, key=("note",), types={"note": "integer"}), full_refresh=True)
    assert "note '" in str(caught.value.where) and "example.com" not in str(caught.value.where)


def test_a_frozen_contract_refuses_a_new_column(till: Till) -> None:
    entry = replace(SALES, contract="freeze")
    till.put(0, (1, 10))
    till.load(entry)
    till.source.execute("alter table sales add column discount integer")
    till.put(1, (2, 20))
    with pytest.raises(LoadError) as caught:
        till.load(entry)
    assert "discount" in str(caught.value.why) and "evolve" in str(caught.value.hint)
    assert till.table() == [(1, 10)]
    till.load(replace(entry, contract="evolve"))
    assert till.table() == [(1, 10), (2, 20)]


def test_rows_that_do_not_fit_are_put_aside(till: Till) -> None:
    entry = replace(SALES, deletes="none", types={"note": "integer"})
    till.put(0, (1, 10), note="12")
    till.put(0, (2, 20), note="twelve")
    with pytest.raises(SourceError, match="note is no integer"):
        till.load(entry)
    entry = replace(entry, contract="quarantine")
    done = till.load(entry)
    assert (done.rows, done.quarantined) == (1, 1)
    till.source.execute("alter table sales add column discount integer")
    till.put(1, (3, 30), note="13")
    till.source.execute("update sales set discount = 5 where id = 3")
    till.put(1, (4, 40), note="14")
    assert till.load(entry).quarantined == 2  # the one at the cursor's value is read again, and kept once
    assert till.query("select id, note from raw_till.sales order by 1") == [(1, 12), (4, 14)]
    aside = till.query("select _row, _reason from raw_till.sales_quarantine order by 1")
    assert [reason for _, reason in aside] == ["note is no integer", "the table has no column discount"]
    assert '"twelve"' in aside[0][0]


@pytest.mark.parametrize("till", ["postgres"], indirect=True)
def test_a_table_that_is_read_meanwhile_is_never_half(till: Till) -> None:
    """A full refresh of many rows, and a reader that looks all the time. (A DuckDB file is open to one process at a time.)"""
    till.put(0, *((key, 1) for key in range(3000)))
    till.load(SALES)
    seen: set[int] = set()
    done = threading.Event()

    def look() -> None:
        while not done.is_set():
            seen.add(till.query("select count(*) from raw_till.sales")[0][0])

    reader = threading.Thread(target=look)
    reader.start()
    till.load(SALES, full_refresh=True)
    till.load(replace(SALES, pattern="replace", deletes="none"))
    done.set()
    reader.join()
    assert seen == {3000}


@pytest.mark.parametrize("till", ["duckdb"], indirect=True)
def test_a_merge_that_needs_more_memory_gets_it(
    till: Till, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    entry = replace(SALES, deletes="none")
    rows = [(key, key) for key in range(10_000)]
    till.put(0, *rows, note="x" * 2000)
    till.load(entry)
    till.put(1, *((key, key + 1) for key, _ in rows), note="y" * 2000)
    monkeypatch.setattr("ingestion.warehouse.DEFAULT_MEMORY", "48MB")
    till.load(entry)
    assert "48MB are not enough" in capsys.readouterr().err
    assert till.table() == till.rows()


def test_who_says_how_much_memory_duckdb_takes_is_heard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    short = Exception("Out of Memory Error: could not allocate block")
    file = DuckDbFile(tmp_path / "w.duckdb")
    assert not file.has_more_memory(Exception("disk full"))
    assert [file.has_more_memory(short) for _ in range(2)] == [True, False]
    monkeypatch.setenv("DUCKDB_MEMORY_LIMIT", "1GB")
    assert not DuckDbFile(tmp_path / "w.duckdb").has_more_memory(short)

"""Tables of files: which patterns they keep, that they are what the source is, and what is refused before anything is written."""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ingest_harness import Worker
from ingestion.catalogue import Entry
from ingestion.errors import UsageError
from ingestion.load import Options, Summary, ingest
from till import SALES, SETTINGS, Rows, Till

KEPT = replace(SALES, deletes="none")


class Lake(Till):
    def __init__(self, folder: Path, table_format: str):
        super().__init__(folder, "filesystem", None)
        self.format, self._lake = table_format, folder / "lake"

    def load(self, entry: Entry, **options: Any) -> Summary:
        return super().load(entry, table_format=self.format, **options)

    def table(self, name: str = "sales", where: str = "true") -> Rows:
        """As another program reads it."""
        place = self._lake / "raw_till" / name
        if self.format == "parquet":
            import duckdb

            return sorted(duckdb.sql(f"select id, amount from '{place}/*.parquet'").fetchall())
        if self.format == "delta":
            from deltalake import DeltaTable

            found = DeltaTable(str(place)).to_pyarrow_table()
        else:
            from pyiceberg.table import StaticTable

            newest = max(place.glob("metadata/*.metadata.json"), key=lambda path: path.stat().st_mtime_ns)
            found = StaticTable.from_metadata(str(newest)).scan().to_arrow()
        return sorted((row["id"], row["amount"]) for row in found.select(["id", "amount"]).to_pylist())


@pytest.fixture
def lake(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lake]:
    monkeypatch.setenv("DLT_PIPELINES_DIR", str(tmp_path / "pipelines"))
    monkeypatch.setenv("SOURCES__TILL__CREDENTIALS", f"sqlite:///{tmp_path}/till.db")
    monkeypatch.setenv("DESTINATION__FILESYSTEM__BUCKET_URL", str(tmp_path / "lake"))
    monkeypatch.setenv("DESTINATION__REPLACE_STRATEGY", "")  # whatever an invocation sets is undone
    found = Lake(tmp_path, request.param)
    yield found
    found.source.close()


@pytest.mark.parametrize("lake", ["delta", "iceberg"], indirect=True)
def test_after_any_history_of_changes_the_table_is_the_source(lake: Lake) -> None:
    chance = random.Random(20261127)
    deletes = lake.format == "delta"
    for day in range(3):
        keys = [key for key, _ in lake.rows()]
        if deletes:
            lake.remove(*chance.sample(keys, min(len(keys), chance.randrange(4))))
        lake.put(day, *((chance.randrange(40), chance.randrange(100)) for _ in range(chance.randrange(1, 12))))
        lake.load(SALES if deletes else KEPT, verify=True)
        assert lake.table() == lake.rows(), day
    again = lake.load(SALES if deletes else KEPT, verify=True)
    assert (again.rows, again.deleted, again.verified) == (0, 0, True)
    lake.source.execute("delete from sales where id % 2 = 0")
    assert lake.load(SALES if deletes else KEPT, full_refresh=True, verify=True).verified
    assert lake.table() == lake.rows()


@pytest.mark.parametrize("lake", ["parquet", "delta"], indirect=True)
def test_append_and_replace(lake: Lake) -> None:
    appended = replace(KEPT, pattern="append", name="sales_log", key=())
    replaced = replace(KEPT, pattern="replace")
    lake.put(0, (1, 10), (2, 20))
    lake.load(appended)
    lake.load(replaced)
    lake.put(1, (1, 11))
    lake.remove(2)
    assert [lake.load(appended).rows for _ in range(2)] == [1, 0]
    assert lake.table("sales_log") == [(1, 10), (1, 11), (2, 20)]
    assert lake.load(replaced, verify=True).verified and lake.table() == [(1, 11)]


@pytest.mark.parametrize("lake", ["delta"], indirect=True)
def test_a_load_that_was_killed_before_its_state_is_repeated_and_doubles_nothing(lake: Lake, tmp_path: Path) -> None:
    """The rows are there, what dlt stores after them is not: of a first load, and of a later one."""
    raw = tmp_path / "lake" / "raw_till"
    entry = replace(KEPT, pattern="append")  # whose rows have a key
    lake.put(0, (1, 10), (2, 20))
    lake.load(entry)
    for name in ("_dlt_pipeline_state", "_dlt_version", "_dlt_loads"):
        shutil.rmtree(raw / name)
    lake.load(entry)
    assert lake.table() == lake.rows()
    saved = {path: path.read_bytes() for path in (raw / "_dlt_pipeline_state").iterdir()}
    lake.put(1, (1, 11), (3, 30))
    lake.load(entry)
    for path in (raw / "_dlt_pipeline_state").iterdir():
        if path not in saved:
            path.unlink()
    lake.load(entry)
    assert lake.table() == lake.rows()


@pytest.mark.parametrize(
    ("entry", "destination", "table_format", "said"),
    [
        (KEPT, "filesystem", None, "Parquet files cannot be"),
        (replace(KEPT, pattern="history"), "filesystem", "delta", "pattern of till.sales is history"),
        (replace(KEPT, pattern="replace", contract="quarantine"), "filesystem", "parquet", "contract quarantine"),
        (SALES, "filesystem", "iceberg", "does not delete from Iceberg"),
        (KEPT, "filesystem", "delat", "Did you mean delta?"),
        (KEPT, "duckdb", "delta", "keeps tables in its own way"),
    ],
    ids=["merge", "history", "quarantine", "deletes", "typo", "database"],
)
def test_what_files_cannot_keep_is_refused(entry: Entry, destination: str, table_format: str | None, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        ingest(entry, SETTINGS, destination, Options(table_format=table_format))
    assert said in f"{caught.value} {caught.value.why} {caught.value.hint}"


def test_from_the_command_line(empty: Worker, tmp_path: Path) -> None:
    env = {"DESTINATION__FILESYSTEM__BUCKET_URL": str(tmp_path / "lake")}
    refused = empty("postgres", "orders", "--destination", "filesystem", **env)
    assert refused.code == 2 and "--table-format delta" in refused.stderr and not (tmp_path / "lake").exists()
    loaded = empty("postgres", "products", "--destination", "filesystem", "--table-format", "delta", "--verify", **env)
    assert loaded.summary["verified"] and loaded.summary["rows"] > 0

"""What an invocation may ask for, as flags, variables and PARAMS; discovery; PostgreSQL's types; reading ahead."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import duckdb
import psycopg
import pyarrow as pa
import pytest
from ingest_harness import Sandbox, Worker
from ingestion.catalogue import Entry, SourceSettings
from ingestion.discovery import discovered
from ingestion.errors import UsageError
from ingestion.parameters import Parameters, bound, entry_and_settings, resolve
from ingestion.progress import Progress
from ingestion.reading import ahead
from ingestion.sources import EVERYTHING, open_source


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SOURCE", "OBJECT", "DESTINATION", "FULL_REFRESH", "PARAMS"):
        monkeypatch.delenv(name, raising=False)


def test_a_flag_beats_a_variable_which_beats_params(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OBJECT", "orders")
    monkeypatch.setenv("FULL_REFRESH", "")
    monkeypatch.setenv(
        "PARAMS", '{"source": "sap", "object": "x", "full_refresh": "True", "limit": 5, "date": "2026-01-31"}'
    )
    found = resolve({"source": "postgres", "full_refresh": None, "dry_run": None})
    assert found == Parameters(
        source="postgres", object="orders", destination="duckdb", full_refresh=True, dry_run=False, verify=False, limit=5,
        lower=None, upper=None, day=date(2026, 1, 31), given={},
    )  # fmt: skip
    monkeypatch.setenv("PARAMS", '{"full_refresh": true}')
    assert resolve({"source": "a", "object": "b", "full_refresh": False}).full_refresh is False


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"full_refresh": "perhaps"}, "full_refresh is 'perhaps', expected True or False"),
        ({"limit": "-1"}, "limit is '-1', expected a number of rows"),
        ({"limit": "0"}, "expected a number of rows"),
        ({"date": "31.1.2026"}, "expected YYYY-MM-DD"),
        ({"params": "[]"}, "must be a JSON object"),
        ({"params": '{"form": 1}'}, "Did you mean from"),
        ({"source": None}, "which source"),
    ],
)
def test_what_cannot_be_understood_is_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        resolve({"source": "postgres", "object": "orders"} | options)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("17", 17), ("1.5", Decimal("1.5")), ("abc", "abc"), (None, None), ("2026-01-31", datetime(2026, 1, 31, tzinfo=UTC)),
        ("2026-01-31T10:00:00+02:00", datetime(2026, 1, 31, 8, tzinfo=UTC)),
    ],
)  # fmt: skip
def test_bounds_of_a_range(text: str | None, value: Any) -> None:
    assert bound(text) == value


def test_an_object_that_is_not_in_the_catalogue() -> None:
    asked = resolve({"source": "postgres", "object": "public.Audit", "key": "id, part", "cursor": "at"})
    entry, settings = entry_and_settings(asked)
    assert entry == Entry("postgres", "audit", "public.Audit", ("id", "part"), "at", "merge")
    assert settings == SourceSettings("postgres", "postgres")
    entry, _ = entry_and_settings(
        resolve({"source": "postgres", "object": "copy", "entity": "public.orders", "pattern": "replace"})
    )
    assert (entry.entity, entry.pattern) == ("public.orders", "replace")
    for options, said in (
        ({"object": "orders", "key": "id"}, "stands in the catalogue"),
        ({"object": "x", "pattern": "merge"}, "is invalid"),
        ({"object": "ordres"}, "Did you mean orders"),
    ):
        with pytest.raises(UsageError, match=said):
            entry_and_settings(resolve({"source": "postgres"} | options))


def test_options_by_the_command(loaded: Worker) -> None:
    seen = loaded("postgres", "orders", "--dry-run", "--full-refresh").summary
    assert (seen["dry_run"], seen["mode"]) == (True, "full") and seen["rows"] > 1000
    for source, name in (("postgres", "orders"), ("salesforce", "accounts"), ("sap", "shipments")):
        assert loaded(source, name).code == 0  # other tests change these systems
    done = loaded("postgres", "orders", "--verify", PARAMS='{"from": "2026-06-01", "to": "2026-06-03"}').summary
    assert (done["mode"], done["verified"], done["cursor_to"]) == ("range", True, "2026-06-03T00:00:00+00:00")
    for source, name in (("salesforce", "accounts"), ("sap", "shipments")):
        found = loaded(source, name, "--verify", "--from", "2026-06-01", "--to", "2026-06-10").summary
        assert found["verified"] and found["rows"] > 0
        assert loaded(source, name, "--dry-run", "--full-refresh").summary["rows"] > 100


def test_discovery_writes_entries_that_the_catalogue_takes(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    from ingestion import discovery

    for name, value in sandbox.env.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(discovery, "read_source", lambda source: {})
    text = discovered("postgres", "public.order*")
    assert text == (
        "order_items:\n  entity: public.order_items\n  key: [order_id, line_number]\n  cursor: updated_at\n  pattern: merge\n"
        "  deletes: compare_keys\n"
        "orders:\n  entity: public.orders\n  key: [order_id]\n"
        "  cursor: updated_at                              # or: ordered_at\n"
        "  pattern: merge\n  deletes: compare_keys\n"
    )
    assert "entity: Account\n  key: [Id]\n  cursor: SystemModstamp" in discovered("salesforce")
    assert "entity: A_OutbDeliveryHeader\n  key: [DeliveryDocument]\n  cursor: LastChangeDateTime" in discovered("sap")


TYPES = {
    "uuid": ("'550e8400-e29b-41d4-a716-446655440000'", "550e8400-e29b-41d4-a716-446655440000"),
    "numeric": ("1.5", Decimal("1.5")),
    "numeric(20,5)": ("12345.67891", Decimal("12345.67891")),
    "money": ("12.34", Decimal("12.34")),
    "jsonb": ("'{\"a\": [1]}'", '{"a": [1]}'),
    "int[]": ("'{1,2}'", "[1,2]"),
    "text[]": ("'{a,\"b,c\"}'", '["a","b,c"]'),
    "interval": ("'1 mon 02:00'", "1 mon 02:00:00"),
    "date": ("'infinity'", date.max),
    "timestamptz": ("'2026-01-01 10:00+02'", datetime(2026, 1, 1, 8, tzinfo=UTC)),
    "timestamp": ("'-infinity'", datetime.min),
    "timetz": ("'10:00+02'", "10:00:00+02"),
    "bytea": (r"'\x00ff'", b"\x00\xff"),
    "inet": ("'10.0.0.1'", "10.0.0.1/32"),
    "int4range": ("'[1,5)'", "[1,5)"),
    "point": ("'(1,2)'", "(1,2)"),
    "xml": ("'<a/>'", "<a/>"),
    "bit(4)": ("'1010'", "1010"),
    "real": ("1.5", 1.5),
    "boolean": ("true", True),
    "smallint": ("3", 3),
    "char(3)": ("'a'", "a  "),
}
"""Type -> a value as SQL has it, and as it arrives."""


def test_types_of_postgres_arrive_as_they_are(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    url = sandbox.env["SOURCES__POSTGRES__CREDENTIALS"]
    monkeypatch.setenv("SOURCES__POSTGRES__CREDENTIALS", url)
    columns = ", ".join(f"c{number} {kind}" for number, kind in enumerate(TYPES))
    values = ", ".join(value for value, _ in TYPES.values())
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("create schema types")
        connection.execute(f"create table types.t (id int, {columns})")
        connection.execute(f"insert into types.t values (1, {values})")
        connection.execute("insert into types.t (id, c1) values (2, 'NaN')")
        connection.execute("create view types.v as select * from types.t")
    source = open_source(SourceSettings("postgres", "postgres"))
    try:
        entry = Entry("postgres", "v", "types.v", ("id",), None, "replace")
        table = pa.Table.from_batches(source.batches(entry, EVERYTHING))
        assert source.count(entry, EVERYTHING) == 2
    finally:
        source.close()
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("drop schema types cascade")
    first, second = table.to_pylist()
    assert list(first.values())[1:] == [expected for _, expected in TYPES.values()]
    assert second == {"id": 2} | dict.fromkeys(list(second)[1:])


def test_progress_is_shown_to_who_watches_and_only_then() -> None:
    import io

    from rich.console import Console

    for terminal, quiet, expected in ((True, 0.0, True), (True, 60.0, False)):
        shown = io.StringIO()
        progress = Progress("shop.orders", 20, Console(file=shown, force_terminal=terminal, width=100), quiet)
        progress.advance(5)
        progress.advance(5)
        progress.close()
        assert ("shop.orders" in shown.getvalue() and "10 rows" in shown.getvalue()) is expected
    silent = Progress("shop.orders", None)
    silent.advance(5)
    silent.close()  # stderr is no terminal here


def test_reading_ahead_gives_the_same_items_and_errors() -> None:
    assert list(ahead(iter(range(100)))) == list(range(100))

    def broken() -> Iterator[int]:
        yield 1
        raise ValueError("no more")

    found = ahead(broken())
    assert next(found) == 1
    with pytest.raises(ValueError, match="no more"):
        next(found)


def test_who_stops_reading_stops_the_source() -> None:
    closed = threading.Event()

    def endless() -> Iterator[int]:
        try:
            while True:
                yield 1
        finally:
            closed.set()

    found = ahead(endless())
    next(found)
    found.close()  # type: ignore[attr-defined]
    assert closed.wait(5)


def test_verify_finds_a_row_that_differs_although_the_counts_agree(empty: Worker) -> None:
    assert empty("postgres", "orders", "--verify").summary["verified"] is True
    with duckdb.connect(str(empty.database)) as warehouse:
        warehouse.execute("update raw_postgres.orders set total_amount = total_amount + 1 where order_id = 7")
    differing = empty("postgres", "orders", "--verify")
    assert differing.code == 1 and "the sum of total_amount is" in differing.stderr
    counts = json.loads(differing.stdout)["verification"]
    assert counts["source_rows"] == counts["table_rows"] and len(counts["differences"]) == 1


def test_verify_of_times_without_a_zone(empty: Worker, sandbox: Sandbox) -> None:
    """Beside the edge of a month, with another zone on the side of the table."""
    with psycopg.connect(sandbox.env["SOURCES__POSTGRES__CREDENTIALS"], autocommit=True) as source:
        source.execute("create schema if not exists verified")
        for kind in ("timestamp", "date", "timestamptz"):
            source.execute(f"create table verified.at_{kind} (id int primary key, at {kind})")
            source.execute(
                f"insert into verified.at_{kind} values (1, '2026-01-31 23:30:00'), (2, '2026-02-01 00:30:00'), (3, null)"
            )
    try:
        for kind in ("timestamp", "date", "timestamptz"):
            flags = ("--entity", f"verified.at_{kind}", "--key", "id", "--cursor", "at", "--verify")
            done = empty("postgres", f"at_{kind}", *flags, TZ="America/New_York").summary
            assert (done["verified"], done["verification"]["partitions"]) == (True, 3), kind
    finally:
        with psycopg.connect(sandbox.env["SOURCES__POSTGRES__CREDENTIALS"], autocommit=True) as source:
            source.execute("drop schema verified cascade")

"""The small parts: OData parsing and retries, the catalogue's checks, texts of errors."""

from __future__ import annotations

import json
from dataclasses import fields
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import get_args

import httpx
import jsonschema
import pyarrow as pa
import pytest
import yaml
from ingestion.catalogue import (
    OBJECTS,
    Contract,
    Deletes,
    Entry,
    Pattern,
    SourceSettings,
    find_entry,
    known_sources,
    read_source,
)
from ingestion.errors import SourceError, UsageError, first_line, place, unreachable
from ingestion.sources import KINDS, Span, sap
from ingestion.totals import differences, from_rows, months
from tenacity import nap

METADATA = b"""<edmx:Edmx xmlns:edmx="http://schemas.microsoft.com/ado/2007/06/edmx"><edmx:DataServices>
<Schema Namespace="S" xmlns="http://schemas.microsoft.com/ado/2008/09/edm"><EntityType Name="ThingType">
<Key><PropertyRef Name="Id"/></Key><Property Name="Id" Type="Edm.String"/><Property Name="Weight" Type="Edm.Decimal"
Precision="15" Scale="3"/><Property Name="Changed" Type="Edm.DateTimeOffset"/><Property Name="Open" Type="Edm.Boolean"/>
<Property Name="Lines" Type="Edm.Int32"/></EntityType><EntityContainer Name="C"><EntitySet Name="Things"
EntityType="S.ThingType"/></EntityContainer></Schema></edmx:DataServices></edmx:Edmx>"""
THINGS = Entry("sap", "things", "Things", ("Id",), "Changed", "merge", "compare_keys")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/Date(0)/", datetime(1970, 1, 1, tzinfo=UTC)),
        ("/Date(1782864000000+0000)/", datetime(2026, 7, 1, tzinfo=UTC)),
        ("/Date(1782864000123+0120)/", datetime(2026, 7, 1, 0, 0, 0, 123000, tzinfo=UTC)),
        ("/Date(-86400000)/", datetime(1969, 12, 31, tzinfo=UTC)),
    ],
)
def test_odata_dates_are_utc(text: str, expected: datetime) -> None:
    assert sap.parse_date(text) == expected


@pytest.mark.parametrize("text", ["2026-07-01", "/Date(x)/", ""])
def test_an_odata_date_of_another_shape_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not an OData v2 date"):
        sap.parse_date(text)


def test_metadata_gives_the_types_and_rows_keep_them() -> None:
    types = sap.metadata_types(METADATA, "Things")
    assert types["Weight"] == pa.decimal128(15, 3)
    assert sap.metadata_types(METADATA, "Nothing") == {}
    row = {"Id": "1", "Weight": "1.5", "Changed": "/Date(0+0000)/", "Open": True, "Lines": 3, "extra": 1}
    table = sap.to_arrow([row, {"Id": "2"}], types)
    assert table.to_pylist()[0] == {"Id": "1", "Weight": Decimal("1.500"), "Changed": datetime(1970, 1, 1, tzinfo=UTC),
                                    "Open": True, "Lines": 3}  # fmt: skip
    assert table.to_pylist()[1]["Weight"] is None
    assert table.schema.field("Changed").type == pa.timestamp("us", tz="UTC")


def test_a_bound_is_written_as_odata_wants_it() -> None:
    assert sap.literal(datetime(2026, 7, 1, tzinfo=UTC)) == "datetimeoffset'2026-07-01T00:00:00.000Z'"
    assert sap.literal("O'Neil") == "'O''Neil'"


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> tuple[sap.Sap, list[httpx.Request], list[httpx.Response]]:
    """A Sap whose answers are taken from a list, and which does not really wait."""
    for name, value in (("URL", "http://sap.test/svc"), ("USERNAME", "u"), ("PASSWORD", "p")):
        monkeypatch.setenv(f"SOURCES__SAP__{name}", value)
    monkeypatch.setattr(nap.time, "sleep", lambda seconds: None)
    requests: list[httpx.Request] = []
    answers: list[httpx.Response] = []

    def answer(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        if not answers:
            raise httpx.ConnectError("Connection refused")
        response = answers.pop(0)
        response.request = request
        return response

    source = sap.Sap(SourceSettings("sap", "sap"))
    source.client = httpx.Client(transport=httpx.MockTransport(answer))
    return source, requests, answers


def test_pages_are_followed_and_429_is_retried(served: tuple[sap.Sap, list, list]) -> None:
    source, requests, answers = served
    answers += [
        httpx.Response(200, content=METADATA),
        httpx.Response(429, headers={"Retry-After": "2"}),
        httpx.Response(503),
        httpx.Response(200, json={"d": {"results": [{"Id": "1"}], "__next": "Things?$skiptoken=1"}}),
        httpx.Response(200, json={"d": {"results": [{"Id": "2"}]}}),
    ]
    tables = list(source.batches(THINGS, Span(datetime(2026, 7, 1, tzinfo=UTC))))
    assert [row["Id"] for table in tables for row in table.to_pylist()] == ["1", "2"]
    assert "datetimeoffset'2026-07-01T00:00:00.000Z'" in requests[1].url.params["$filter"]
    assert dict(requests[-1].url.params) == {"$skiptoken": "1"}


METADATA_4 = b"""<edmx:Edmx Version="4.0" xmlns:edmx="http://docs.oasis-open.org/odata/ns/edmx"><edmx:DataServices>
<Schema Namespace="S" xmlns="http://docs.oasis-open.org/odata/ns/edm"><EntityType Name="ThingType">
<Key><PropertyRef Name="Id"/></Key><Property Name="Id" Type="Edm.Int64"/><Property Name="Price" Type="Edm.Decimal"
Scale="variable"/><Property Name="Changed" Type="Edm.DateTimeOffset"/><Property Name="Day" Type="Edm.Date"/></EntityType>
<EntityContainer Name="C"><EntitySet Name="Things" EntityType="S.ThingType"/></EntityContainer></Schema></edmx:DataServices>
</edmx:Edmx>"""


def test_version_4_has_other_pages_bounds_and_times(served: tuple[sap.Sap, list, list]) -> None:
    source, requests, answers = served
    first = {"Id": "9007199254740993", "Price": "1.5", "Changed": "2026-07-01T10:00:00.5+02:00", "Day": "2026-07-01"}
    answers += [
        httpx.Response(200, content=METADATA_4),
        httpx.Response(200, json={"value": [first], "@odata.nextLink": "http://sap.test/svc/Things?$skiptoken=1"}),
        httpx.Response(200, json={"value": [{"Id": "2"}]}),
    ]
    tables = list(source.batches(THINGS, Span(datetime(2026, 7, 1, tzinfo=UTC), datetime(2026, 8, 1, tzinfo=UTC))))
    rows = [row for table in tables for row in table.to_pylist()]
    assert rows[0] == {"Id": 9007199254740993, "Price": Decimal("1.5"), "Day": date(2026, 7, 1),
                       "Changed": datetime(2026, 7, 1, 8, 0, 0, 500000, UTC)}  # fmt: skip
    assert rows[1] == {"Id": 2, "Price": None, "Changed": None, "Day": None}
    asked = requests[1]
    assert asked.url.params["$filter"] == "Changed ge 2026-07-01T00:00:00.000Z and Changed lt 2026-08-01T00:00:00.000Z"
    assert "IEEE754Compatible=true" in asked.headers["Accept"]
    assert dict(requests[2].url.params) == {"$skiptoken": "1"}


def test_a_paging_circle_and_a_foreign_next_are_refused(served: tuple[sap.Sap, list, list]) -> None:
    source, _, answers = served
    page = {"d": {"results": [{"Id": "1"}], "__next": "Things?$skiptoken=1"}}
    answers += [httpx.Response(200, content=METADATA)] + [httpx.Response(200, json=page) for _ in range(3)]
    with pytest.raises(SourceError) as caught:
        list(source.keys(THINGS))
    assert "circle" in str(caught.value.why)
    page["d"]["__next"] = "http://elsewhere.test/Things"
    answers[:] = [httpx.Response(200, content=METADATA), httpx.Response(200, json=page)]
    with pytest.raises(SourceError) as caught:
        list(source.keys(THINGS))
    assert "another host" in str(caught.value.why)


def test_a_refused_connection_is_tried_three_times_only(served: tuple[sap.Sap, list, list]) -> None:
    source, requests, _ = served
    with pytest.raises(SourceError, match="does not answer"):
        list(source.keys(THINGS))
    assert len(requests) == sap.PATIENCE_REFUSED


def test_html_instead_of_json_says_so(served: tuple[sap.Sap, list, list]) -> None:
    source, _, answers = served
    answers += [httpx.Response(200, content=METADATA), httpx.Response(200, text="<html>Login</html>")]
    with pytest.raises(SourceError) as caught:
        list(source.keys(THINGS))
    assert "<html>Login" in str(caught.value.why)


def test_the_catalogue_of_this_repo_is_valid() -> None:
    assert known_sources() == ["postgres", "salesforce", "sap"]
    assert sum(len(read_source(source)) for source in known_sources()) == 7


def test_the_schema_for_editors_agrees_with_the_catalogue() -> None:
    schema = json.loads((OBJECTS / "catalogue.schema.json").read_text())
    validator = jsonschema.Draft202012Validator(schema)
    for source in known_sources():
        assert not list(validator.iter_errors(yaml.safe_load((OBJECTS / f"{source}.yml").read_text())))
    entry = schema["$defs"]["entry"]["properties"]
    assert set(entry) == {field.name for field in fields(Entry)} - {"source", "name"}
    for name, choices in (("pattern", Pattern), ("deletes", Deletes), ("contract", Contract)):
        assert set(entry[name]["enum"]) == set(get_args(choices))
    assert set(schema["properties"]["_source"]["properties"]["kind"]["enum"]) == set(KINDS)
    page = (OBJECTS.parents[1] / "docs" / "ingest.md").read_text()
    assert not [
        name for name in (*entry, *KINDS, *get_args(Pattern)) if f"`{name}`" not in page and f"### {name}" not in page
    ]


GOOD = "orders: {entity: public.orders, key: [order_id], cursor: updated_at, pattern: merge, deletes: compare_keys}\n"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (GOOD.replace("cursor:", "curser:"), "unknown key 'curser'. Did you mean cursor?"),
        (GOOD.replace("entity: public.orders, ", ""), "missing key 'entity'"),
        (GOOD.replace("merge", "merg"), "Did you mean merge?"),
        (GOOD.replace("[order_id]", "order_id"), "'key' must be a list"),
        (GOOD.replace("[order_id]", "[]"), "needs a key and a cursor"),
        (GOOD.replace("pattern: merge", "pattern: replace"), "needs pattern merge"),
        (GOOD.replace("}", ", columns: [order_id]}"), "columns lacks updated_at"),
        (GOOD.replace("}", ", lag: soon}"), "lag is 'soon', expected a number with s, m, h or d"),
        (GOOD.replace("}", ", mask: {email: hide}}"), "mask of email is 'hide', expected one of hash, null"),
        (GOOD.replace("}", ", mask: {updated_at: hash}}"), "the cursor updated_at cannot be masked"),
        (GOOD.replace("}", ", contract: freez}"), "Did you mean freeze?"),
        (GOOD.replace("}", ", types: [a]}"), "'types' must be a mapping"),
        (
            GOOD.replace("merge", "history").replace(", deletes: compare_keys", "").replace("[order_id]", "[]"),
            "needs a key",
        ),
        (
            GOOD.replace("merge", "append").replace(", deletes: compare_keys", "").replace("updated_at", "null"),
            "needs a cursor",
        ),
        ("orders: 1\n", "expected a mapping"),
        ("", "expected a mapping"),
        ("a: [", "expected"),
    ],
)
def test_an_invalid_catalogue_says_what_and_where(tmp_path: Path, text: str, why: str) -> None:
    (tmp_path / "shop.yml").write_text(text)
    with pytest.raises(UsageError) as caught:
        read_source("shop", tmp_path)
    assert "shop.yml" in str(caught.value.where)
    assert why in str(caught.value.why)


def test_unknown_names_get_a_suggestion_and_the_list() -> None:
    with pytest.raises(UsageError, match="Did you mean orders") as caught:
        find_entry("postgres", "order")
    assert "order_items" in str(caught.value.hint)
    with pytest.raises(UsageError, match="Did you mean postgres"):
        find_entry("postgre", "orders")


def test_errors_never_show_credentials_and_know_the_sandbox() -> None:
    assert place("postgresql://user:s3cret@db.test:5432/shop?x=1") == "postgresql://db.test:5432/shop"
    assert "s3cret" not in first_line("could not connect to postgresql://user:s3cret@db.test/shop")
    assert unreachable("sap", "http://127.0.0.1:1/x", "refused").hint == "python -m sandbox up sap"
    assert "sandbox" not in str(unreachable("sap", "https://sap.test/x", "refused").hint)


def test_totals_say_in_which_month_the_sides_differ() -> None:
    edges = months(datetime(2025, 12, 30, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC))
    assert [edge.isoformat()[:10] for edge in edges] == ["2026-01-01", "2026-02-01"]
    assert months(date(2026, 1, 31), date(2026, 2, 1)) == (datetime(2026, 2, 1),)
    assert months(date(2026, 1, 1), date(2026, 1, 31)) == () == months(1, 10) == months(None, None)
    theirs = from_rows(edges, ["total"], [(-1, 1, None), (0, 2, "1.50"), (1, 3, "4"), (2, 1, "7")])
    ours = from_rows(edges, ["total"], [(0, 2, "1.5"), (1, 3, "5"), (2, 2, "7")])
    assert differences(theirs, ours) == [
        "without a cursor: the source has 1 rows, the table 0",
        "2026-01: the sum of total is 4 in the source, 5 in the table",
        "2026-02: the source has 1 rows, the table 2",
    ]
    assert differences(theirs, theirs) == []

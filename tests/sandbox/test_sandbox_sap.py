"""The SAP stand-in over HTTP: authentication, paging, filters, errors, metadata."""

from __future__ import annotations

import re
from collections.abc import Iterator
from xml.etree import ElementTree

import httpx
import pytest

from sandbox.home import Home
from sandbox.systems import environment

SET = "A_OutbDeliveryHeader"


@pytest.fixture(scope="module")
def client(home: Home) -> Iterator[httpx.Client]:
    variables = environment(home=home)
    login = (variables["SOURCES__SAP__USERNAME"], variables["SOURCES__SAP__PASSWORD"])
    with httpx.Client(base_url=variables["SOURCES__SAP__URL"], auth=login) as client:
        yield client


def read(client: httpx.Client, **options: str) -> dict:
    answer = client.get(f"/{SET}", params={f"${name}": value for name, value in options.items()} | {"$format": "json"})
    assert answer.status_code == 200, answer.text
    return answer.json()["d"]


def count(client: httpx.Client, condition: str) -> int:
    return int(client.get(f"/{SET}/$count", params={"$filter": condition}).text)


def pages(client: httpx.Client, **options: str) -> Iterator[list[dict]]:
    page = read(client, **options)
    yield page["results"]
    while "__next" in page:
        page = client.get(page["__next"]).json()["d"]
        yield page["results"]


@pytest.mark.parametrize("auth", [None, ("LUMEN_ETL", "wrong"), ("", "")])
def test_without_the_password_nothing_is_shown(client, auth):
    for path in ("", "/$metadata", f"/{SET}", f"/{SET}/$count", f"/{SET}('80000001')"):
        answer = httpx.get(f"{client.base_url}".rstrip("/") + path, auth=auth)
        assert answer.status_code == 401 and "Basic" in answer.headers["www-authenticate"]
        assert answer.json()["error"]["message"]["lang"] == "en"


def test_a_row_has_the_types_of_odata_2(client):
    row = client.get(f"/{SET}('80000001')").json()["d"]
    assert row["DeliveryDocument"] == "80000001" and row["YY1_WebOrder_DLH"] == "WEB-0000001"
    assert re.fullmatch(r"\d+\.\d{3}", row["HeaderGrossWeight"]) and row["HeaderWeightUnit"] == "KG"
    assert re.fullmatch(r"/Date\(\d+\)/", row["CreationDate"])
    assert re.fullmatch(r"/Date\(\d+\+0000\)/", row["LastChangeDateTime"])
    assert row["__metadata"]["uri"].endswith("A_OutbDeliveryHeader('80000001')")


@pytest.mark.parametrize("order", [None, "LastChangeDateTime", "LastChangeDateTime desc"])
def test_server_driven_paging_reaches_every_row_once(client, order):
    options = {"orderby": order} if order else {}
    found = list(pages(client, select="DeliveryDocument,LastChangeDateTime", inlinecount="allpages", **options))
    keys = [row["DeliveryDocument"] for page in found for row in page]
    assert [len(page) for page in found[:-1]] == [1000] * (len(found) - 1) and len(found) == 3
    assert len(keys) == len(set(keys)) == int(client.get(f"/{SET}/$count").text)
    assert set(found[0][0]) == {"__metadata", "DeliveryDocument", "LastChangeDateTime"}
    if order:
        stamps = [int(row["LastChangeDateTime"][6:19]) for page in found for row in page]
        assert stamps == sorted(stamps, reverse=order.endswith("desc"))


def test_top_skip_and_inlinecount(client):
    page = read(client, top="3", skip="2", inlinecount="allpages")
    assert len(page["results"]) == 3 and "__next" not in page and int(page["__count"]) > 2000
    assert page["results"] == read(client, top="5")["results"][2:]
    assert sum(map(len, pages(client, top="1500"))) == 1500
    assert read(client, top="0")["results"] == []


def test_filters(client):
    everything = int(client.get(f"/{SET}/$count").text)
    shipped, open_ones = (count(client, f"OverallGoodsMovementStatus eq '{status}'") for status in "CA")
    assert shipped + open_ones == everything and open_ones > 0
    assert count(client, "ActualGoodsMovementDate eq null") == open_ones
    since = "LastChangeDateTime ge datetimeoffset'2026-06-29T00:00:00Z'"
    recent = count(client, since)
    assert 0 < recent < 200 and count(client, f"not ({since})") == everything - recent
    assert count(client, f"({since}) and (ShippingPoint eq '1000' or ShippingPoint ne '1000')") == recent
    assert count(client, "CreationDate lt datetime'2025-07-05T00:00:00' or DeliveryDocument eq '80000100'") > 1
    assert count(client, "HeaderGrossWeight gt 5.5M") + count(client, "HeaderGrossWeight le 5.5") == everything
    assert count(client, "YY1_WebOrder_DLH eq 'x'' or 1 eq 1'") == 0


@pytest.mark.parametrize(
    "options",
    [
        {"$filter": "Nope eq 'x'"},
        {"$filter": "ShippingPoint eq 1000"},
        {"$filter": "LastChangeDateTime gt datetime'2026-06-30T00:00:00'"},
        {"$filter": "ShippingPoint eq 'x"},
        {"$filter": "ShippingPoint like 'x'"},
        {"$filter": "(ShippingPoint eq 'x'"},
        {"$filter": "CreationDate gt datetime'yesterday'"},
        {"$orderby": "ShippingPoint sideways"},
        {"$select": "Nope"},
        {"$top": "-1"},
        {"$expand": "to_Items"},
    ],
)
def test_bad_requests_have_the_shape_of_sap(client, options):
    answer = client.get(f"/{SET}", params=options)
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] and answer.json()["error"]["message"]["value"]


def test_unknown_things_are_404(client):
    assert client.get(f"/{SET}('1')").status_code == 404
    assert client.get("/A_Nothing").json()["error"]["message"]["value"].endswith("'A_Nothing'")


def test_metadata_names_every_property_and_the_key(client):
    root = ElementTree.fromstring(client.get("/$metadata").text)
    edm = "{http://schemas.microsoft.com/ado/2008/09/edm}"
    types = {found.get("Name"): found.get("Type") for found in root.iter(f"{edm}Property")}
    row = read(client, top="1")["results"][0]
    assert set(types) == set(row) - {"__metadata"} and types["LastChangeDateTime"] == "Edm.DateTimeOffset"
    assert [found.get("Name") for found in root.iter(f"{edm}PropertyRef")] == ["DeliveryDocument"]
    assert client.get("/").json() == {"d": {"EntitySets": [SET]}}

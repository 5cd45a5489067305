"""The Salesforce stand-in, asked by Salesforce's own Python client."""

from __future__ import annotations

import json

import pytest
import requests
from requests.adapters import HTTPAdapter
from simple_salesforce import Salesforce
from simple_salesforce.exceptions import (
    SalesforceAuthenticationFailed,
    SalesforceExpiredSession,
    SalesforceMalformedRequest,
)

from sandbox.home import Home
from sandbox.soql import SoqlError, parse
from sandbox.systems import environment


class Redirect(HTTPAdapter):
    """Sends every request to the stand-in, whatever host it names."""

    def __init__(self, endpoint: str):
        super().__init__()
        self.endpoint = endpoint

    def send(self, request, *args, **kwargs):
        assert request.url.split("/")[2].endswith(".salesforce.com")
        request.url = self.endpoint + "/" + request.url.split("/", 3)[3]
        return super().send(request, *args, **kwargs)


def connect(home: Home, **changes: str) -> Salesforce:
    variables = environment(home=home)
    session = requests.Session()
    session.mount("https://", Redirect(variables["SOURCES__SALESFORCE__ENDPOINT"]))
    login = {
        "consumer_key": variables["SOURCES__SALESFORCE__CONSUMER_KEY"],
        "consumer_secret": variables["SOURCES__SALESFORCE__CONSUMER_SECRET"],
        "domain": variables["SOURCES__SALESFORCE__DOMAIN"],
    }
    return Salesforce(session=session, **{**login, **changes})


@pytest.fixture(scope="module")
def client(home: Home) -> Salesforce:
    return connect(home)


def test_login_gives_the_real_instance(client):
    assert client.sf_instance == "lumengoods.my.salesforce.com"


def test_wrong_secret_is_refused(home):
    with pytest.raises(SalesforceAuthenticationFailed, match="invalid_client"):
        connect(home, consumer_secret="wrong")


def test_password_login(home):
    state = json.loads((home.path / "salesforce.json").read_text())
    assert connect(home, username=state["username"], password=state["password"]).query("SELECT COUNT() FROM Account")
    with pytest.raises(SalesforceAuthenticationFailed, match="invalid_grant"):
        connect(home, username=state["username"], password="wrong")


def test_query_and_records(client):
    answer = client.query("SELECT Id, Name, AnnualRevenue, IsDeleted, SystemModstamp FROM Account ORDER BY Id LIMIT 3")
    assert answer["totalSize"] == 3 and answer["done"] is True
    record = answer["records"][0]
    assert record["attributes"]["type"] == "Account"
    assert record["attributes"]["url"].endswith(f"/sobjects/Account/{record['Id']}")
    assert len(record["Id"]) == 18 and record["IsDeleted"] is False
    assert record["SystemModstamp"].endswith(".000+0000")


def test_paging_reaches_every_row_once(client):
    total = client.query("SELECT COUNT() FROM Contact")["totalSize"]
    first = client.query("SELECT Id FROM Contact", headers={"Sforce-Query-Options": "batchSize=200"})
    assert len(first["records"]) == 200 and first["totalSize"] == total and not first["done"]
    second = client.query_more(
        first["nextRecordsUrl"], identifier_is_url=True, headers={"Sforce-Query-Options": "batchSize=200"}
    )
    assert second["done"]
    ids = [record["Id"] for record in first["records"] + second["records"]]
    assert len(ids) == len(set(ids)) == total


def test_query_all_also_sees_deleted_rows(client):
    live, every = (list(client.query_all_iter("SELECT Id, IsDeleted FROM Account", include_deleted=d)) for d in (0, 1))
    gone = client.query("SELECT Id FROM Account WHERE IsDeleted = true", include_deleted=True)["records"]
    assert len(gone) == 5 and len(live) == len(every) - 5
    assert client.query("SELECT COUNT() FROM Account WHERE IsDeleted = true")["totalSize"] == 0


@pytest.mark.parametrize(
    "condition",
    [
        "SystemModstamp > 2026-06-01T00:00:00Z AND SystemModstamp <= 2026-06-30T23:59:59.000+0000",
        "BillingCountry IN ('DE', 'FR') AND AnnualRevenue >= 1000000",
        "billingcountry = 'de' and Industry != null",
        "Name LIKE '%GmbH' AND (Industry = 'Retail' OR Industry = 'Media')",
        "NOT IsDeleted = true",
    ],
)
def test_where(client, condition):
    total = client.query("SELECT COUNT() FROM Account")["totalSize"]
    found = client.query(f"SELECT Id, BillingCountry FROM Account WHERE {condition}")["totalSize"]
    rest = client.query(f"SELECT COUNT() FROM Account WHERE NOT ({condition})")["totalSize"]
    assert found > 0 and found + rest == total


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("SELECT Nope FROM Account", "INVALID_FIELD"),
        ("SELECT Id FROM Account WHERE CreatedDate > '2026-01-01'", "INVALID_FIELD"),
        ("SELECT Id FROM Lead", "INVALID_TYPE"),
        ("SELECT Id FROM Account WHERE", "MALFORMED_QUERY"),
        ("SELECT Id FROM Account; DROP TABLE Account", "MALFORMED_QUERY"),
        ("SELECT FROM Account", "MALFORMED_QUERY"),
        ("", "MALFORMED_QUERY"),
    ],
)
def test_errors_have_the_shape_of_salesforce(client, query, code):
    with pytest.raises(SalesforceMalformedRequest) as caught:
        client.query(query)
    assert caught.value.content[0]["errorCode"] == code and caught.value.content[0]["message"]


def test_an_unknown_token_is_an_expired_session(home):
    known = connect(home)
    client = Salesforce(instance=known.sf_instance, session_id="wrong", session=known.session)
    with pytest.raises(SalesforceExpiredSession):
        client.query("SELECT Id FROM Account")


def test_describe_names_every_field_that_can_be_queried(client):
    for name in ("Account", "Contact"):
        fields = getattr(client, name).describe()["fields"]
        names = [field["name"] for field in fields]
        assert client.query(f"SELECT {', '.join(names)} FROM {name} LIMIT 1")["records"][0]["Id"]
    assert {field["type"] for field in fields} >= {"id", "reference", "email", "datetime", "boolean"}
    assert [entry["name"] for entry in client.describe()["sobjects"]] == ["Account", "Contact"]


def test_strings_are_bound_not_spliced():
    query = parse(
        r"SELECT Id FROM Account WHERE Name = 'O\'Hara\' OR 1=1 --'", {"Account": {"Id": "id", "Name": "string"}}
    )
    assert query.values == ["O'Hara' OR 1=1 --"]
    with pytest.raises(SoqlError, match="duplicate"):
        parse("SELECT Id, id FROM Account", {"Account": {"Id": "id"}})

"""Pipelines and environments over the API (sections 2.1 to 2.3, 2.9 to 2.11 of the API reference)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from api_harness import PIPELINE, client

from rehearse.api.service import Service
from rehearse.store.ids import pipeline_id

DATA: dict[str, Any] = yaml.safe_load(PIPELINE)


def create(api: httpx.Client, **more: Any) -> httpx.Response:
    return api.post("/pipelines", json={"data": DATA, "published": True, "alias": "made"} | more)


def test_files_are_pipelines_and_change_with_them(api: httpx.Client, workspace: Path) -> None:
    [row] = api.get("/pipelines").json()
    assert (row["alias"], row["name"], row["numTasks"], row["id"]) == ("orders", "Orders", 2, pipeline_id("orders"))
    texts = [json.loads(row[name]) for name in ("schedule", "sensors", "triggerEvents", "webhook")]
    assert texts == [[], {}, [], {"enabled": False}]
    assert row["yamlPath"] == "orchestra/orders.yml" and row["inputs"]["limit"] == {"type": "number", "default": 10}
    file = workspace / "orchestra" / "orders.yml"
    file.write_text(PIPELINE.replace("name: Orders", "name: Other orders"))
    (workspace / "orchestra" / "second.yaml").write_text(PIPELINE)
    assert [row["name"] for row in api.get("/pipelines").json()] == ["Other orders", "Orders"]
    file.unlink()
    assert [row["alias"] for row in api.get("/pipelines").json()] == ["second"]


def test_one_broken_file_hides_no_other(api: httpx.Client, workspace: Path) -> None:
    (workspace / "orchestra" / "broken.yml").write_text("version: v1\nname: [x\n")
    assert {row["alias"]: row["numTasks"] for row in api.get("/pipelines").json()} == {"broken": 0, "orders": 2}
    answer = api.post("/pipelines/broken/start")
    assert answer.status_code == 400 and "orchestra/broken.yml:" in answer.json()["detail"]
    assert api.get("/pipelines/data", params={"alias": "broken"}).status_code == 400


def test_paging_and_names(api: httpx.Client, workspace: Path) -> None:
    for name in ("b", "a", "c"):
        (workspace / "orchestra" / f"{name}.yml").write_text(PIPELINE.replace("name: Orders", f"name: Z {name}"))
    page = api.get("/pipelines", params={"page": 2, "page_size": 2}).json()
    assert (page["total"], [row["name"] for row in page["results"]]) == (4, ["Z b", "Z c"])
    assert [row["alias"] for row in api.get("/pipelines", params={"name": "z B"}).json()] == ["b"]


def test_a_pipeline_is_created_changed_run_and_deleted(api: httpx.Client) -> None:
    made = create(api)
    assert made.status_code == 201, made.text
    row = made.json()
    assert (row["id"], row["alias"], row["storageProvider"], row["yamlPath"]) == (
        pipeline_id("made"),
        "made",
        "ORCHESTRA",
        "",
    )
    assert row["data"]["pipeline"]["load"]["tasks"]["check"]["dependsOn"] == ["extract"]
    versions = [row[name] for name in ("latestVersionNumber", "publishedVersionNumber", "currentVersionNumber")]
    assert versions == [1, 1, 1]
    assert create(api).status_code == 409
    change = {"data": DATA | {"name": "Draft"}, "published": False, "pipeline_id": row["id"]}
    draft = api.put("/pipelines", json=change).json()
    assert (draft["latestVersionNumber"], draft["publishedVersionNumber"], draft["data"]["name"]) == (2, 1, "Draft")
    start = {"runInputs": {"day": "x"}}
    runs = [
        api.post("/pipelines/made/start", json=start | more).json()["pipelineRunId"]
        for more in ({}, {"versionNumber": 2})
    ]
    shown = [api.get(f"/pipeline_runs/{run}").json() for run in runs]
    assert [(run["pipelineVersionNumber"], run["data"]["name"]) for run in shown] == [(1, "Orders"), (2, "Draft")]
    assert api.post("/pipelines/made/start", json=start | {"versionNumber": 3}).status_code == 400
    assert api.put("/pipelines/made", json={"data": DATA, "published": True}).json()["publishedVersionNumber"] == 3
    assert api.get("/pipelines/data", params={"alias": "made", "version": 2}).json()["name"] == "Draft"
    assert yaml.safe_load(api.get("/pipeline/data", params={"alias": "made"}).json()) == DATA
    assert api.delete("/pipelines", params={"alias": "made"}).status_code == 204
    assert api.get("/pipeline", params={"alias": "made"}).status_code == 404


def test_without_an_alias_it_has_an_id(api: httpx.Client) -> None:
    row = create(api, alias=None).json()
    assert row["alias"] is None and api.get("/pipeline", params={"pipeline_id": row["id"]}).json()["name"] == "Orders"


def test_files_are_changed_as_files(api: httpx.Client) -> None:
    answer = api.put("/pipelines", json={"data": DATA, "published": True, "alias": "orders"})
    assert answer.status_code == 400
    assert answer.json()["detail"] == "Only orchestra-backed pipelines can be updated via this endpoint."
    assert "delete orchestra/orders.yml" in api.delete("/pipelines/orders").json()["detail"]
    assert create(api, alias="orders").status_code == 409


def test_edits_can_be_switched_off(service: Service) -> None:
    service.allow_edits = False
    with client(service) as api:
        assert create(api).status_code == 403 and api.delete("/pipelines/orders").status_code == 403
        assert api.get("/pipelines").status_code == 200


@pytest.mark.parametrize(
    "params", [{}, {"alias": "orders", "pipeline_id": pipeline_id("orders")}, {"repository": "x"}, {"yaml_path": "x"}]
)
def test_a_selector_is_exactly_one(api: httpx.Client, params: dict[str, str]) -> None:
    answer = api.get("/pipeline", params=params)
    assert answer.status_code == 422 and answer.json()["detail"][0]["loc"][0] == "query"


def test_the_schema_needs_no_key_and_says_where(api: httpx.Client) -> None:
    answer = api.post("/pipelines/schema", json=DATA, headers={"Authorization": ""})
    assert (answer.status_code, answer.json()["message"]) == (200, "Pipeline schema is valid")
    canonical = api.post("/pipelines/schema", params={"canonicalize": True}, json=DATA).json()["pipeline"]
    assert canonical["pipeline"]["load"]["tasks"]["check"]["integrationJob"] == "PYTHON_EXECUTE_SCRIPT"
    assert api.post("/pipelines/schema", json=canonical).status_code == 200
    bad = json.loads(json.dumps(canonical))
    bad["pipeline"]["load"]["tasks"]["check"]["integrationJob"] = "PYTHON_RUN"
    del bad["pipeline"]["load"]["tasks"]["extract"]["integration"]
    problems = api.post("/pipelines/schema", json=bad)
    assert problems.status_code == 422
    places = [problem["loc"] for problem in problems.json()["detail"]]
    assert ["body", "pipeline", "load", "tasks", "check", "integrationJob"] in places
    assert all(place[0] == "body" for place in places)
    assert api.post("/pipelines/schema", json=[1]).json()["detail"][0]["loc"] == ["body"]


def test_import_and_storage_settings(api: httpx.Client, workspace: Path) -> None:
    git = {"storage_provider": "GITHUB", "repository": "lumen/shop", "default_branch": "main"}
    row = api.post("/pipelines/import", json=git | {"yaml_path": "orchestra/orders.yml", "alias": "orders"})
    assert (row.status_code, row.json()["repository"], row.json()["alias"]) == (201, "lumen/shop", "orders")
    selector = {"repository": "lumen/shop", "yaml_path": "orchestra/orders.yml"}
    assert api.get("/pipeline", params=selector).json()["id"] == pipeline_id("orders")
    for path in ("../outside.yml", "gone.yml", "/etc/passwd"):
        assert api.post("/pipelines/import", json=git | {"yaml_path": path}).status_code == 404
    create(api)
    (workspace / "made.yml").write_text(PIPELINE)
    moved = api.patch("/pipelines/storage-settings", params={"alias": "made"}, json=git | {"path": "made.yml"})
    assert (moved.status_code, moved.json()["storageProvider"], moved.json()["yamlPath"]) == (200, "GITHUB", "made.yml")


def test_environments(api: httpx.Client) -> None:
    listed = {row["name"]: row for row in api.get("/environments").json()}
    assert {name: row["defaultEnv"] for name, row in listed.items()} == {"dev": True, "prod": False}
    dev = api.get(f"/environments/{listed['dev']['environmentId']}").json()
    assert dev["values"] == {
        "SCHEMA": {"type": "string", "value": "dev"},
        "TOKEN": {"type": "string", "value": "********"},
    }
    for call in (api.delete, lambda path: api.patch(path, json={"name": "x", "values": {}, "defaultEnv": True})):
        answer = call(f"/environments/{listed['dev']['environmentId']}")
        assert answer.status_code == 400 and "rehearse.toml" in answer.json()["detail"]
    values = {"SCHEMA": {"type": "string", "value": "test"}, "N": {"type": "int", "value": 3}}
    made = api.post("/environments", json={"name": "test", "values": values})
    assert (made.status_code, made.json()["values"], made.json()["defaultEnv"]) == (201, values, False)
    assert api.post("/environments", json={"name": "test", "values": {}}).status_code == 409
    path = f"/environments/{made.json()['environmentId']}"
    changed = api.patch(
        path, json={"name": "test", "values": {"A": {"type": "bool", "value": True}}, "defaultEnv": False}
    )
    assert changed.json()["values"] == {"A": {"type": "bool", "value": True}}
    run = api.post("/pipelines/orders/start", json={"environment": "test", "runInputs": {"day": "x"}}).json()[
        "pipelineRunId"
    ]
    assert api.get(f"/pipeline_runs/{run}").json()["envName"] == "test"
    assert api.delete(path).status_code == 204 and api.get(path).status_code == 404


def test_connections_without_what_is_in_them(api: httpx.Client) -> None:
    rows = api.get("/integrations/connections").json()
    assert [(row["connectionId"], row["integration"], row["isDefault"]) for row in rows] == [
        ("shop_12345", "POSTGRES", True)
    ]
    assert "postgresql" not in json.dumps(rows)
    assert api.get("/integrations/connections", params={"integration": "SNOWFLAKE"}).json() == []
    assert api.get("/integrations/connections", params={"integration": "NOTHING"}).status_code == 422
    assert api.get("/integrations/connections", params={"authStatus": "FAILED"}).json() == []


def test_integrations_jobs_and_sensors(api: httpx.Client) -> None:
    assert {"PYTHON", "DBT_CORE"} <= {row["id"] for row in api.get("/integrations/").json()}
    jobs = {row["id"]: row for row in api.get("/integrations/jobs").json()}
    assert "command" in {item["name"] for item in jobs["PYTHON_EXECUTE_SCRIPT"]["jobSchema"]}
    assert {"AWS_S3_FILE"} <= {row["id"] for row in api.get("/sensor_checks/").json()}
    assert api.get("/integrations/PYTHON").json()["id"] == "PYTHON"


def test_assets(api: httpx.Client) -> None:
    body = {
        "assetName": "Orders",
        "externalId": "db.shop.orders",
        "integrationAccountId": "a",
        "integration": "POSTGRES",
    }
    made = api.post("/assets", json=body | {"assetType": "TABLE", "owners": ["x"]})
    assert (made.status_code, made.json()["schemaName"], made.json()["owners"]) == (201, "shop", ["x"])
    assert api.post("/assets", json=body).status_code == 409
    api.post("/assets", json=body | {"externalId": "db.shop/odd name", "assetName": "Odd"})
    edge = {"fromId": "db.shop.orders", "toId": "db.shop/odd name", "lineageDetail": {}}
    unknown = api.post("/assets/dependencies", json={"dependencies": [edge, edge | {"toId": "gone"}]})
    assert unknown.status_code == 404 and api.get("/assets/db.shop.orders").json()["downstreamDependencies"] is None
    assert api.post("/assets/dependencies", json={"dependencies": [edge]}).json() == {"created": 1}
    assert api.get(f"/assets/{made.json()['assetId']}").json()["downstreamDependencies"] == ["db.shop/odd name"]
    changed = api.patch("/assets/db.shop%2Fodd%20name", json={"description": "strange"}).json()
    assert (changed["assetName"], changed["description"]) == ("Odd", "strange")
    listed = api.get("/assets", params={"sort_column": "asset_name", "sort_direction": "asc", "page_size": 1}).json()
    assert (listed["total"], [row["assetName"] for row in listed["results"]]) == (2, ["Orders"])
    assert api.get("/assets", params={"schema_name": "shop"}).json()["total"] == 1
    assert api.delete("/assets/db.shop.orders").status_code == 204
    assert api.get("/assets", params={"status": "UNKNOWN"}).json()["total"] == 1


def test_the_page_behind_the_printed_url(service: Service, api: httpx.Client) -> None:
    url = "http://testserver/"
    assert api.get(url).status_code == 401
    assert api.get(url, params={"token": "wrong"}).status_code == 401
    page = api.get(url, params={"token": service.keys.read_write}, follow_redirects=True)
    assert page.status_code == 200 and "Orders" in page.text and service.keys.read_write not in page.text
    assert "default-src 'none'" in page.headers["content-security-policy"]
    cookie = page.history[0].headers["set-cookie"].lower()
    assert "httponly" in cookie and "samesite=strict" in cookie

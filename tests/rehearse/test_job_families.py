"""One pipeline with every job family, with bindings that are local or stubs: it runs, and says what was only simulated."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import yaml

BINDINGS = """
[connections.files]
integration = "DUCKDB"
default = true
path = "warehouse.duckdb"

[connections.warehouse]
integration = "SNOWFLAKE"
default = true
path = "warehouse.duckdb"

[connections.shop]
integration = "SQL_SERVER"
default = true
path = "warehouse.duckdb"

[connections.teams]
integration = "MICROSOFT_TEAMS"
default = true

[connections.slack]
integration = "SLACK"
default = true
mode = "stub"
outputs = { sent = true }

[connections.web]
integration = "HTTP"
default = true
mode = "stub"
jobs.HTTP_REQUEST = { outputs = { status_code = 200, response_body = { ok = true } } }

[connections.bucket]
integration = "AWS_S3"
default = true
mode = "stub"
outputs = { content = "a,b" }

[connections.drop]
integration = "SFTP"
default = true
mode = "stub"
tasks.get_file = { outputs = { contents = "x" }, seconds = 0.1 }

[connections.box]
integration = "LINUX_SSH"
default = true
mode = "stub"
failures = 1

[connections.fivetran]
integration = "FIVETRAN"
default = true
mode = "stub"
status = "WARNING"
message = "two rows were late"
"""
DBT_PROJECT = "{name: tiny, version: '1.0', profile: tiny, flags: {send_anonymous_usage_stats: false}}"
DBT_PROFILE = "tiny: {target: dev, outputs: {dev: {type: duckdb, path: ../warehouse.duckdb}}}"
QUERY = "select 1 as id, 'a' as name"


def task(name: str, integration: str, job: str, after: str | None = None, **parameters: Any) -> dict[str, Any]:
    fields = {"integration": integration, "integration_job": job, "parameters": parameters}
    return {name: {"name": name, **fields, "depends_on": [after] if after else []}}


def pipeline() -> str:
    sides = {"source_integration": "SQL_SERVER", "destination_integration": "SNOWFLAKE"}
    cursor = {f"{side}_{what}": value for side in ("source", "destination")
              for what, value in (("table_name", "things"), ("column_name", "id"))}  # fmt: skip
    validated = {"table_name": "things", "column_name": "id", "expected_type": "INTEGER", "is_nullable": True,
                 "is_primary_key": False, "is_unique": False}  # fmt: skip
    groups = {
        "make": task("inline", "PYTHON", "PYTHON_EXECUTE_SCRIPT", source="INLINE", code="print('hello')")
        | task("make_table", "DUCKDB", "DUCKDB_EXECUTE_QUERY", query=f"create or replace table things as {QUERY}"),
        "look": task("query", "SNOWFLAKE", "SNOWFLAKE_RUN_QUERY", statement="select id from things", set_outputs=True)
        | task("test", "SNOWFLAKE", "SNOWFLAKE_RUN_TEST", "query", statement="select count(*) from things",
               error_threshold_expression="> 5", warn_threshold_expression="> 3")
        | task("schema", "SNOWFLAKE", "SNOWFLAKE_SCHEMA_VALIDATION", "test", **validated)
        | task("by_query", "ORCHESTRA", "DATA_RECONCILIATION_MANUAL_QUERY", "schema", **sides,
               source_query="select count(*) from things", destination_query="select count(*) from things",
               error_threshold_expression="> 0")
        | task("by_cursor", "ORCHESTRA", "DATA_RECONCILIATION_CURSOR_FIELD", "by_query", **sides, **cursor,
               detect_count_drift=True, detect_max_drift=True),
        "transform": task("build", "DBT_CORE", "DBT_CORE_EXECUTE", commands="dbt build", project_dir="tiny"),
        "call": task("request", "HTTP", "HTTP_REQUEST", method="GET", path="/x", set_outputs=True)
        | task("request_async", "HTTP", "HTTP_REQUEST_ASYNC", method="GET", path="/x")
        | task("get_object", "AWS_S3", "AWS_S3_GET_FILE", bucket_name="b", object_key="k", set_outputs=True)
        | task("get_file", "SFTP", "SFTP_GET_FILE", file_path="/in/a", set_outputs=True)
        | task("command", "LINUX_SSH", "LINUX_SSH_EXECUTE_COMMAND", command="uptime")
        | task("sync", "FIVETRAN", "FIVETRAN_SYNC_ALL", connector_id="c"),
        "tell": task("slack", "SLACK", "SEND_SLACK_MESSAGE", channel_name="#x", text="done")
        | task("teams", "MICROSOFT_TEAMS", "SEND_MICROSOFT_TEAMS_MESSAGE", content={"text": "done"}),
        "engine": task("wait", "ORCHESTRA", "WAIT", seconds=0.1)
        | task("approve", "ORCHESTRA", "APPROVAL", message="go on?")
        | task("child", "ORCHESTRA", "TRIGGER_PIPELINE", pipeline_id="child.yml", run_inputs={"word": "hi"}),
    }  # fmt: skip
    order = {"look": ["make"], "transform": ["look"], "call": ["make"], "tell": ["call"], "engine": ["make"]}
    nodes = {name: {"depends_on": order.get(name, []), "tasks": tasks} for name, tasks in groups.items()}
    document = {
        "version": "v1",
        "name": "every family",
        "configuration": {"retries": 1, "retry_delay": 0},
        "pipeline": nodes,
    }
    return yaml.safe_dump(document, sort_keys=False)


def test_every_job_family_runs_or_is_named_as_simulated(bin_dir: Path, tmp_path: Path) -> None:
    (tmp_path / "p.yml").write_text(pipeline())
    child = task("say", "PYTHON", "PYTHON_EXECUTE_SCRIPT", command="python -c \"assert '${{ inputs.word }}' == 'hi'\"")
    nodes = {"g": {"depends_on": [], "tasks": child}}
    inputs = {"word": {"type": "string"}}
    (tmp_path / "child.yml").write_text(
        yaml.safe_dump({"version": "v1", "name": "child", "inputs": inputs, "pipeline": nodes})
    )
    (tmp_path / "rehearse.toml").write_text(BINDINGS)
    (tmp_path / "tiny" / "models").mkdir(parents=True)
    (tmp_path / "tiny" / "dbt_project.yml").write_text(DBT_PROJECT)
    (tmp_path / "tiny" / "profiles.yml").write_text(DBT_PROFILE)
    (tmp_path / "tiny" / "models" / "m.sql").write_text("select id from {{ source('main', 'things') }}")
    (tmp_path / "tiny" / "models" / "m.yml").write_text(
        "sources: [{name: main, tables: [{name: things}]}]\nmodels: [{name: m, columns: [{name: id, data_tests: [not_null]}]}]"
    )
    command = [bin_dir / "rehearse", "run", "p.yml", "--json", "--approvals", "accept"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.stdout, done.stderr
    tasks = {found["task"]: found for found in json.loads(done.stdout)["tasks"]}
    unlike = {name: found["status"] for name, found in tasks.items() if found["status"] != "SUCCEEDED"}
    assert unlike == {"sync": "WARNING"}, done.stderr
    assert (done.returncode, json.loads(done.stdout)["status"]) == (0, "WARNING")
    assert tasks["query"]["outputs"] == {"results": [[1]]} and tasks["get_file"]["outputs"] == {"contents": "x"}
    assert tasks["command"]["attempt"] == 2, "its first attempt is declared to fail"
    simulated = ["command", "get_file", "get_object", "request", "request_async", "slack", "sync", "teams"]
    assert sorted(name for name, found in tasks.items() if found["simulated"]) == simulated
    [line] = [line for line in done.stderr.splitlines() if line.startswith("simulated, not run: ")]
    assert line == f"simulated, not run: {', '.join(simulated)}"
    shown = subprocess.run(
        [bin_dir / "rehearse", "show", json.loads(done.stdout)["run_id"], "--operations", "--json"], cwd=tmp_path,
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    operations = json.loads(shown.stdout)["operations"]
    assert {"MATERIALISATION", "TEST", "QUERY"} <= {operation["type"] for operation in operations}
    assert any(operation["asset"] and operation["asset"].endswith("things") for operation in operations), (
        "lineage exists"
    )

"""Operations out of what tasks leave behind: real load packages of dlt, outputs of workers, artifacts of dbt."""

from __future__ import annotations

import gzip
import json
import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from process_harness import attempt_in, run_steps

from rehearse.jobs import lineage_dlt, python
from rehearse.jobs.lineage import collect, operations_of_outputs
from rehearse.jobs.lineage_dbt import operations_of_dbt, relation_name, statuses
from rehearse.jobs.lineage_dlt import count_rows, operations_of_dlt

JOB = "PYTHON_EXECUTE_SCRIPT"
SCRIPT = """
import dlt, pyarrow
@dlt.resource(primary_key="id", write_disposition="merge")
def things(): yield from [{"id": i, "note": "(a\\nb", "kids": [{"a": 1}, {"a": 2}]} for i in range(5)]
@dlt.resource(table_name="renamed")
def others(): yield pyarrow.table({"x": list(range(1000))})
@dlt.destination(name="sink")
def sink(items, table):
    from dlt.common.destination.exceptions import DestinationTerminalException
    if table["name"] == "bad": raise DestinationTerminalException("no room")
duckdb = dlt.destinations.duckdb("w.duckdb")
dlt.pipeline("demo", destination=duckdb, dataset_name="raw").run([things(), others()])
dlt.pipeline("other", destination=sink).run([dlt.resource([{"a": 1}], name=name) for name in ("good", "bad")])
"""


def now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def later(text: str, seconds: float) -> str:
    return (datetime.fromisoformat(text) + timedelta(seconds=seconds)).isoformat()


def test_load_packages_of_dlt(tmp_path: Path) -> None:
    (tmp_path / "load.py").write_text(SCRIPT)
    attempt = attempt_in(tmp_path)
    own = '{"LOAD__RAISE_ON_FAILED_JOBS": "false"}'
    started = now()
    done = run_steps(python.prepare(JOB, {"command": "python load.py", "environment_variables": own}, None, attempt))
    assert done.code == 0, done.log
    ended = now()
    found = collect(JOB, attempt.folder, tmp_path, started, ended, {})
    assert [(o["name"], o["status"], o["rows"], o["message"], o["upstream"], o["asset"]) for o in found] == [
        ("demo.renamed", "SUCCEEDED", 1000, "append", ["demo.others"],
         {"integration": "DUCKDB", "name": "raw.renamed", "type": "TABLE"}),
        ("demo.things", "SUCCEEDED", 5, "merge", ["demo.things"],
         {"integration": "DUCKDB", "name": "raw.things", "type": "TABLE"}),
        ("other.bad", "FAILED", None, "dlt.common.destination.exceptions.DestinationTerminalException: no room", ["other.bad"],
         {"integration": "SINK", "name": "bad", "type": "TABLE"}),
        ("other.good", "SUCCEEDED", None, "append", ["other.good"], {"integration": "SINK", "name": "good", "type": "TABLE"}),
    ]  # fmt: skip
    assert {o["type"] for o in found} == {"INGESTION"}
    assert all(started <= o["started_at"] <= o["ended_at"] <= ended for o in found)

    # Pipelines that a script keeps in the repository: what was completed while the task ran.
    begun = now()
    own_folder = attempt.folder / "dlt_data" / "pipelines"
    shutil.copytree(own_folder, tmp_path / ".dlt" / ".pipelines" / "duckdb", copy_function=shutil.copy)
    empty = attempt_in(tmp_path, "empty").folder
    assert len(collect(JOB, empty, tmp_path, begun, now(), {})) == 4
    assert collect(JOB, empty, tmp_path, later(begun, -60), later(begun, -30), {}) == []
    assert collect(JOB, empty, tmp_path, later(now(), 30), later(now(), 60), {}) == []
    summary = {"source": "s", "object": "o", "table": "raw_s.o", "rows": 1}
    assert [o["name"] for o in collect(JOB, empty, tmp_path, begun, now(), {"x": summary})] == ["s.o"]
    assert collect("DBT_CORE_EXECUTE", empty, tmp_path, begun, now(), {"x": summary}) == []


def test_nothing_is_imported_when_there_is_nothing(tmp_path: Path) -> None:
    code = (
        "import sys, pathlib; from rehearse.jobs.lineage import collect\n"
        f"assert collect('{JOB}', pathlib.Path({str(tmp_path)!r}), pathlib.Path({str(tmp_path)!r}), 'a', 'b', {{}}) == []\n"
        "print(sorted({'dlt', 'duckdb', 'rehearse.jobs.lineage_dlt', 'json'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def test_rows_are_counted_in_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    values = b"INSERT INTO {}(\"a\")\nVALUES\n(E'('),\n(2);"
    files = [
        write(tmp_path / "t.aa.0.insert_values", values),
        write(tmp_path / "t.bb.0.insert_values.gz", gzip.compress(values)),
        write(tmp_path / "t.cc.0.jsonl", b'{"a": 1}\n{"a": 2}\n\n'),
    ]
    assert count_rows(files) == 6
    assert count_rows([]) is None
    assert count_rows([*files, write(tmp_path / "t.dd.0.csv", b"a\n1\n")]) is None
    assert (
        count_rows([write(tmp_path / "t.ee.0.insert_values", b'INSERT INTO {}("a")\nSELECT 1 UNION ALL\nSELECT 2;')])
        is None
    )
    assert count_rows([write(tmp_path / "t.ff.0.parquet", b"PAR1 no")]) is None
    monkeypatch.setattr(lineage_dlt, "COUNTED_BYTES", 10)
    assert count_rows(files) is None


def test_packages_that_cannot_be_read_are_left_out(tmp_path: Path) -> None:
    for name in ("1", "2"):
        package = tmp_path / "p" / "load" / "loaded" / name
        package.mkdir(parents=True)
        (package / "load_package_state.json").write_text("{" if name == "1" else '{"load_metrics": {"x": {}}}')
    [operation] = operations_of_dlt(tmp_path)
    assert (operation["asset"], operation["started_at"]) == (
        {"integration": "UNKNOWN", "name": "None", "type": "TABLE"},
        None,
    )


def test_a_workers_summary() -> None:
    """As python/ingest.py sends it, beside outputs that are none."""
    summary = {
        "schema_version": 1, "source": "postgres", "object": "orders", "table": "raw_postgres.orders", "destination": "duckdb",
        "mode": "incremental", "rows": 12, "deleted": 3, "cursor_from": None, "cursor_to": None, "seconds": 0.1,
    }  # fmt: skip
    outputs = {"rows": 12, "summary": summary, "text": "a", "list": [summary], "half": {"source": "a", "object": "b"}}
    assert operations_of_outputs(outputs, "2026-01-01T00:00:00.000000Z", "2026-01-01T00:00:01.000000Z") == [
        {
            "type": "INGESTION", "name": "postgres.orders", "status": "SUCCEEDED", "message": "incremental, 3 deleted",
            "started_at": "2026-01-01T00:00:00.000000Z", "ended_at": "2026-01-01T00:00:01.000000Z", "rows": 12,
            "asset": {"integration": "DUCKDB", "name": "raw_postgres.orders", "type": "TABLE"},
            "upstream": ["postgres.orders"],
        }
    ]  # fmt: skip


def node(kind: str, name: str, *above: str, materialized: str = "table", **more: Any) -> dict[str, Any]:
    return {
        "resource_type": kind, "name": name, "alias": name, "database": "db", "schema": "s",
        "config": {"materialized": materialized}, "depends_on": {"nodes": list(above)}, **more,
    }  # fmt: skip


MANIFEST = {
    "metadata": {"adapter_type": "bigquery"},
    "nodes": {
        "model.p.a": node("model", "a", "source.p.raw.t", "seed.p.s"),
        "model.p.hidden": node("model", "hidden", "model.p.a", "model.p.hidden", materialized="ephemeral"),
        "model.p.b": node("model", "b", "model.p.hidden", "model.p.a", materialized="incremental"),
        "model.p.v": node("model", "v", "macro.x", materialized="materialized_view", database=None),
        "seed.p.s": node("seed", "s"),
        "snapshot.p.n": node("snapshot", "n", "model.p.a"),
        "test.p.t.1": node("test", "t", "model.p.b"),
        "operation.p.hook": node("operation", "hook"),
    },
    "sources": {
        "source.p.raw.t": {"resource_type": "source", "name": "t", "identifier": "T1", "database": "db", "schema": "raw"},
    },
    "unit_tests": {"unit_test.p.a.u": {"resource_type": "unit_test", "depends_on": {"nodes": ["model.p.a"]}}},
}  # fmt: skip


def result(name: str, status: str, **more: Any) -> dict[str, Any]:
    timing = [
        {"name": "compile", "started_at": "2026-01-01T00:00:00.1Z", "completed_at": "2026-01-01T00:00:00.2Z"},
        {"name": "execute", "started_at": "2026-01-01T00:00:00.2Z", "completed_at": "2026-01-01T00:00:00.3Z"},
    ]
    return {"unique_id": name, "status": status, "timing": timing, "adapter_response": {}, **more}


def test_every_kind_of_dbt_result(tmp_path: Path) -> None:
    results = [
        result("seed.p.s", "success", adapter_response={"rows_affected": 7}),
        result("model.p.a", "success", adapter_response={"rows_affected": -1}, message="OK"),
        result("model.p.b", "error", message="Database Error"),
        result("model.p.v", "skipped", timing=[]),
        result("snapshot.p.n", "partial success"),
        result("test.p.t.1", "fail", failures=4, message="Got 4 results"),
        result("unit_test.p.a.u", "pass", failures=0),
        result("operation.p.hook", "success"),
        result("exposure.p.e", "no-op"),
        result("model.p.gone", "success"),
    ]
    (tmp_path / "manifest.json").write_text(json.dumps(MANIFEST))
    (tmp_path / "run_results.json").write_text(json.dumps({"results": results}))
    freshness = [
        {"unique_id": "source.p.raw.t", "status": "warn", "timing": []},
        {"unique_id": "source.p.raw.u", "status": "runtime error", "error": "no such table"},
    ]
    (tmp_path / "sources.json").write_text(json.dumps({"results": freshness}))
    found = operations_of_dbt(tmp_path)
    assert [(o["type"], o["status"], o["rows"], o["message"]) for o in found] == [
        ("SEED", "SUCCEEDED", 7, None), ("MATERIALISATION", "SUCCEEDED", None, None),
        ("MATERIALISATION", "FAILED", None, "Database Error"), ("MATERIALISATION", "SKIPPED", None, None),
        ("SNAPSHOT", "FAILED", None, None), ("TEST", "FAILED", 4, "Got 4 results"), ("TEST", "SUCCEEDED", 0, None),
        ("OPERATION", "SUCCEEDED", None, None), ("MATERIALISATION", "SUCCEEDED", None, None),
        ("SOURCE", "WARNING", None, None), ("SOURCE", "FAILED", None, "no such table"),
    ]  # fmt: skip
    assert [o["asset"] and (o["asset"]["name"], o["asset"]["type"]) for o in found] == [
        ("db.s.s", "TABLE"), ("db.s.a", "TABLE"), ("db.s.b", "TABLE"), ("s.v", "VIEW"), ("db.s.n", "TABLE"), None, None, None,
        None, ("db.raw.T1", "TABLE"), None,
    ]  # fmt: skip
    assert found[0]["asset"]["integration"] == "GCP_BIG_QUERY"
    assert [o["upstream"] for o in found[:7]] == [
        [], ["db.raw.T1", "db.s.s"], ["db.s.a"], [], ["db.s.a"], ["db.s.b"], ["db.s.a"]
    ]  # fmt: skip
    assert (found[0]["started_at"], found[0]["ended_at"]) == ("2026-01-01T00:00:00.1Z", "2026-01-01T00:00:00.3Z")
    assert (found[3]["started_at"], found[3]["ended_at"]) == (None, None)
    assert list(statuses(tmp_path))[:2] == [("s", "success"), ("a", "success")]
    assert relation_name(MANIFEST["nodes"]["model.p.hidden"]) is None  # type: ignore[index]


@pytest.mark.parametrize("text", ["", "{", "[]", "{}"])
def test_artifacts_that_are_not_whole(tmp_path: Path, text: str) -> None:
    (tmp_path / "run_results.json").write_text(text)
    assert operations_of_dbt(tmp_path) == []
    (tmp_path / "run_results.json").write_text(json.dumps({"results": [result("model.p.a", "success")]}))
    (tmp_path / "manifest.json").write_text(text)
    [operation] = operations_of_dbt(tmp_path)
    assert (operation["status"], operation["asset"], operation["upstream"]) == ("SUCCEEDED", None, [])

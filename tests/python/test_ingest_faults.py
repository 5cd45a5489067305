"""What goes wrong, and what is left afterwards: killed workers, lost and held files, missing settings."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from ingest_harness import ROOT, Sandbox, Worker

# The place where the worker dies by SIGKILL, as `module:attribute` of dlt.
CRASH = """
import importlib, os, runpy, sys
module, _, path = sys.argv.pop(1).partition(":")
owner = importlib.import_module(module)
*parents, name = path.split(".")
for parent in parents:
    owner = getattr(owner, parent)
setattr(owner, name, lambda *a, **k: os.kill(os.getpid(), 9))
sys.path.insert(0, os.path.dirname(sys.argv[1]))
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""
PLACES = {
    "between normalize and load": "dlt:Pipeline.load",
    "when the jobs are staged": "dlt.load.load:Load.complete_jobs",
    "before the load is recorded": "dlt.load.load:Load.complete_package",
    "after the load is recorded": "dlt.common.storages.load_package:PackageStorage.complete_loading_package",
}


def change_source(sandbox: Sandbox, source_sql: str) -> None:
    with psycopg.connect(sandbox.env["SOURCES__POSTGRES__CREDENTIALS"], autocommit=True) as connection:
        connection.execute(source_sql)


@pytest.fixture
def three_changed(sandbox: Sandbox) -> Iterator[None]:
    """Three products change, and change back: the other tests share these systems."""
    with psycopg.connect(sandbox.env["SOURCES__POSTGRES__CREDENTIALS"], autocommit=True) as connection:
        first = "where product_id in (select product_id from products order by product_id limit 3)"
        saved = connection.execute(f"select updated_at, product_id from products {first}").fetchall()
        connection.execute(
            f"update products set updated_at = (select max(updated_at) from products) + interval '1 second' {first}"
        )
        yield
        connection.cursor().executemany("update products set updated_at = %s where product_id = %s", saved)


def products(worker: Worker) -> list[tuple[object, ...]]:
    return worker.query("select product_id, name, unit_price, updated_at from raw_postgres.products order by 1")


def source_products(sandbox: Sandbox) -> list[tuple[object, ...]]:
    with psycopg.connect(sandbox.env["SOURCES__POSTGRES__CREDENTIALS"]) as connection:
        return connection.execute("select product_id, name, unit_price, updated_at from products order by 1").fetchall()


@pytest.mark.parametrize(
    ("place", "first"), [*((place, False) for place in PLACES), ("before the load is recorded", True)]
)
def test_a_killed_worker_is_healed_by_the_next(
    loaded: Worker, tmp_path: Path, sandbox: Sandbox, three_changed: None, place: str, first: bool
) -> None:
    worker = Worker(tmp_path / "empty", loaded.env) if first else loaded
    worker.folder.mkdir(exist_ok=True)
    killed = worker.run([sys.executable, "-c", CRASH, PLACES[place], *worker.command[1:], "--source", "postgres",
                         "--object", "products"])  # fmt: skip
    assert (killed.code, killed.stdout) == (-9, ""), killed.stderr
    healed = worker("postgres", "products").summary
    if not first and place != "after the load is recorded":
        assert (healed["mode"], healed["rows"]) == ("incremental", 3)
    assert products(worker) == source_products(sandbox)
    if first:
        assert worker("postgres", "products").summary["rows"] == 0


def test_a_deleted_warehouse_is_loaded_in_full_even_when_a_neighbour_came_first(loaded: Worker) -> None:
    rows = loaded.query("select count(*) from raw_postgres.products")[0][0]
    loaded.database.unlink()
    assert loaded("postgres", "customers").summary["mode"] == "full"
    summary = loaded("postgres", "products").summary
    assert (summary["mode"], summary["rows"]) == ("full", rows)


def test_a_dropped_table_is_loaded_in_full(loaded: Worker) -> None:
    import duckdb

    with duckdb.connect(str(loaded.database)) as connection:
        connection.execute("drop table raw_postgres.products; drop table raw_salesforce.contacts")
    assert loaded("postgres", "products").summary["mode"] == "full"
    assert loaded("salesforce", "contacts").summary["mode"] == "full"
    assert products(loaded)


def test_lost_local_state_costs_nothing(loaded: Worker) -> None:
    summary = loaded("postgres", "customers", DLT_PIPELINES_DIR=str(loaded.folder / "elsewhere")).summary
    assert (summary["mode"], summary["rows"]) == ("incremental", 0)


def test_a_damaged_warehouse_is_named_with_advice(empty: Worker) -> None:
    empty.database.write_bytes(b"this is no database" * 1000)
    result = empty("postgres", "products")
    assert result.code == 1
    assert "cannot be opened" in result.stderr
    assert "move it" in result.stderr


def hold(worker: Worker, seconds: float) -> subprocess.Popen[str]:
    code = f"import duckdb, time; c = duckdb.connect({str(worker.database)!r}); print('held', flush=True)"
    code += f"; time.sleep({seconds})"
    holder = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert holder.stdout and holder.stdout.readline() == "held\n"
    return holder


def test_a_file_held_by_a_notebook_is_waited_for(loaded: Worker) -> None:
    holder = hold(loaded, 8)
    result = loaded("postgres", "customers")
    holder.wait()
    assert result.summary["rows"] == 0
    assert f"held by process {holder.pid}" in result.stderr


def test_a_file_held_for_too_long_fails_and_names_the_holder(loaded: Worker) -> None:
    holder = hold(loaded, 60)
    try:
        result = loaded("postgres", "products", DUCKDB_LOCK_TIMEOUT="0.5")
        assert holder.poll() is None  # given up before it was let go
    finally:
        holder.kill()
        holder.wait()
    assert result.code == 1
    assert f"held by process {holder.pid}" in result.stderr
    assert "DUCKDB_LOCK_TIMEOUT" in result.stderr


def test_a_lost_column_leaves_the_table_alone(loaded: Worker, sandbox: Sandbox) -> None:
    before = products(loaded)
    change_source(sandbox, "alter table products rename column updated_at to changed_at")
    try:
        result = loaded("postgres", "products")
    finally:
        change_source(sandbox, "alter table products rename column changed_at to updated_at")
    assert result.code == 1
    assert "lacks updated_at" in result.stderr
    assert products(loaded) == before


@pytest.mark.parametrize(
    ("source", "missing"),
    [
        ("postgres", ["SOURCES__POSTGRES__CREDENTIALS", "[sources.postgres] credentials"]),
        ("salesforce", ["SOURCES__SALESFORCE__DOMAIN", "SOURCES__SALESFORCE__CONSUMER_KEY", "[sources.salesforce]"]),
        ("sap", ["SOURCES__SAP__URL", "SOURCES__SAP__USERNAME", "SOURCES__SAP__PASSWORD"]),
    ],
)
def test_missing_credentials_are_all_named(
    tmp_path: Path, bytecode: dict[str, str], source: str, missing: list[str]
) -> None:
    worker = Worker(tmp_path, bytecode, cwd=tmp_path)
    name = {"postgres": "orders", "salesforce": "accounts", "sap": "shipments"}[source]
    result = worker(source, name)
    assert (result.code, result.stdout) == (2, "")
    for text in [*missing, 'eval "$(python -m sandbox env)"']:
        assert text in result.stderr
    assert not worker.database.exists()


@pytest.mark.parametrize(
    ("arguments", "env", "expected"),
    [
        (["--source", "postgres", "--object", "ordrs"], {}, "Did you mean orders?"),
        (
            ["--source", "postgres", "--object", "ordrs"],
            {},
            "known objects of postgres: customers, products, orders, order_items",
        ),
        (["--source", "postgress", "--object", "orders"], {}, "known sources: postgres, salesforce, sap"),
        (["--object", "orders"], {}, "neither --source nor SOURCE"),
        (["--source", "sap", "--object", "shipments"], {"PARAMS": "{"}, "PARAMS is not JSON"),
        (["--source", "sap", "--object", "shipments"], {"PARAMS": "[1]"}, "must be a JSON object"),
        (["--source", "sap", "--object", "shipments", "--params", '{"full": 1}'], {}, "Did you mean full_refresh?"),
        (["--source", "sap", "--object", "shipments"], {"FULL_REFRESH": "perhaps"}, "expected True or False"),
        (["--source", "sap", "--object", "shipments", "--destination", "duckdbb"], {}, "unknown destination"),
    ],
)
def test_bad_usage_is_exit_2(
    tmp_path: Path, bytecode: dict[str, str], arguments: list[str], env: dict[str, str], expected: str
) -> None:
    result = Worker(tmp_path, bytecode)(None, None, *arguments, **env)
    assert (result.code, result.stdout) == (2, "")
    assert expected in result.stderr
    assert "Traceback" not in result.stderr


def test_help_is_complete_and_needs_no_dlt(tmp_path: Path, bytecode: dict[str, str]) -> None:
    worker = Worker(tmp_path, bytecode)
    result = worker(None, None, "--help")
    assert result.code == 0
    for flag in ("--source", "--object", "--destination", "--full-refresh", "--params", "--debug", "Examples:"):
        assert flag in result.stdout
    code = f"import sys, json; sys.path.insert(0, {str(ROOT / 'python')!r}); import ingest"
    code += "; print(json.dumps(list(sys.modules)))"
    modules = set(json.loads(worker.run([sys.executable, "-c", code]).stdout))
    assert not modules & {"dlt", "pyarrow", "duckdb", "yaml", "requests", "httpx"}

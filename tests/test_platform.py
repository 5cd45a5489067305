"""The whole platform as a newcomer meets it: a copy of the repository, an empty HOME, the commands of the README."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pytest

PIPELINE = "orchestra/commerce_daily.yml"


class Clone:
    """A copy of the repository as it would be committed, and how to run commands in it."""

    def __init__(self, root: Path, folder: Path):
        self.path = folder / "a clone"  # with a blank: paths of real users have them
        self.home = folder / "home"
        self.home.mkdir()
        names = subprocess.run(
            ["git", "ls-files", "-co", "--exclude-standard"], cwd=root, capture_output=True, text=True, check=True
        )
        for name in names.stdout.splitlines():
            if (root / name).is_symlink() or (root / name).is_file():
                (self.path / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(root / name, self.path / name, follow_symlinks=False)
        keep = ("PATH", "LANG", "TERM", "TMPDIR", "PYENV_ROOT", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "PIP_CERT")
        self.env = {name: os.environ[name] for name in keep if name in os.environ}
        # The packages are cached, as after the first install on a machine; everything else of HOME is empty.
        cache = os.environ.get("UV_CACHE_DIR", str(Path.home() / ".cache" / "uv"))
        self.env |= {"HOME": str(self.home), "UV_CACHE_DIR": cache, "NO_COLOR": "1", "COLUMNS": "160"}

    def run(self, command: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=self.path,
            env=self.env,
            capture_output=True,
            text=True,
            timeout=300,
            stdin=subprocess.DEVNULL,
        )
        assert done.returncode == code, f"{command}\n{done.stdout}\n{done.stderr}"
        return done

    def sandbox(self, *arguments: str) -> Any:
        return self.run(f".venv/bin/python -m sandbox {' '.join(arguments)}")

    def pipeline(self, code: int = 0) -> dict[str, Any]:
        result: dict[str, Any] = json.loads(self.run(f".venv/bin/rehearse run {PIPELINE} --json", code).stdout)
        return result

    def warehouse(self, query: str) -> list[tuple[Any, ...]]:
        with duckdb.connect(str(self.path / "warehouse.duckdb"), read_only=True) as connection:
            return connection.execute(query).fetchall()

    def webshop(self, query: str) -> list[tuple[Any, ...]]:
        url = json.loads(self.sandbox("env", "--json").stdout)["environment"]["SOURCES__POSTGRES__CREDENTIALS"]
        with psycopg.connect(url) as connection:
            return connection.execute(query).fetchall()

    def processes(self) -> list[str]:
        """Command lines of processes that belong to this clone: they work in it, or their arguments name it."""
        found = []
        for proc in Path("/proc").glob("[0-9]*"):
            try:
                where, line = os.readlink(proc / "cwd"), (proc / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:
                continue
            if where.startswith(str(self.path)) or str(self.path) in line:
                found.append(line)
        return found


def by_label(result: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {t["task"] + (f"[{t['item']}]" if t["item"] else ""): t for t in result["tasks"]}


def loaded(result: dict[str, Any]) -> dict[str, tuple[int, int]]:
    """table -> rows written, rows removed"""
    summaries = [t["outputs"]["summary"] for t in result["tasks"] if "summary" in t["outputs"]]
    return {s["table"]: (s["rows"], s["deleted"]) for s in summaries}


@pytest.fixture(scope="module")
def clone(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clone]:
    made = Clone(root, tmp_path_factory.mktemp("platform"))
    yield made
    if (made.path / ".venv").exists():
        made.run(".venv/bin/python -m sandbox reset")


@pytest.fixture(scope="module")
def first_demo(clone: Clone) -> str:
    return clone.run("make demo").stdout


def test_make_demo_shows_rows_of_every_table_and_what_to_do_next(clone: Clone, first_demo: str) -> None:
    counts = {
        name: int(rows.replace(",", ""))
        for name, rows in re.findall(r"^((?:raw|commerce)_\w+\.\w+)\s+([\d,]+)", first_demo, re.M)
    }
    tables = [name for name in counts if name.startswith("raw_")]
    assert len(tables) == 7 and all(counts[name] > 0 for name in counts)
    for mart in ("dim_customers", "dim_accounts", "fct_orders", "fct_shipments", "fct_daily_revenue"):
        assert counts[f"commerce_marts.{mart}"] == clone.warehouse(f"select count(*) from commerce_marts.{mart}")[0][0]
    assert len(re.findall(r"^  \S.*# ", first_demo.split("What next?")[1], re.M)) == 3


def test_nothing_is_left_running_or_listening(clone: Clone, first_demo: str) -> None:
    assert clone.processes() == []
    status = json.loads(clone.sandbox("status", "--json").stdout)
    assert [name for name, system in status["systems"].items() if system["up"]] == []
    assert not (clone.path / ".sandbox" / "env").exists()


def test_after_a_day_of_business_only_the_changes_are_loaded(clone: Clone, first_demo: str) -> None:
    change = json.loads(clone.sandbox("change", "--json").stdout)["systems"]
    clone.sandbox("up")
    result = clone.pipeline()
    names = {"Account": "accounts", "Contact": "contacts", "A_OutbDeliveryHeader": "shipments"}
    expected = {}
    for system, tables in change.items():
        for table, counts in tables.items():
            # Salesforce marks what it deletes: the row arrives once more, changed.
            soft = counts["deleted"] if system == "salesforce" else 0
            written = counts["inserted"] + counts["updated"] + soft
            expected[f"raw_{system}.{names.get(table, table)}"] = (written, counts["deleted"] - soft)
    assert loaded(result) == expected
    assert all(rows < 60 for rows, _ in expected.values())
    again = clone.run("make demo").stdout
    assert "nothing had changed, so nothing was loaded" in again and "no change" in again


def test_the_marts_reconcile_with_the_sources(clone: Clone, first_demo: str) -> None:
    clone.sandbox("up")
    clone.pipeline()
    count, amount = clone.webshop("select count(*), sum(total_amount) from orders")[0]
    assert clone.warehouse("select count(*), sum(order_amount) from commerce_marts.fct_orders") == [(count, amount)]
    assert isinstance(amount, Decimal) and amount > 0
    lost = clone.webshop("select sum(total_amount) from orders where status in ('cancelled', 'returned')")[0][0]
    assert clone.warehouse("select sum(revenue) from commerce_marts.fct_orders") == [(amount - lost,)]
    daily = "select sum(revenue), sum(order_count) from commerce_marts.fct_daily_revenue"
    assert clone.warehouse(daily) == [(amount - lost, count)]
    joined = """select count(*), count(o.order_id) from commerce_marts.fct_shipments as s
                left join commerce_marts.fct_orders as o on o.order_id = s.order_id"""
    shipments = clone.warehouse(joined)[0]
    assert shipments[0] == shipments[1] > 2_000, "every shipment joins an order"
    joined = """select count(*), count(a.account_number) from commerce_marts.dim_customers as c
                left join commerce_marts.dim_accounts as a using (account_number) where c.account_number is not null"""
    customers = clone.warehouse(joined)[0]
    assert customers[0] == customers[1] > 100, "every customer with an account joins one"
    for table in ("customers", "products", "orders", "order_items"):
        assert clone.warehouse(f"select count(*) from raw_postgres.{table}") == clone.webshop(
            f"select count(*) from {table}"
        )


def test_the_raw_tables_are_those_that_the_parity_of_warehouses_is_tested_with(clone: Clone, first_demo: str) -> None:
    """tests/dbt/parity makes them without loading: the same columns, types and rows as python/ingest.py leaves."""
    clone.sandbox("up")
    clone.pipeline()
    day = json.loads(clone.sandbox("status", "--json").stdout)["day"]
    sys.path.insert(0, str(Path(__file__).parent / "dbt" / "parity"))
    from raw import raw_tables

    with duckdb.connect(str(clone.path / "warehouse.duckdb"), read_only=True) as connection:
        connection.execute("set TimeZone = 'UTC'")
        for name, made in raw_tables(day).items():
            connection.register("made", made)
            loaded = f"select {', '.join(made.column_names)} from {name}"
            kinds = [connection.execute(f"describe {query}").fetchall() for query in (loaded, "select * from made")]
            assert [row[:2] for row in kinds[0]] == [row[:2] for row in kinds[1]], name
            for one, other in ((loaded, "from made"), ("from made", loaded)):
                assert connection.execute(f"({one}) except all ({other}) limit 1").fetchall() == [], name


def test_a_postgres_query_writes_and_gives_its_rows(clone: Clone, first_demo: str) -> None:
    clone.sandbox("up")
    (clone.path / "query.yml").write_text("""\
version: v1
name: query
pipeline:
  ask:
    tasks:
      count:
        name: count
        integration: POSTGRES
        integration_job: POSTGRES_RUN_QUERY
        parameters:
          statement: create temporary table t as select 12.50 as price; select price, 'x;y' from t
          set_outputs: true
      broken:
        name: broken
        integration: POSTGRES
        integration_job: POSTGRES_RUN_QUERY
        parameters: {statement: select nothing from nowhere}
""")
    done = clone.run(".venv/bin/rehearse run query.yml --json", 1)
    tasks = by_label(json.loads(done.stdout))
    assert tasks["count"]["outputs"] == {"results": [[12.5, "x;y"]]}
    assert tasks["broken"]["status"] == "FAILED" and 'relation "nowhere" does not exist' in tasks["broken"]["message"]


def test_a_stopped_system_fails_its_task_and_the_next_run_heals(clone: Clone, first_demo: str) -> None:
    clone.sandbox("up")
    clone.sandbox("change")
    before = clone.warehouse("select count(*), max(last_change_date_time) from raw_sap.shipments")
    clone.sandbox("down", "sap")
    failed = clone.run(f".venv/bin/rehearse run {PIPELINE} --json", 1)
    tasks = by_label(json.loads(failed.stdout))
    assert tasks["load_table[sap.shipments]"]["status"] == "FAILED"
    assert {tasks[name]["status"] for name in ("dbt_build", "orders_without_customer", "late_shipments")} == {"SKIPPED"}
    assert tasks["load_table[postgres.orders]"]["status"] == "SUCCEEDED"
    assert tasks["summary"]["status"] == "SUCCEEDED", "the handler says what went wrong"
    for said in (
        "sap.shipments",
        "/sap/opu/odata/sap/API_OUTBOUND_DELIVERY_SRV",
        "refused",
        "python -m sandbox up sap",
    ):
        assert said in failed.stderr
    assert clone.warehouse("select count(*), max(last_change_date_time) from raw_sap.shipments") == before
    clone.sandbox("up", "sap")
    healed = clone.pipeline()
    assert healed["status"] == "SUCCEEDED" and loaded(healed)["raw_sap.shipments"][0] > 0


def test_ctrl_c_during_the_demo_stops_everything(clone: Clone, first_demo: str) -> None:
    clone.sandbox("down")
    process = subprocess.Popen(
        [".venv/bin/python", "-m", "sandbox", "demo"], cwd=clone.path, env=clone.env, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    assert process.stderr is not None
    for line in process.stderr:
        if "RUNNING   load_table" in line:
            break
    time.sleep(1)
    asked = time.monotonic()
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to the whole foreground group
    rest = iter(process.stderr)
    assert any("Stopping" in line for line in rest)
    assert time.monotonic() - asked < 1
    process.communicate(timeout=30)
    assert process.returncode == 130
    assert clone.processes() == []


def test_the_commands_of_the_readme_work(clone: Clone, first_demo: str) -> None:
    """Every line of its bash blocks, in order; `make test` is what runs this test."""
    blocks = re.findall(r"```bash\n(.*?)```", (clone.path / "README.md").read_text(), re.DOTALL)
    lines = [line.split("  #")[0].strip() for block in blocks for line in block.splitlines()]
    commands = [
        line
        for line in lines
        if line and not line.startswith(("#", "git clone", "cd ", "make test", "make lint", "make clean"))
    ]
    assert len(commands) > 5
    clone.run(" && ".join(["set -e", *commands]))
    clone.sandbox("down")

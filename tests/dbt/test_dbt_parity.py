"""The marts are the same in six warehouses: the same rows in, every row of every mart out, compared after three builds."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

PARITY = Path(__file__).with_name("parity")
sys.path.insert(0, str(PARITY))

from compare import first_difference  # noqa: E402
from dbt_copy import REPO, copy_projects  # noqa: E402
from evidence import table  # noqa: E402
from hunt import findings  # noqa: E402
from warehouses import EVIDENCE  # noqa: E402

PACKAGES = ("commerce", "orchestra_metadata")
MARTS = {path.stem for package in PACKAGES for path in (REPO / "dbt" / package / "models" / "marts").rglob("*.sql")}
PHASES = ("first", "incremental", "snapshot")
OTHERS = [name for name in EVIDENCE if name != "duckdb"]


class Lane:
    """What one warehouse built."""

    def __init__(self, warehouse: str, folder: Path):
        self.warehouse, self.folder = warehouse, folder / warehouse

    def phase(self, name: str) -> dict[str, Any]:
        return json.loads((self.folder / f"{name}.json").read_text())

    def compiled(self) -> dict[str, str]:
        return json.loads((self.folder / "compiled.json").read_text())


def build(warehouse: str, folder: Path, *arguments: str) -> Lane:
    """Run build.py in a process of its own: an adapter that is patched stays patched."""
    if warehouse == "snowflake" and not (REPO / ".venv" / "clients" / "fakesnow").is_dir():
        pytest.skip("the stand-in is not installed: make install")
    command = [sys.executable, str(PARITY / "build.py"), warehouse, str(folder), *arguments]
    keep = {name: value for name, value in os.environ.items() if not name.startswith(("DBT_", "DUCKDB_", "POSTGRES_"))}
    done = subprocess.run(
        command, env={**keep, "PYTHONPATH": str(REPO)}, cwd=folder, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-6000:]
    return Lane(warehouse, folder)


@pytest.fixture(scope="module")
def lane(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Lane]:
    folder = tmp_path_factory.mktemp("parity")
    copy_projects(folder)
    lanes: dict[str, Lane] = {}

    def built(warehouse: str) -> Lane:
        if warehouse not in lanes:
            lanes[warehouse] = build(warehouse, folder)
        return lanes[warehouse]

    return built


def test_duckdb_builds_every_mart_and_changes_it_twice(lane: Callable[[str], Lane]) -> None:
    phases = [lane("duckdb").phase(name) for name in PHASES]
    for phase in phases:
        marts = {name.partition(".")[2] for name in phase["tables"] if "_marts." in name}
        assert marts == MARTS
        assert all(phase["tables"].values()), "an empty table is equal to any other"
    history = [len(phase["tables"]["commerce_snapshots.products_snapshot"]) for phase in phases]
    assert history[0] < history[1] < history[2]
    for before, after in pairwise(phases):
        assert before["tables"]["commerce_marts.fct_order_items"] != after["tables"]["commerce_marts.fct_order_items"]


@pytest.mark.parametrize("warehouse", OTHERS)
def test_every_mart_equals_that_of_duckdb(lane: Callable[[str], Lane], warehouse: str) -> None:
    for phase in PHASES:
        got, expected = lane(warehouse).phase(phase)["tables"], lane("duckdb").phase(phase)["tables"]
        difference = first_difference(f"{warehouse}, {phase} build", got, expected)
        assert difference is None, difference


@pytest.mark.parametrize("warehouse", EVIDENCE)
def test_the_warehouse_would_take_the_sql(lane: Callable[[str], Lane], warehouse: str) -> None:
    compiled = lane(warehouse).compiled()
    assert len(compiled) > 2 * len(MARTS)
    found = [finding for name, sql in compiled.items() for finding in findings(warehouse, name, sql)]
    assert not found, "\n".join(found)


def test_the_readme_shows_the_evidence(lane: Callable[[str], Lane]) -> None:
    readme = (REPO / "dbt" / "README.md").read_text()
    shown = table({name: lane(name).phase("snapshot") for name in EVIDENCE})
    assert shown in readme, f"dbt/README.md has another table of evidence; it is:\n{shown}"


@pytest.mark.parametrize(
    ("warehouse", "sql", "expected"),
    [
        ("fabric", "select a > 1 as more from t", "more is a condition"),
        ("fabric", "select a from t group by 1", "no group by a number"),
        ("fabric", "select a || 'x' as b from t", "no ||"),
        ("fabric", "with x as (select 1 as plan) select plan from x", "plan is a reserved word"),
        ("bigquery", "select cast(a as varchar) as b from t", "type varchar is not on the list"),
        ("bigquery", "with groups as (select 1 as a) select a from groups", "does not parse|groups is a reserved word"),
        ("snowflake", 'select "order_id" from t', "another one than an unquoted one"),
        ("snowflake", "select list_sum(a) as b from t", "function list_sum is not on the list"),
        ("databricks", "select strftime(a, '%Y') as b from t", "function strftime is not on the list"),
        ("postgres", "select a as user from t", "user is a reserved word"),
        ("duckdb", "select (a from t", "does not parse"),
    ],
)
def test_the_hunt_finds(warehouse: str, sql: str, expected: str) -> None:
    found = list(findings(warehouse, "model", sql))
    assert any(part in finding for finding in found for part in expected.split("|")), found


def test_a_broken_macro_of_one_warehouse_fails_that_one_only(lane: Callable[[str], Lane], tmp_path: Path) -> None:
    """Amounts in BigQuery are off by a cent; DuckDB, from the same folder, is as before."""
    copy_projects(tmp_path)
    types = tmp_path / "dbt" / "portable" / "macros" / "types.sql"
    content = types.read_text()
    own = "round(cast({{ expression }} as {{ var('type_money') }}), 2)"
    assert own in content
    types.write_text(content.replace(own, own + " + 0.01"))
    select = ("--select", "+dim_products", "--exclude-resource-type", "test", "unit_test")
    got = {name: build(name, tmp_path, *select).phase("first")["tables"] for name in ("duckdb", "bigquery")}
    expected = {name: rows for name, rows in lane("duckdb").phase("first")["tables"].items() if name in got["duckdb"]}
    assert first_difference("duckdb", got["duckdb"], expected) is None
    said = first_difference("bigquery", got["bigquery"], expected)
    assert said is not None
    assert said.startswith("bigquery: commerce_marts.dim_products differs at product_id = 1: ")
    assert "unit_price is " in said and "on DuckDB" in said


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([{"id": "1", "a": "x"}], "w: s.t has 1 rows, on DuckDB 2"),
        ([{"id": "1", "a": "x"}, {"id": "2", "a": None}], "w: s.t differs at id = 2: a is None, on DuckDB y"),
        ([{"id": "1"}, {"id": "2"}], "w: s.t differs at id = 1: a is None, on DuckDB x"),
        ([{"id": "2", "a": "y"}, {"id": "1", "a": "x"}], None),
    ],
)
def test_a_difference_names_table_key_and_both_values(rows: list[dict[str, str | None]], said: str | None) -> None:
    expected = {"s.t": [{"id": "1", "a": "x"}, {"id": "2", "a": "y"}]}
    assert first_difference("w", {"s.t": rows}, expected) == said

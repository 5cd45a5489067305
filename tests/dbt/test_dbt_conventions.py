"""The rules for dbt/: one package, dbt-labs names, everything described, SQL that every warehouse reads."""

import re
from pathlib import Path

import pytest
import sqlglot

DBT = Path(__file__).resolve().parents[2] / "dbt"
PACKAGES = ("portable", "commerce", "orchestra_metadata")
MODELS = sorted((DBT / "commerce" / "models").rglob("*.sql"))
NAMES = {
    "staging": r"stg_(postgres|salesforce|sap)__[a-z_]+s",
    "intermediate": r"int_[a-z_]+__[a-z]+",
    "marts": r"(dim|fct)_[a-z_]+",
}


@pytest.fixture(scope="session")
def manifest(dbt_built):
    return dbt_built[0].artifact("manifest.json")


WAREHOUSES = ("duckdb", "postgres", "snowflake", "fabric", "bigquery", "databricks")


@pytest.mark.parametrize("warehouse", WAREHOUSES)
def test_the_package_is_a_relative_link(warehouse):
    for package in PACKAGES:
        link = DBT / warehouse / "dbt_packages" / package
        assert link.is_symlink()
        assert str(link.readlink()) == f"../../{package}"


def test_the_projects_hold_no_model_of_their_own_and_no_package_hides_the_library():
    for project in DBT.iterdir():
        if project.is_dir() and project.name not in PACKAGES:
            own = [path for path in project.rglob("*.sql") if not {"target", "dbt_packages"} & set(path.parts)]
            assert not own, f"{own}: models belong in dbt/commerce"
    assert not list(DBT.rglob("__init__.py"))
    assert not (DBT / "adapters").exists()
    assert not (DBT / "include").exists()


@pytest.mark.parametrize("path", MODELS, ids=lambda path: path.stem)
def test_names(path):
    layer, *folders = path.relative_to(DBT / "commerce" / "models").parent.parts
    assert re.fullmatch(NAMES[layer], path.stem)
    if layer == "staging":
        assert path.stem.startswith(f"stg_{folders[0]}__")


@pytest.mark.parametrize("path", MODELS, ids=lambda path: path.stem)
def test_sql_avoids_what_only_some_warehouses_understand(path):
    sql = re.sub(r"--.*", "", path.read_text().lower())
    assert not re.search(r"\bqualify\b|\bgroup by (all|\d)|\border by \d|::|\bexclude\b|\bunion distinct\b", sql)
    assert "*" not in sql.rpartition("select")[2], "name the columns of the last select"


def test_every_model_column_source_and_test_of_ours_is_described(manifest, dbt_built):
    models = {n["name"]: n for n in manifest["nodes"].values() if n["resource_type"] in ("model", "seed")}
    assert {name for name, node in models.items() if node["resource_type"] == "model"} == {path.stem for path in MODELS}
    columns = (
        "select table_name, column_name from duckdb_columns() "
        "where schema_name like 'commerce_%' and schema_name <> 'commerce_snapshots'"
    )
    built = dbt_built[0].rows(columns)
    described = {(name, c["name"]) for name, m in models.items() for c in m["columns"].values() if c["description"]}
    assert described == set(built)  # nothing undescribed, and nothing described that is not built
    named = [*manifest["sources"].values(), *manifest["exposures"].values(), *manifest["metrics"].values()]
    named += [*manifest["groups"].values(), *manifest["semantic_models"].values(), *models.values()]
    named += [node for node in manifest["nodes"].values() if node["resource_type"] == "snapshot"]
    named += [
        node
        for node in [*manifest["nodes"].values(), *manifest["unit_tests"].values()]
        if node["original_file_path"].startswith("tests/")
    ]
    bare = [node["name"] for node in named if not node.get("description")]
    assert not bare, f"no description: {bare}"


def test_every_mart_has_a_contract_a_group_and_an_owner(manifest):
    marts = [n for n in manifest["nodes"].values() if n["resource_type"] == "model" and n["fqn"][1] == "marts"]
    assert len(marts) == 13
    for mart in marts:
        assert mart["contract"]["enforced"], mart["name"]
        assert mart["access"] == "public"
        assert mart["config"]["group"] == mart["fqn"][2]
        assert all(column["data_type"] for column in mart["columns"].values())
    assert all(group["owner"]["email"] for group in manifest["groups"].values())


def test_only_staging_reads_sources_and_every_source_is_read(manifest):
    read = set()
    for node in manifest["nodes"].values():
        sources = {p for p in node["depends_on"].get("nodes", ()) if p.startswith("source.")}
        if node["resource_type"] == "model":
            assert not sources or node["name"].startswith("stg_"), f"{node['name']} reads a raw table"
            assert len(sources) <= 1
            read |= sources
    assert read == {name for name, source in manifest["sources"].items() if source["package_name"] == "commerce"}


def test_layers_read_downwards_only(manifest):
    order = {"staging": 0, "intermediate": 1, "marts": 2}
    models = {n["unique_id"]: n for n in manifest["nodes"].values() if n["resource_type"] == "model"}
    for model in models.values():
        for parent in model["depends_on"]["nodes"]:
            if parent in models:
                assert order[models[parent]["fqn"][1]] <= order[model["fqn"][1]], f"{model['name']} reads {parent}"
                assert model["fqn"][1] != "staging", f"{model['name']} is staging, and joins"


@pytest.mark.parametrize("dialect", ["duckdb", "postgres"])
def test_compiled_sql_parses(manifest, dialect):
    for node in manifest["nodes"].values():
        if node["resource_type"] == "model":
            assert sqlglot.parse_one(node["compiled_code"], read=dialect), node["name"]

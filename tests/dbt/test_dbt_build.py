"""`cd dbt/duckdb && dbt build`: it passes, and a handful of rows come out as worked out by hand."""

import pytest
from dbt_copy import copy_projects


@pytest.fixture(scope="session")
def project(dbt_built):
    project, build, _ = dbt_built
    assert build.returncode == 0, build.stdout + build.stderr
    return project


def test_build_passes_without_a_warning(dbt_built):
    project, build, _ = dbt_built
    assert build.returncode == 0, build.stdout + build.stderr
    results = project.artifact("run_results.json")["results"]
    assert {result["status"] for result in results} <= {"success", "pass", "no-op"}  # exposures do nothing
    kinds = [result["unique_id"].split(".")[0] for result in results]
    assert kinds.count("model") == 23
    assert kinds.count("test") >= 50
    assert kinds.count("unit_test") >= 2
    assert "warning" not in build.stdout.lower()
    assert "deprecat" not in build.stdout.lower()


def test_build_writes_only_target_and_logs(dbt_built):
    project, _, before = dbt_built
    assert project.files() == before


def test_schemas(project):
    schemas = "select distinct schema_name from duckdb_schemas() where schema_name like 'commerce%' order by 1"
    assert project.rows(schemas) == [
        ("commerce_intermediate",), ("commerce_marts",), ("commerce_seeds",), ("commerce_snapshots",), ("commerce_staging",)
    ]  # fmt: skip


def test_every_order_keeps_its_amount_and_only_standing_ones_earn(project):
    assert project.rows("""
        select order_id, account_industry, shipment_id, ordered_date, item_count, unit_count, gross_amount,
            discount_amount, order_amount, cost_amount, revenue, margin
        from commerce_marts.fct_orders order by order_id
    """) == [
        ("1", "Retail", "80000001", "2025-07-01", "2", "3", "40.00", "1.00", "39.00", "23.00", "39.00", "16.00"),
        ("2", "Consumer", None, "2025-07-01", "1", "1", "10.00", "0.00", "10.00", "4.00", "0.00", "0.00"),
        ("3", "Consumer", "80000002", "2025-07-02", "1", "1", "20.00", "0.00", "20.00", "15.00", "0.00", "0.00"),
        ("4", "Retail", "80000003", "2025-07-03", "1", "3", "30.00", "0.00", "30.00", "12.00", "30.00", "18.00"),
    ]


def test_shipments_join_their_orders(project):
    assert project.rows("""
        select shipment_id, order_id, shipment_status, is_shipped, days_to_ship, days_to_deliver, order_revenue
        from commerce_marts.fct_shipments order by shipment_id
    """) == [
        ("80000001", "1", "delivered", "True", "2", "2", "39.00"),
        ("80000002", "3", "delivered", "True", "1", "1", "0.00"),
        ("80000003", "4", "open", "False", None, None, "30.00"),
    ]


def test_daily_revenue_puts_orders_industries_and_shipments_side_by_side(project):
    assert project.rows("""
        select revenue_date, account_industry, order_count, order_amount, revenue, margin, shipment_count,
            average_days_to_ship
        from commerce_marts.fct_daily_revenue order by revenue_date, account_industry
    """) == [
        ("2025-07-01", "Consumer", "1", "10.00", "0.00", "0.00", "0", None),
        ("2025-07-01", "Retail", "1", "39.00", "39.00", "16.00", "0", None),
        ("2025-07-02", "Consumer", "1", "20.00", "0.00", "0.00", "0", None),
        ("2025-07-03", "Consumer", "0", "0.00", "0.00", "0.00", "1", "1.00"),
        ("2025-07-03", "Retail", "1", "30.00", "30.00", "18.00", "1", "2.00"),
    ]


def test_dimensions(project):
    customers = "select customer_id, email, account_name, account_industry, order_count, lifetime_revenue"
    assert project.rows(f"{customers} from commerce_marts.dim_customers order by customer_id") == [
        ("1", "ada@bright.example", "Bright Ltd", "Retail", "2", "69.00"),
        ("2", "cy@home.example", None, "Consumer", "2", "0.00"),
        ("3", "di@dim.example", "Dim GmbH", "Unknown", "0", "0.00"),
    ]
    accounts = "select account_number, contact_count, customer_count, order_count, lifetime_revenue, billing_country"
    assert project.rows(f"{accounts} from commerce_marts.dim_accounts order by account_number") == [
        ("AC-00001", "1", "1", "2", "69.00", "NL"),
        ("AC-00002", "0", "1", "0", "0.00", "DE"),
    ]
    products = "select sku, unit_margin, units_sold, revenue"
    assert project.rows(f"{products} from commerce_marts.dim_products order by sku") == [
        ("LG-1", "6.00", "5", "49.00"),
        ("LG-2", "5.00", "1", "20.00"),
    ]


def test_without_raw_tables_dbt_names_them_and_the_next_command(tmp_path):
    project = copy_projects(tmp_path)
    build = project.dbt("build", "--select", "stg_sap__shipments")
    assert build.returncode != 0
    assert "has no raw_sap.shipments." in build.stdout  # and none that the selection does not read
    assert "rehearse run orchestra/commerce_daily.yml" in build.stdout


def test_dbt_deps_leaves_a_working_package(tmp_path):
    """deps empties dbt_packages. Without packages.yml the next build would find no models and call that a success."""
    project = copy_projects(tmp_path)
    assert project.dbt("deps").returncode == 0
    link = project.folder / "dbt_packages" / "commerce"
    assert link.resolve() == (project.folder.parent / "commerce").resolve()
    assert project.dbt("clean").returncode == 0
    assert (link / "models").is_dir()


def test_a_late_order_is_a_warning_and_its_shipment_stays(project, tmp_path):
    late = copy_projects(tmp_path)
    late.warehouse.write_bytes(project.warehouse.read_bytes())
    late.execute("""
        insert into raw_sap.shipments by name
        select * replace ('80000009' as delivery_document, 'WEB-0000009' as yy1_web_order_dlh)
        from raw_sap.shipments where delivery_document = '80000001'
    """)
    build = late.dbt("build", "--select", "stg_sap__shipments+")
    assert build.returncode == 0, build.stdout
    results = late.artifact("run_results.json")["results"]
    assert [r["unique_id"].split(".")[2] for r in results if r["status"] == "warn"] == [
        "shipments_order_number_joins_an_order"
    ]
    daily = "select revenue_date, shipment_count from commerce_marts.fct_daily_revenue"
    assert late.rows(f"{daily} where account_industry = 'Unknown'") == [("2025-07-03", "1")]

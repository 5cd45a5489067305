"""dbt on DuckDB with many order lines: a full build, then one after 1 % of the orders changed. Times, and the memory of each.

    python benchmarks/dbt.py [LINES] [RUNS]      10,000,000 lines and 1 run, unless told

Each build is a process of its own, `dbt build` as people type it. Reported: wall seconds, seconds inside dbt (without its start),
and the largest resident memory. Models and tests are timed apart, since tests read whole tables either way.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import duckdb

ROOT = Path(__file__).resolve().parents[1]
RAW = """
set timezone = 'UTC';
create schema raw_postgres; create schema raw_salesforce; create schema raw_sap;
create table raw_postgres.customers as select i as customer_id, 'c' || i || '@mail.example' as email, 'First' as first_name,
    'Last' || i % 1000 as last_name, ['DE', 'FR', 'NL', 'IT'][1 + i % 4] as country,
    case when i % 5 < 2 then 'AC-' || lpad((i % 5000)::varchar, 5, '0') end as account_number,
    timestamptz '2024-01-01' + to_minutes(i::int % 400000) as created_at, timestamptz '2024-01-01' as updated_at
from range(1, {customers} + 1) t(i);
create table raw_postgres.products as select i as product_id, 'LG-' || i as sku, 'Lamp ' || i as name, 'Category ' || i %
    12 as category,
    (10 + i % 90)::decimal(10, 2) as unit_price, (5 + i % 40)::decimal(10, 2) as unit_cost, timestamptz '2024-01-01' as
    created_at,
    timestamptz '2024-01-01' as updated_at from range(1, 2001) t(i);
create table raw_postgres.order_items as select i // 5 * 2 + (i % 5) // 3 + 1 as order_id, ((i % 5) % 3 + 1)::int as
    line_number,
    (1 + hash(i) % 2000)::bigint as product_id, (1 + i % 4)::int as quantity, (10 + i % 90)::decimal(10, 2) as unit_price,
    0::decimal(10, 2) as discount_amount,
    ((1 + i % 4) * (10 + i % 90))::decimal(12, 2) as line_amount,
    timestamptz '2024-01-01' + to_seconds((i * (730.0 * 86400 / {lines}))::bigint) as updated_at
from range({lines}) t(i);
create table raw_postgres.orders as select order_id, 'WEB-' || lpad(order_id::varchar, 9, '0') as order_number,
    (1 + hash(order_id) % {customers})::bigint as customer_id, ['delivered', 'delivered', 'paid', 'cancelled',
    'returned'][1 + order_id % 5] as status,
    'EUR' as currency, sum(line_amount)::decimal(12, 2) as total_amount, min(updated_at) as ordered_at, min(updated_at) as
    updated_at
from raw_postgres.order_items group by order_id;
create table raw_salesforce.accounts as select lpad(i::varchar, 18, '0') as id, 'AC-' || lpad(i::varchar, 5, '0') as
    account_number,
    'Account ' || i as name, 'Industry ' || i % 10 as industry, 'DE' as billing_country, 1000.0 as annual_revenue, 'o' as
    owner_id,
    timestamptz '2024-01-01' as created_date, timestamptz '2024-01-01' as last_modified_date, timestamptz '2024-01-01' as
    system_modstamp,
    false as is_deleted from range(0, 5000) t(i);
create table raw_salesforce.contacts as select lpad(i::varchar, 18, '0') as id, lpad((i % 5000)::varchar, 18, '0') as
    account_id,
    'A' as first_name, 'B' as last_name, 'a' || i || '@mail.example' as email, 'Buyer' as title, timestamptz '2024-01-01'
    as created_date,
    timestamptz '2024-01-01' as last_modified_date, timestamptz '2024-01-01' as system_modstamp, false as is_deleted
from range(0, 20000) t(i);
create table raw_sap.shipments as select (80000000 + order_id)::varchar as delivery_document, 'LF' as delivery_document_type,
    customer_id::varchar as sold_to_party, '1000' as shipping_point, order_number as yy1_web_order_dlh,
    'C' as overall_goods_movement_status, 2.5::decimal(15, 3) as header_gross_weight, 'KG' as header_weight_unit,
    ordered_at as creation_date, ordered_at + interval 1 day as actual_goods_movement_date,
    ordered_at + interval 3 day as proof_of_delivery_date, ordered_at + interval 3 day as last_change_date_time
from raw_postgres.orders where status in ('delivered', 'returned');
"""
# The last days' orders move on, as in life; the rest of the history stays.
CHANGE = """
set timezone = 'UTC';
update raw_postgres.orders
set status = 'returned', updated_at = (select max(updated_at) from raw_postgres.orders) + interval 1 minute
where order_id > (select max(order_id) from raw_postgres.orders) - {orders} // 100;
"""


def build(folder: Path, *arguments: str) -> dict[str, float]:
    """Run dbt; seconds of the process, seconds that dbt counts itself, and megabytes of the largest child so far."""
    before = os.times()
    started = before.elapsed
    command = [sys.executable, "-c", MEASURED, str(Path(sys.executable).with_name("dbt")), *arguments]
    done = subprocess.run(command, cwd=folder / "dbt" / "duckdb", capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stdout[-3000:] + done.stderr[-2000:])
    results: dict[str, Any] = json.loads((folder / "dbt" / "duckdb" / "target" / "run_results.json").read_text())
    peak = float(done.stderr.rsplit("peak ", 1)[1])
    return {"wall": os.times().elapsed - started, "inside": results["elapsed_time"], "megabytes": peak}


MEASURED = """
import resource, subprocess, sys
code = subprocess.run(sys.argv[1:]).returncode
print("peak", resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024, file=sys.stderr)
sys.exit(code)
"""


def main(lines: int, runs: int) -> None:
    figures: dict[str, list[dict[str, float]]] = {}
    for _ in range(runs):
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place)
            shutil.copytree(
                ROOT / "dbt", folder / "dbt", symlinks=True, ignore=shutil.ignore_patterns("target", "logs")
            )
            warehouse = folder / "warehouse.duckdb"
            os.environ.update(DUCKDB_PATH=str(warehouse), DO_NOT_TRACK="1")
            with duckdb.connect(str(warehouse)) as connection:
                connection.execute(RAW.format(lines=lines, customers=lines // 50))
                orders = connection.execute("select count(*) from raw_postgres.orders").fetchone()[0]  # type: ignore[index]
            models = ("build", "--exclude-resource-type", "test", "unit_test")
            figures.setdefault("full build", []).append(build(folder, *models))
            figures.setdefault("its tests", []).append(build(folder, "test"))
            with duckdb.connect(str(warehouse)) as connection:
                connection.execute(CHANGE.format(orders=orders))
            incremental = (*models, "--select", "fct_order_items", "fct_daily_product_sales")
            figures.setdefault("1 % changed: the incremental models", []).append(build(folder, *incremental))
            figures.setdefault("1 % changed: every model", []).append(build(folder, *models))
            figures.setdefault("the incremental models anew", []).append(build(folder, *incremental, "--full-refresh"))
    print(f"{lines:,} order lines, {orders:,} orders, medians of {runs}")
    for name, measured in figures.items():
        wall, inside, peak = (
            statistics.median(one[key] for one in measured) for key in ("wall", "inside", "megabytes")
        )
        print(f"  {name:<38} {wall:7.1f} s wall  {inside:7.1f} s in dbt  {peak:7.0f} MB")


if __name__ == "__main__":
    given = [int(argument) for argument in sys.argv[1:3]]
    main(*(given + [10_000_000, 1][len(given) :]))

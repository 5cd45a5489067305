"""The raw tables of the example company on a day, as python/ingest.py leaves them: the same input for every warehouse."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from sandbox import layouts, webshop
from sandbox.change import rows, tables
from sandbox.company import Company
from sandbox.timeline import LAST_HISTORY_DAY

TEXT, WHOLE, TIME, FLAG = "varchar", "bigint", "timestamptz", "boolean"
STAMPS = {"created_date": TIME, "last_modified_date": TIME, "system_modstamp": TIME, "is_deleted": FLAG}
RAW: dict[str, dict[str, str]] = {
    "raw_postgres.customers": {
        "customer_id": WHOLE, "email": TEXT, "first_name": TEXT, "last_name": TEXT, "country": TEXT,
        "account_number": TEXT, "created_at": TIME, "updated_at": TIME,
    },
    "raw_postgres.products": {
        "product_id": WHOLE, "sku": TEXT, "name": TEXT, "category": TEXT, "unit_price": "decimal(10,2)",
        "unit_cost": "decimal(10,2)", "created_at": TIME, "updated_at": TIME,
    },
    "raw_postgres.orders": {
        "order_id": WHOLE, "order_number": TEXT, "customer_id": WHOLE, "status": TEXT, "currency": TEXT,
        "total_amount": "decimal(12,2)", "ordered_at": TIME, "updated_at": TIME,
    },
    "raw_postgres.order_items": {
        "order_id": WHOLE, "line_number": "integer", "product_id": WHOLE, "quantity": "integer",
        "unit_price": "decimal(10,2)", "discount_amount": "decimal(10,2)", "line_amount": "decimal(12,2)", "updated_at": TIME,
    },
    "raw_salesforce.accounts": {
        "id": TEXT, "account_number": TEXT, "name": TEXT, "industry": TEXT, "billing_country": TEXT,
        "annual_revenue": "double", "owner_id": TEXT, **STAMPS,
    },
    "raw_salesforce.contacts": {
        "id": TEXT, "account_id": TEXT, "first_name": TEXT, "last_name": TEXT, "email": TEXT, "title": TEXT, **STAMPS,
    },
    "raw_sap.shipments": {
        "delivery_document": TEXT, "delivery_document_type": TEXT, "sold_to_party": TEXT, "shipping_point": TEXT,
        "yy1_web_order_dlh": TEXT, "overall_goods_movement_status": TEXT, "header_gross_weight": "decimal(15,3)",
        "header_weight_unit": TEXT, "creation_date": TIME, "actual_goods_movement_date": TIME,
        "proof_of_delivery_date": TIME, "last_change_date_time": TIME,
    },
}  # fmt: skip
ENTITIES = {
    **{f"raw_postgres.{name}": ("postgres", name) for name in webshop.TABLES},
    "raw_salesforce.accounts": ("salesforce", "Account"),
    "raw_salesforce.contacts": ("salesforce", "Contact"),
    "raw_sap.shipments": ("sap", "A_OutbDeliveryHeader"),
}


def raw_tables(day: int, *, seed: int = 7, scale: int = 1) -> dict[str, pa.Table]:
    """Every raw table by name, after `day` days of change, with the types of RAW."""
    company = tables(Company(seed, scale))
    connection = duckdb.connect()
    connection.execute("set TimeZone = 'UTC'")
    made = {}
    for name, (system, entity) in ENTITIES.items():
        texts = [_texts(system, entity, row) for row in rows(company[system][entity], LAST_HISTORY_DAY + day)]
        columns = list(zip(*texts, strict=True))
        incoming = pa.table({column: pa.array(columns[at], pa.string()) for at, column in enumerate(RAW[name])})
        casts = ", ".join(f'cast("{column}" as {kind}) as "{column}"' for column, kind in RAW[name].items())
        connection.register("incoming", incoming)
        made[name] = connection.execute(f"select {casts} from incoming").to_arrow_table()
    return made


def _texts(system: str, entity: str, row: Any) -> list[str | None]:
    if system == "postgres":
        values = webshop.COLUMNS[entity](row)
    elif system == "salesforce":
        values = layouts.SALESFORCE[entity].to_row(row)
    else:
        values = list(layouts.SAP[entity].to_row(row))
        values[6] = f"{values[6] / 1000:.3f}"  # grams, given in kg
        values[8:12] = [
            None if value is None else datetime.fromtimestamp(value / 1000, UTC).isoformat() for value in values[8:12]
        ]
    return [None if value is None else str(value) for value in values]


def fill(connection: duckdb.DuckDBPyConnection, raw: dict[str, pa.Table]) -> None:
    """Write or overwrite the raw tables of a DuckDB database."""
    for name, table in raw.items():
        connection.execute(f"create schema if not exists {name.partition('.')[0]}")
        connection.register("incoming", table)
        connection.execute(f"create or replace table {name} as select * from incoming")
        connection.unregister("incoming")


def write(path: Path, raw: dict[str, pa.Table]) -> None:
    with duckdb.connect(str(path)) as connection:
        fill(connection, raw)

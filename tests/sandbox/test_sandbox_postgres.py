"""The webshop in a real PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from sandbox.home import Home
from sandbox.systems import environment


@pytest.fixture(scope="module")
def shop(home: Home) -> Iterator[psycopg.Connection]:
    with psycopg.connect(environment(home=home)["SOURCES__POSTGRES__CREDENTIALS"]) as connection:
        yield connection


@pytest.mark.parametrize(
    "violations",
    [
        """select order_id from orders join order_items using (order_id)
           group by 1 having sum(line_amount) <> min(total_amount)""",
        "select order_id from orders where not exists (select from order_items i where i.order_id = orders.order_id)",
        "select * from order_items where line_amount <> quantity * unit_price - discount_amount or line_amount < 0",
        "select order_id from orders where updated_at < ordered_at or currency <> 'EUR'",
        "select order_id from orders join customers using (customer_id) where ordered_at < created_at",
        "select * from orders where updated_at >= '2026-07-01' or ordered_at < '2025-07-01'",
        "select * from products where unit_cost >= unit_price or unit_price <= 0 or updated_at < created_at",
        "select * from customers where account_number !~ '^AC-[0-9]{5}$' or updated_at < created_at",
    ],
)
def test_no_row_breaks_the_rules(shop, violations):
    assert shop.execute(violations).fetchall() == []


def test_columns_and_types_are_those_agreed_with_the_readers(shop):
    found = shop.execute(
        "select table_name, string_agg(column_name || ' ' || udt_name, ', ' order by ordinal_position)"
        " from information_schema.columns where table_schema = 'public' group by 1"
    ).fetchall()
    stamps = "created_at timestamptz, updated_at timestamptz"
    assert dict(found) == {
        "customers": "customer_id int8, email text, first_name text, last_name text, country bpchar, "
        f"account_number text, {stamps}",
        "products": "product_id int8, sku text, name text, category text, unit_price numeric, unit_cost numeric, "
        + stamps,
        "orders": "order_id int8, order_number text, customer_id int8, status text, currency bpchar, "
        "total_amount numeric, ordered_at timestamptz, updated_at timestamptz",
        "order_items": "order_id int8, line_number int4, product_id int8, quantity int4, unit_price numeric, "
        "discount_amount numeric, line_amount numeric, updated_at timestamptz",
    }


def test_updated_at_is_indexed_everywhere(shop):
    indexed = shop.execute("select tablename from pg_indexes where indexdef like '%(updated_at)'").fetchall()
    assert {name for (name,) in indexed} == {"customers", "products", "orders", "order_items"}


def test_it_wants_the_password_and_opens_no_socket_file(shop, home):
    url = environment(home=home)["SOURCES__POSTGRES__CREDENTIALS"]
    user, rest = url.removeprefix("postgresql://").split("@")
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(f"postgresql://{user.split(':')[0]}:wrong@{rest}")
    for folder in ("/tmp", "/var/run/postgresql"):
        with pytest.raises(psycopg.OperationalError, match="No such file"):
            psycopg.connect(host=folder, port=shop.info.port, user="webshop")
    assert shop.execute("show listen_addresses").fetchone() == ("127.0.0.1",)
    assert shop.execute("select rolsuper from pg_roles where rolname = current_user").fetchone() == (False,)

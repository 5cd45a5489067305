"""The webshop's tables in PostgreSQL: create, fill (COPY) and apply one day's changes (one transaction)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from sandbox.change import COUNTS, Table, changes, rows
from sandbox.company import Customer, Item, Order, Product
from sandbox.crm import account_number
from sandbox.timeline import LAST_HISTORY_DAY

SCHEMA = """
create table customers (customer_id bigint primary key, email text not null unique, first_name text not null,
  last_name text not null, country char(2) not null, account_number text,
  created_at timestamptz not null, updated_at timestamptz not null);
create table products (product_id bigint primary key, sku text not null unique, name text not null,
  category text not null, unit_price numeric(10,2) not null, unit_cost numeric(10,2) not null,
  created_at timestamptz not null, updated_at timestamptz not null);
create table orders (order_id bigint primary key, order_number text not null unique,
  customer_id bigint not null references customers, status text not null
  check (status in ('placed', 'paid', 'shipped', 'delivered', 'cancelled', 'returned')),
  currency char(3) not null default 'EUR', total_amount numeric(12,2) not null,
  ordered_at timestamptz not null, updated_at timestamptz not null);
create table order_items (order_id bigint not null references orders, line_number int not null,
  product_id bigint not null references products, quantity int not null, unit_price numeric(10,2) not null,
  discount_amount numeric(10,2) not null, line_amount numeric(12,2) not null, updated_at timestamptz not null,
  primary key (order_id, line_number));
create schema sandbox;
create table sandbox.state (day int not null);
"""
TABLES = ("customers", "products", "orders", "order_items")
KEYS = {"customers": 1, "products": 1, "orders": 1, "order_items": 2}  # how many leading columns are the key


def money(cents: int) -> str:
    return f"{cents // 100}.{cents % 100:02d}"


def when(instant: int) -> str:
    return datetime.fromtimestamp(instant, UTC).isoformat(sep=" ")


def _customer(row: Customer) -> tuple[Any, ...]:
    number = None if row.account is None else account_number(row.account)
    return (*row[:5], number, when(row.created_at), when(row.updated_at))


def _product(row: Product) -> tuple[Any, ...]:
    return (*row[:4], money(row.unit_price), money(row.unit_cost), when(row.created_at), when(row.updated_at))


def _order(row: Order) -> tuple[Any, ...]:
    return (*row[:4], "EUR", money(row.total_amount), when(row.ordered_at), when(row.updated_at))


def _item(row: Item) -> tuple[Any, ...]:
    amounts = (money(row.unit_price), money(row.discount_amount), money(row.line_amount))
    return (*row[:4], *amounts, when(row.updated_at))


COLUMNS: dict[str, Callable[[Any], tuple[Any, ...]]] = {
    "customers": _customer,
    "products": _product,
    "orders": _order,
    "order_items": _item,
}


def _copy(cursor: Any, target: str, lines: Iterable[tuple[Any, ...]]) -> None:
    """COPY in text form. Generated values never hold a tab, newline or backslash, so they need no escaping."""
    texts = ("\t".join("\\N" if value is None else str(value) for value in line) + "\n" for line in lines)
    with cursor.copy(f"copy {target} from stdin") as copy:
        while batch := "".join(islice(texts, 2000)):
            copy.write(batch)


def load(connection: Any, tables: dict[str, Table], day: int) -> None:
    """Create the tables and fill them with `day` days of change, in one transaction."""
    with connection.transaction(), connection.cursor() as cursor:
        cursor.execute(SCHEMA)
        for name in TABLES:
            _copy(cursor, name, map(COLUMNS[name], rows(tables[name], LAST_HISTORY_DAY + day)))
            cursor.execute(f"create index on {name} (updated_at)")
        cursor.execute("create index on orders (customer_id)")
        cursor.execute("insert into sandbox.state values (%s)", [day])
    connection.autocommit = True
    connection.execute("analyze")


def days(connection: Any) -> int:
    """How many days of change these tables have."""
    return int(connection.execute("select day from sandbox.state").fetchone()[0])


def apply(connection: Any, tables: dict[str, Table], day: int) -> dict[str, dict[str, int]]:
    """Apply change number `day` and count the rows it touched per table; nothing if the tables have it already."""
    counts = {name: dict.fromkeys(COUNTS, 0) for name in TABLES}
    with connection.transaction(), connection.cursor() as cursor:
        current = cursor.execute("select day from sandbox.state for update").fetchone()[0]
        if current >= day:
            return counts
        removed: dict[str, list[tuple[Any, ...]]] = {}
        for name in TABLES:
            cursor.execute(f"create temporary table incoming (like {name} including defaults) on commit drop")
            removed[name] = []

            def incoming(name: str = name) -> Any:
                for change in changes(tables[name], LAST_HISTORY_DAY + day):
                    counts[name][change.kind] += 1
                    if change.kind == "deleted":
                        removed[name].append(change.row[: KEYS[name]])
                    else:
                        yield COLUMNS[name](change.row)

            _copy(cursor, "incoming", incoming())
            _merge(cursor, name)
            cursor.execute("drop table incoming")
        for name in reversed(TABLES):  # children first
            keys = " and ".join(f"{key} = %s" for key in _columns(cursor, name)[: KEYS[name]])
            cursor.executemany(f"delete from {name} where {keys}", removed[name])
        cursor.execute("update sandbox.state set day = %s", [day])
    return counts


def _columns(cursor: Any, name: str) -> list[str]:
    cursor.execute(f"select * from {name} limit 0")
    return [column.name for column in cursor.description]


def _merge(cursor: Any, name: str) -> None:
    columns = _columns(cursor, name)
    key, rest = columns[: KEYS[name]], columns[KEYS[name] :]
    assignments = ", ".join(f"{column} = excluded.{column}" for column in rest)
    cursor.execute(
        f"insert into {name} select * from incoming on conflict ({', '.join(key)}) do update set {assignments}"
    )

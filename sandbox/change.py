"""One day of business: which rows of a system differ between the end of the day before and the end of a day.

A row is compared with itself, so the result of applying a day is exactly what filling the system on that day gives.
`rows` fills, `changes` updates; both stream, and both work for every table through the small description in TABLES.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from sandbox.company import CUSTOMER_PERIOD, MAX_ORDER_DAYS, PRICE_PERIOD, Company
from sandbox.crm import ACCOUNT_PERIOD, CONTACT_PERIOD, Crm

Row = tuple[Any, ...]
COUNTS = ("inserted", "updated", "deleted")


class Table(NamedTuple):
    """`row(index, day)` is a row, rows or None; `total(day)` bounds the indexes; `touched(day)` is what to compare."""

    row: Callable[[int, int], Row | list[Any] | None]
    total: Callable[[int], int]
    touched: Callable[[int], Iterable[int]]


class Change(NamedTuple):
    """`kind` is one of COUNTS. A soft-deleted row counts as deleted and brings its new content in `row`."""

    kind: str
    row: Row
    soft: bool = False


def _every(period: int, offset: int, total: int) -> range:
    return range(offset % period, total, period)


def tables(company: Company) -> dict[str, dict[str, Table]]:
    """The tables of each system, in the order in which rows can be inserted (parents first)."""
    crm, customers, accounts, orders = Crm(company), company.customers, company.accounts, company.orders

    def recent_orders(day: int) -> range:
        return range(orders.before(max(day - MAX_ORDER_DAYS, 0)), orders.until(day))

    def price_changes(day: int) -> range:
        return _every(PRICE_PERIOD, day * pow(37, -1, PRICE_PERIOD), company.products)

    def moved_customers(day: int) -> set[int]:
        return {*customers.born_on(day), *_every(CUSTOMER_PERIOD, day, customers.until(day))}

    def touched_accounts(day: int) -> set[int]:
        return {*accounts.born_on(day), *_every(ACCOUNT_PERIOD, day, accounts.until(day)), *crm.deleted_on(day)}

    def touched_contacts(day: int) -> set[int]:
        people = {*customers.born_on(day), *_every(CONTACT_PERIOD, day, customers.until(day))}
        others = {*accounts.born_on(day), *_every(CONTACT_PERIOD, day, accounts.until(day)), *crm.deleted_on(day)}
        return {2 * index for index in people} | {2 * index + 1 for index in others}

    def contacts(day: int) -> int:
        return 2 * max(customers.until(day), accounts.until(day))

    return {
        "postgres": {
            "customers": Table(company.customer_at, customers.until, moved_customers),
            "products": Table(company.product_at, lambda day: company.products, price_changes),
            "orders": Table(company.order_at, orders.until, recent_orders),
            "order_items": Table(company.items_at, orders.until, recent_orders),
        },
        "salesforce": {
            "Account": Table(crm.account_at, accounts.until, touched_accounts),
            "Contact": Table(crm.contact_at, contacts, touched_contacts),
        },
        "sap": {"A_OutbDeliveryHeader": Table(company.shipment_at, orders.until, recent_orders)},
    }


def rows(table: Table, day: int) -> Iterator[Row]:
    """Every row that exists at the end of `day`."""
    for index in range(table.total(day)):
        yield from _as_list(table.row(index, day))


def changes(table: Table, day: int) -> Iterator[Change]:
    """What must be inserted, updated and deleted to come from the end of the day before to the end of `day`."""
    for index in sorted(table.touched(day)):
        before, after = _as_list(table.row(index, day - 1)), _as_list(table.row(index, day))
        if before == after:
            continue
        # A row keeps its place in its list (order lines never change), so the lists differ in length or content only.
        for old, new in zip(before, after, strict=False):
            if old != new:
                soft = getattr(new, "deleted", False) and not old.deleted
                yield Change("deleted" if soft else "updated", new, soft)
        for new in after[len(before) :]:
            yield Change("inserted", new)
        for old in before[len(after) :]:
            yield Change("deleted", old)


def _as_list(value: Row | list[Any] | None) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]

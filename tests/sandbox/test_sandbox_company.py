"""The rows themselves: repeatable, different by seed, and true to the business whatever the day."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.change import changes, rows, tables
from sandbox.company import Company
from sandbox.crm import Crm, salesforce_id
from sandbox.timeline import LAST_HISTORY_DAY, midnight

ALL = [(system, name) for system, found in tables(Company()).items() for name in found]


def content(company: Company, day: int) -> dict[str, list[tuple]]:
    return {name: list(rows(table, day)) for found in tables(company).values() for name, table in found.items()}


@pytest.fixture(scope="module")
def today() -> dict[str, list[tuple]]:
    return content(Company(), LAST_HISTORY_DAY)


def test_sizes_are_those_of_the_example_company(today):
    expected = {"customers": 600, "products": 80, "orders": 3000, "Account": 120, "Contact": 300}
    for name, size in expected.items():
        assert len(today[name]) == pytest.approx(size, rel=0.03)
    assert len(today["A_OutbDeliveryHeader"]) == pytest.approx(2700, rel=0.05)
    with_account = sum(row.account is not None for row in today["customers"])
    assert with_account / len(today["customers"]) == pytest.approx(0.4, abs=0.05)


def test_the_same_seed_gives_the_same_rows_and_another_seed_others(today):
    assert content(Company(), LAST_HISTORY_DAY) == today
    other = content(Company(seed=8), LAST_HISTORY_DAY)
    assert all(set(other[name]).isdisjoint(rows) for name, rows in today.items() if name != "products")


@pytest.mark.parametrize(("scale", "days"), [(1, 10), (2, 3)])
def test_a_day_of_changes_leads_to_exactly_the_rows_of_that_day(scale, days):
    """Applying the changes of a day to the rows of the day before is the same as generating the day."""
    company = Company(seed=11, scale=scale)
    for system, name in ALL:
        table = tables(company)[system][name]
        keys = 2 if name == "order_items" else 1
        state = {row[:keys]: row for row in rows(table, LAST_HISTORY_DAY)}
        for day in range(LAST_HISTORY_DAY + 1, LAST_HISTORY_DAY + 1 + days):
            for change in changes(table, day):
                key = change.row[:keys]
                assert (key in state) == (change.kind != "inserted")
                if change.kind == "deleted" and not change.soft:
                    del state[key]
                else:
                    state[key] = change.row
            assert state == {row[:keys]: row for row in rows(table, day)}, (name, day)


def test_changed_rows_carry_the_day_of_the_change():
    for day in range(LAST_HISTORY_DAY + 1, LAST_HISTORY_DAY + 8):
        for system, name in ALL:
            for change in changes(tables(Company())[system][name], day):
                if change.kind != "deleted" or change.soft:
                    stamp = change.row[-2] if system == "salesforce" else change.row[-1]
                    assert midnight(day) <= stamp < midnight(day + 1), (name, change)


def test_every_day_has_every_kind_of_change():
    company, shipments_gone = Company(), 0
    for day in range(LAST_HISTORY_DAY + 1, LAST_HISTORY_DAY + 60):
        kinds = {
            (name, change.kind)
            for found in tables(company).values()
            for name, table in found.items()
            for change in changes(table, day)
        }
        assert {("orders", kind) for kind in ("inserted", "updated", "deleted")} <= kinds
        assert {
            ("Account", "deleted"),
            ("Contact", "deleted"),
            ("customers", "inserted"),
            ("products", "updated"),
        } <= kinds
        assert ("order_items", "deleted") in kinds
        shipments_gone += ("A_OutbDeliveryHeader", "deleted") in kinds
    assert shipments_gone >= 50  # on the other days every purged order had been cancelled before


@pytest.mark.parametrize("day", [LAST_HISTORY_DAY, LAST_HISTORY_DAY + 20])
def test_the_systems_agree(day):
    now = content(Company(seed=3), day)
    orders = {row.order_number: row for row in now["orders"]}
    totals = {
        key: sum(item.line_amount for item in items)
        for key, items in itertools.groupby(now["order_items"], lambda item: item.order_id)
    }
    assert totals == {row.order_id: row.total_amount for row in now["orders"]}
    shipped = {row.order_number: row for row in now["A_OutbDeliveryHeader"]}
    assert len(shipped) == len(now["A_OutbDeliveryHeader"]) and shipped.keys() <= orders.keys()
    for number, order in orders.items():
        if order.status in ("shipped", "delivered", "returned"):
            assert shipped[number].shipped_at is not None
            assert (shipped[number].delivered_at is None) == (order.status == "shipped")
        elif order.status == "paid" and number in shipped:
            assert shipped[number].shipped_at is None
        else:
            assert number not in shipped
    created = {row.customer_id: row.created_at for row in now["customers"]}
    assert all(created[order.customer_id] < order.ordered_at <= order.updated_at for order in orders.values())
    live = {row.id for row in now["Account"] if not row.deleted}
    buyers = {salesforce_id("001", row.account + 1) for row in now["customers"] if row.account is not None}
    assert buyers <= live
    emails = {row.email for row in now["Contact"] if not row.deleted}
    assert {row.email for row in now["customers"] if row.account is not None} <= emails
    assert len({row.email for row in now["customers"]}) == len(now["customers"])


@given(seed=st.integers(0, 2**32), scale=st.integers(1, 50), index=st.integers(0, 2500), later=st.integers(0, 60))
def test_an_order_only_moves_forward(seed, scale, index, later):
    company = Company(seed, scale)
    first = company.orders.birthday(index)
    seen = [company.order_at(index, first + days) for days in range(0, 31)]
    ranks = ["placed", "paid", "shipped", "delivered", "returned", "cancelled"]
    assert seen == sorted(seen, key=lambda row: (row is None, row and ranks.index(row.status)))
    assert company.order_at(index, first - 1) is None
    assert company.order_at(index, first + 30) == company.order_at(index, first + 30 + later)


def test_salesforce_ids_stay_different_without_case():
    assert salesforce_id("001", 1)[:15] == "0015g0000000001"
    assert len({salesforce_id("003", number).lower() for number in range(5000)}) == 5000
    assert Crm(Company()).account_at(0, 0).id.isalnum()

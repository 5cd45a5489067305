"""Days of business in the running systems."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import Any

import psycopg
import pytest

from sandbox import store, systems, webshop
from sandbox.change import tables
from sandbox.company import Company
from sandbox.errors import UsageError
from sandbox.home import Home
from sandbox.postgres import Postgres


def content(home: Home) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every system."""
    found = {}
    with psycopg.connect(systems.environment(home=home)["SOURCES__POSTGRES__CREDENTIALS"]) as shop:
        for name in webshop.TABLES:
            found[name] = shop.execute(f"select * from {name} order by 1, 2").fetchall()
    for system in ("salesforce", "sap"):
        with closing(sqlite3.connect(home.path / f"{system}.db")) as connection:
            for name in tables(Company())[system]:
                found[name] = connection.execute(f'select * from "{name}" order by 1').fetchall()
    return found


def test_three_days_one_by_one_and_crashing_are_the_same_as_three_days_at_once(own_home, tmp_path, monkeypatch):
    systems.up(home=own_home)
    before = content(own_home)
    first = systems.change(home=own_home)
    assert (first["day"], first["date"]) == (1, "2026-07-01")
    after = content(own_home)
    for counts in first["systems"].values():
        for name, kinds in counts.items():
            removed = 0 if name in ("Account", "Contact") else kinds["deleted"]
            assert len(after[name]) == len(before[name]) + kinds["inserted"] - removed
    changed = set(after["orders"]) - set(before["orders"])
    assert len(changed) == sum(first["systems"]["postgres"]["orders"][kind] for kind in ("inserted", "updated"))
    assert all(f"{row[-1]:%Y-%m-%d}" == "2026-07-01" for row in changed)

    # The second day breaks off after Postgres and Salesforce have it; the same command then completes it.
    monkeypatch.setattr(systems, "_day_done", lambda name, day: pytest.fail("crash") if name == "salesforce" else None)
    with pytest.raises(pytest.fail.Exception):
        systems.change(home=own_home)
    assert systems.status(home=own_home)["day"] == 1
    monkeypatch.undo()
    second = systems.change(home=own_home)
    assert second["day"] == 2 and sum(second["systems"]["postgres"]["orders"].values()) == 0
    assert sum(second["systems"]["sap"]["A_OutbDeliveryHeader"].values()) > 0

    # The third one happens while everything is down; PostgreSQL is down again afterwards.
    systems.down(home=own_home)
    assert systems.change(home=own_home)["day"] == 3
    assert not any(system["up"] for system in systems.status(home=own_home)["systems"].values())
    systems.up(home=own_home)
    one_by_one = content(own_home)

    other = Home(tmp_path / "other")
    try:
        systems.up(home=other)
        systems.change(3, home=other)
        assert content(other) == one_by_one
    finally:
        systems.reset(home=other)


def test_after_days_of_change_the_systems_still_agree(own_home):
    systems.up(home=own_home)
    systems.change(5, home=own_home)
    found = content(own_home)
    totals: dict[int, Any] = {}
    for order, *_, amount, _ in found["order_items"]:
        totals[order] = totals.get(order, 0) + amount
    assert totals == {row[0]: row[5] for row in found["orders"]}
    assert {row[4] for row in found["A_OutbDeliveryHeader"]} <= {row[1] for row in found["orders"]}
    live = {row[1] for row in found["Account"] if not row[-1]}
    assert {row[5] for row in found["customers"] if row[5]} <= live
    assert sum(row[-1] for row in found["Account"]) == 10  # five before the first day, one on every day


def test_a_system_that_starts_later_is_on_the_same_day(own_home):
    systems.up(["sap"], home=own_home)
    result = systems.change(2, home=own_home)
    assert list(result["systems"]) == ["sap"]
    systems.up(home=own_home)
    assert store.days(own_home.path / "salesforce.db") == store.days(own_home.path / "sap.db") == 2
    with Postgres(own_home).connect() as connection:
        assert webshop.days(connection) == 2


def test_without_a_company_there_is_no_change(own_home):
    with pytest.raises(UsageError, match="no company yet") as caught:
        systems.change(home=own_home)
    assert caught.value.hint == "python -m sandbox up" and not own_home.path.exists()

"""Everything that is true about Lumen Goods: each row is a pure function of (seed, scale, index, day).

Nothing is stored and nothing is random: the row of customer 17 at the end of day 370 is computed from these numbers
alone. So a system can be filled with any day, and one day's change is the difference between two days (see change.py).
Every `..._at` function returns None while the thing does not exist (not yet, or not any more) at the end of that day.
Money is in whole cents, weight in grams, instants in seconds since the epoch.
"""

from __future__ import annotations

from typing import NamedTuple

from sandbox import names
from sandbox.timeline import LAST_HISTORY_DAY, Schedule, date_of, midnight, mixer

HOUR = 3600
MAX_ORDER_DAYS = 30  # after this many days no order changes any more
PURGE_AFTER_DAYS = 6  # test orders and duplicates are purged this long after they were placed
PRODUCTS = 80
PRICE_PERIOD, CUSTOMER_PERIOD = 80, 200  # days between two changes of the same row


class Customer(NamedTuple):
    customer_id: int
    email: str
    first_name: str
    last_name: str
    country: str
    account: int | None  # index of the account in crm.py
    created_at: int
    updated_at: int


class Product(NamedTuple):
    product_id: int
    sku: str
    name: str
    category: str
    unit_price: int
    unit_cost: int
    created_at: int
    updated_at: int


class Item(NamedTuple):
    order_id: int
    line_number: int
    product_id: int
    quantity: int
    unit_price: int
    discount_amount: int
    line_amount: int
    updated_at: int


class Order(NamedTuple):
    order_id: int
    order_number: str
    customer_id: int
    status: str
    total_amount: int
    ordered_at: int
    updated_at: int


class Shipment(NamedTuple):
    delivery_document: str
    sold_to: int
    shipping_point: str
    order_number: str
    weight: int
    created_at: int
    shipped_at: int | None
    delivered_at: int | None
    changed_at: int


class Life(NamedTuple):
    """When the things happen to an order; what will never happen is None."""

    ordered: int
    paid: int | None
    packed: int | None
    shipped: int | None
    delivered: int | None
    returned: int | None
    cancelled: int | None


def _orders_on(day: int) -> int:
    """8 or so a day: more at weekends and in the weeks before Christmas, and growing over the year."""
    when = date_of(day)
    season = 4 if (when.month, when.day) >= (11, 20) and (when.month, when.day) <= (12, 23) else 0
    return 6 + (0, 0, 1, 1, 2, 3, 1)[when.weekday()] + min(day // 150, 4) + season


def _customers_on(day: int) -> int:
    return 3 if day > LAST_HISTORY_DAY else 1 + (day % 7 == 5)


def _accounts_on(day: int) -> int:
    return 3 if day > LAST_HISTORY_DAY else day % 9 in (2, 6)


class Company:
    """Lumen Goods for one seed and scale. Indexes count from 0, ids from 1."""

    def __init__(self, seed: int = 7, scale: int = 1):
        self.seed, self.scale = seed, scale
        self.customers = Schedule(180 * scale, lambda day: scale * _customers_on(day))
        self.accounts = Schedule(40 * scale, lambda day: scale * _accounts_on(day))
        self.orders = Schedule(0, lambda day: scale * _orders_on(day))
        self.products = PRODUCTS * scale
        self._customer, self._move, self._product, self._price, self._order, self._life, self._item, self._purge = (
            mixer(seed, stream) for stream in range(8)
        )

    # customers and products

    def buyer_account(self, index: int) -> int | None:
        """The account a customer buys for (two of five do). Every third account never gets a customer: see crm.py."""
        bits = self._customer(index)
        if bits % 5 >= 2:
            return None
        known = self.accounts.until(self.customers.birthday(index))
        choice = ((bits >> 8) & 0xFFFFFF) * (known * 2 // 3) >> 24
        return choice // 2 * 3 + choice % 2

    def customer_at(self, index: int, day: int) -> Customer | None:
        born = self.customers.birthday(index)
        if born > day:
            return None
        bits = self._customer(index)
        created = (
            midnight(born)
            + (2 * HOUR if born == 0 else 8 * HOUR)
            + (bits >> 40) % (3 * HOUR if born == 0 else 13 * HOUR)
        )
        moved = day - (day - index) % CUSTOMER_PERIOD
        if moved > born:
            country_bits, updated = self._move(index * 4096 + moved), midnight(moved) + 9 * HOUR + index % HOUR
        else:
            country_bits, updated = bits >> 32, created
        first, last = names.FIRST[(bits >> 16) % len(names.FIRST)], names.LAST[(bits >> 24) % len(names.LAST)]
        return Customer(
            index + 1,
            f"{first}.{last}.{index + 1}@mail.example".lower(),
            first,
            last,
            names.COUNTRIES[country_bits % len(names.COUNTRIES)],
            self.buyer_account(index),
            created,
            updated,
        )

    def _category(self, index: int) -> tuple[str, tuple[str, ...], int, int, int]:
        return names.CATEGORIES[self._product(index) % len(names.CATEGORIES)]

    def _price_day(self, index: int, day: int) -> int:
        """The day of the last price change up to `day`; negative before the first one."""
        return day - (day - index * 37) % PRICE_PERIOD

    def price(self, index: int, day: int) -> int:
        """Price in cents on `day`: a list price, and up to 10 % more or less since the last change."""
        _, _, low, high, _ = self._category(index)
        list_price = low + (self._product(index) >> 8) % ((high - low) // 100 + 1) * 100
        changed = self._price_day(index, day)
        percent = 100 if changed < 0 else 90 + self._price(index * 4096 + changed) % 21
        return list_price * percent // 100

    def product_at(self, index: int, day: int) -> Product | None:
        bits = self._product(index)
        category, things, low, high, _ = self._category(index)
        list_price = low + (bits >> 8) % ((high - low) // 100 + 1) * 100
        changed = self._price_day(index, day)
        created = midnight(0) + HOUR
        return Product(
            index + 1,
            f"LG-{index + 1:05d}",
            f"{names.STYLES[(bits >> 30) % len(names.STYLES)]} {things[(bits >> 40) % len(things)]} {index + 1}",
            category,
            self.price(index, day),
            list_price * (40 + (bits >> 50) % 25) // 100,
            created,
            created if changed < 0 else midnight(changed) + 5 * HOUR,
        )

    # orders

    def life(self, index: int) -> Life:
        """What happens to an order: most are delivered, 6 % cancelled before they are packed, 7 % returned."""
        day = self.orders.birthday(index)
        first, count = self.orders.before(day), _orders_on(day) * self.scale
        bits = self._life(index)
        slot = 16 * HOUR // count  # at scale 1000 still several seconds wide, so order numbers grow with time
        ordered = midnight(day) + 7 * HOUR + (index - first) * 16 * HOUR // count + (bits & 0xFFFF) % max(slot, 1)
        paid = ordered + ((bits >> 16) % (20 * HOUR) if bits >> 62 == 0 else 60 + (bits >> 16) % 900)
        fate = (bits >> 32) % 100
        if fate < 6:
            cancelled = ordered + HOUR + (bits >> 39) % (30 * HOUR)
            return Life(ordered, paid if paid < cancelled else None, None, None, None, None, cancelled)
        wait = 8 * HOUR + (bits >> 39) % (48 * HOUR)
        shipped = paid + wait
        delivered = shipped + 24 * HOUR + (bits >> 45) % (96 * HOUR)
        returned = delivered + (3 * 24 + (bits >> 50) % (11 * 24)) * HOUR if fate < 13 else None
        return Life(ordered, paid, paid + wait // 2, shipped, delivered, returned, None)

    def purge_day(self, index: int) -> int | None:
        """The day an order is hard-deleted. One order in six, from the first day after history on."""
        day = self.orders.birthday(index)
        if day + PURGE_AFTER_DAYS <= LAST_HISTORY_DAY or (index + self._purge(day)) % 6:
            return None
        return day + PURGE_AFTER_DAYS

    def _order_exists(self, index: int, day: int) -> bool:
        purged = self.purge_day(index)
        return self.orders.birthday(index) <= day and (purged is None or purged > day)

    def items(self, index: int) -> list[Item]:
        """The order's one to five lines; they never change after the order was placed."""
        day, ordered = self.orders.birthday(index), self.life(index).ordered
        lines = 1 + (0, 0, 1, 1, 1, 2, 2, 3, 4)[self._order(index) % 9]
        items = []
        for line in range(1, lines + 1):
            bits = self._item(index * 8 + line)
            product = (bits & 0xFFFF) * ((bits >> 16) & 0xFFFF) * self.products >> 32  # some sell better than others
            quantity = 1 + (0, 0, 0, 1, 1, 2, 3)[(bits >> 32) % 7]
            price = self.price(product, day)
            discount = quantity * price * (5 + (bits >> 44) % 16) // 100 if (bits >> 38) % 7 == 0 else 0
            items.append(
                Item(index + 1, line, product + 1, quantity, price, discount, quantity * price - discount, ordered)
            )
        return items

    def items_at(self, index: int, day: int) -> list[Item]:
        return self.items(index) if self._order_exists(index, day) else []

    def _order_customer(self, index: int) -> int:
        bits = self._order(index) >> 8
        known = self.customers.before(max(self.orders.birthday(index), 1))
        return ((bits & 0xFFFFFF) * ((bits >> 24) & 0xFFFFFF) * known >> 48) + 1

    def order_at(self, index: int, day: int) -> Order | None:
        if not self._order_exists(index, day):
            return None
        life, end = self.life(index), midnight(day + 1)
        status, updated = "placed", life.ordered
        for name, when in (
            ("paid", life.paid),
            ("shipped", life.shipped),
            ("delivered", life.delivered),
            ("returned", life.returned),
            ("cancelled", life.cancelled),
        ):
            if when is not None and when < end:
                status, updated = name, when
        return Order(
            index + 1,
            f"WEB-{index + 1:07d}",
            self._order_customer(index),
            status,
            sum(item.line_amount for item in self.items(index)),
            life.ordered,
            updated,
        )

    def shipment_at(self, index: int, day: int) -> Shipment | None:
        """The delivery of an order, from the moment it is packed; it vanishes with the order."""
        if not self._order_exists(index, day):
            return None
        life, end = self.life(index), midnight(day + 1)
        if life.packed is None or life.packed >= end:
            return None
        shipped = life.shipped if life.shipped is not None and life.shipped < end else None
        delivered = life.delivered if life.delivered is not None and life.delivered < end else None
        return Shipment(
            str(80_000_001 + index),
            self._order_customer(index),
            ("1000", "1010", "2000")[index % 3],
            f"WEB-{index + 1:07d}",
            sum(item.quantity * self._category(item.product_id - 1)[4] for item in self.items(index)) + 350,
            life.packed,
            shipped,
            delivered,
            delivered or shipped or life.packed,
        )

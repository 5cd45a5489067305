"""What Salesforce knows about Lumen Goods' business customers; pure functions like company.py.

Accounts come in threes: two have customers, the third is a prospect and never gets one. So the prospects can be deleted
(the oldest first, one per day and scale) without ever cutting a customer's link to its account.
"""

from __future__ import annotations

from typing import NamedTuple

from sandbox import names
from sandbox.company import HOUR, Company
from sandbox.timeline import LAST_HISTORY_DAY, midnight, mixer

ACCOUNT_PERIOD, CONTACT_PERIOD = 40, 60  # days between two updates of the same row
FIRST_DELETE_DAY = LAST_HISTORY_DAY - 4  # so that the first day already has soft-deleted rows
_BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_CHECK = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"


class Account(NamedTuple):
    id: str
    account_number: str
    name: str
    industry: str
    country: str
    revenue: int  # whole euros
    owner: str
    created_at: int
    modified_at: int
    deleted: bool


class Contact(NamedTuple):
    id: str
    account: str
    first_name: str
    last_name: str
    email: str
    title: str
    created_at: int
    modified_at: int
    deleted: bool


def salesforce_id(prefix: str, number: int) -> str:
    """An 18-character id: three for the object, twelve for the row, three that make it safe to compare without case."""
    digits = ""
    for _ in range(7):
        number, digit = divmod(number, 62)
        digits = _BASE62[digit] + digits
    short = f"{prefix}5g000{digits}"
    check = (sum(1 << at for at, char in enumerate(short[part : part + 5]) if char.isupper()) for part in (0, 5, 10))
    return short + "".join(_CHECK[bits] for bits in check)


def account_number(index: int) -> str:
    return f"AC-{index + 1:05d}"


class Crm:
    """Accounts and contacts of one Company. A contact's index is 2 * customer, or 2 * account + 1 for other people."""

    def __init__(self, company: Company):
        self.company = company
        self._account, self._revenue, self._person, self._title = (mixer(company.seed, s) for s in range(20, 24))

    def delete_day(self, index: int) -> int | None:
        return FIRST_DELETE_DAY + index // 3 // self.company.scale if index % 3 == 2 else None

    def deleted_on(self, day: int) -> range:
        """The accounts deleted on `day`."""
        first = (day - FIRST_DELETE_DAY) * self.company.scale
        return range(first * 3 + 2, (first + self.company.scale) * 3 + 2, 3) if first >= 0 else range(0)

    def account_at(self, index: int, day: int) -> Account | None:
        born = self.company.accounts.birthday(index)
        if born > day:
            return None
        bits, gone = self._account(index), self.delete_day(index)
        created = midnight(born) + (1 if born == 0 else 6) * HOUR + (bits >> 40) % HOUR
        updated = min(day, day if gone is None else gone - 1)
        updated -= (updated - index) % ACCOUNT_PERIOD
        revenue_bits, modified = bits >> 8, created
        if updated > born:
            revenue_bits, modified = self._revenue(index * 4096 + updated), midnight(updated) + 10 * HOUR + index % HOUR
        deleted = gone is not None and gone <= day
        if deleted and gone is not None:
            modified = midnight(gone) + 17 * HOUR + index % HOUR
        last = names.LAST[(bits >> 16) % len(names.LAST)]
        return Account(
            salesforce_id("001", index + 1),
            account_number(index),
            " ".join((last, names.TRADES[(bits >> 24) % 8], names.LEGAL_FORMS[(bits >> 27) % 6])),
            names.INDUSTRIES[(bits >> 32) % len(names.INDUSTRIES)],
            names.COUNTRIES[(bits >> 36) % len(names.COUNTRIES)],
            (50 + revenue_bits % 9950) * 10_000,
            salesforce_id("005", 1 + (bits >> 52) % 5),
            created,
            modified,
            deleted,
        )

    def contact_at(self, index: int, day: int) -> Contact | None:
        """The contact of a customer with an account, or of somebody else at an account (every prospect has one)."""
        owner, other = divmod(index, 2)
        if other:
            if owner % 3 != 2 and owner % 6:
                return None
            account = self.account_at(owner, day)
            if account is None:
                return None
            bits, born = self._person(owner), self.company.accounts.birthday(owner)
            first, last = names.FIRST[bits % len(names.FIRST)], names.LAST[(bits >> 8) % len(names.LAST)]
            email = f"{first}.{last}@{account.account_number}.example".lower()
            created, account_id, gone = account.created_at + 300, account.id, self.delete_day(owner)
        else:
            customer = self.company.customer_at(owner, day)
            if customer is None or customer.account is None:
                return None
            born, gone = self.company.customers.birthday(owner), None
            first, last, email = customer.first_name, customer.last_name, customer.email
            created, account_id = customer.created_at + 300, salesforce_id("001", customer.account + 1)
        updated = min(day, day if gone is None else gone - 1)
        updated -= (updated - owner) % CONTACT_PERIOD
        title_bits, modified = self._title(index), created
        if updated > born:
            title_bits, modified = self._title(index * 4096 + updated), midnight(updated) + 11 * HOUR + index % HOUR
        deleted = gone is not None and gone <= day
        if deleted and gone is not None:
            modified = midnight(gone) + 17 * HOUR + owner % HOUR
        title = names.TITLES[title_bits % len(names.TITLES)]
        return Contact(
            salesforce_id("003", index + 1), account_id, first, last, email, title, created, modified, deleted
        )

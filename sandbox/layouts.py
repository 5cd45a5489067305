"""How the stand-ins keep their rows: columns of Salesforce's objects and of SAP's entity set.

Salesforce instants are texts in its own form, all of one length, so that they compare as texts. SAP instants are
milliseconds since the epoch. The column order is also the order in which the interfaces describe the fields.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sandbox.company import Shipment
from sandbox.crm import Account, Contact
from sandbox.store import Columns
from sandbox.timeline import DAY


def salesforce_time(instant: int) -> str:
    return datetime.fromtimestamp(instant, UTC).strftime("%Y-%m-%dT%H:%M:%S.000+0000")


def _account(row: Account) -> tuple[Any, ...]:
    created, modified = salesforce_time(row.created_at), salesforce_time(row.modified_at)
    return (*row[:7], created, modified, modified, int(row.deleted))


def _contact(row: Contact) -> tuple[Any, ...]:
    created, modified = salesforce_time(row.created_at), salesforce_time(row.modified_at)
    return (*row[:6], created, modified, modified, int(row.deleted))


def _shipment(row: Shipment) -> tuple[Any, ...]:
    def day(instant: int | None) -> int | None:
        return None if instant is None else instant // DAY * DAY * 1000

    return (
        row.delivery_document,
        "LF",
        f"{row.sold_to:010d}",
        row.shipping_point,
        row.order_number,
        "A" if row.shipped_at is None else "C",
        row.weight,
        "KG",
        day(row.created_at),
        day(row.shipped_at),
        day(row.delivered_at),
        row.changed_at * 1000,
    )


_STAMPS = {
    "CreatedDate": "datetime",
    "LastModifiedDate": "datetime",
    "SystemModstamp": "datetime",
    "IsDeleted": "boolean",
}
SALESFORCE = {
    "Account": Columns(
        {"Id": "id", "AccountNumber": "string", "Name": "string", "Industry": "picklist", "BillingCountry": "string"}
        | {"AnnualRevenue": "currency", "OwnerId": "reference"}
        | _STAMPS,
        _account,
        ("SystemModstamp",),
    ),
    "Contact": Columns(
        {
            "Id": "id",
            "AccountId": "reference",
            "FirstName": "string",
            "LastName": "string",
            "Email": "email",
            "Title": "string",
        }
        | _STAMPS,
        _contact,
        ("SystemModstamp", "AccountId"),
    ),
}
SAP = {
    "A_OutbDeliveryHeader": Columns(
        {
            "DeliveryDocument": "Edm.String",
            "DeliveryDocumentType": "Edm.String",
            "SoldToParty": "Edm.String",
            "ShippingPoint": "Edm.String",
            "YY1_WebOrder_DLH": "Edm.String",
            "OverallGoodsMovementStatus": "Edm.String",
            "HeaderGrossWeight": "Edm.Decimal",
            "HeaderWeightUnit": "Edm.String",
            "CreationDate": "Edm.DateTime",
            "ActualGoodsMovementDate": "Edm.DateTime",
            "ProofOfDeliveryDate": "Edm.DateTime",
            "LastChangeDateTime": "Edm.DateTimeOffset",
        },
        _shipment,
        ("LastChangeDateTime", "YY1_WebOrder_DLH"),
    )
}

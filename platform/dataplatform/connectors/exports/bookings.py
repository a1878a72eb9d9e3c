"""What bank files have in common: a booking, with the same names whichever form it came in."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from dataplatform.connectors.exports.common import Equals, filled, identity

_IDENTIFYING = (
    "booked_on",
    "valued_on",
    "amount",
    "currency",
    "counterparty",
    "counterparty_account",
    "purpose",
)


_TEXTS = ("id", "account", "currency", "counterparty", "counterparty_account", "purpose", "kind", "bank_number", "code",
          "reference", "end_to_end_id", "mandate_id", "creditor_id")  # fmt: skip
TYPES: dict[str, str | None] = {
    "booked_on": "date", "valued_on": "date", "amount": "numeric", "balance": "numeric",
    **dict.fromkeys(_TEXTS, "text"),
}  # fmt: skip


def booking(
    account: str | None,
    booked_on: str,
    amount: Decimal,
    number: str | None,
    more: Mapping[str, Any],
    equals: Equals,
) -> dict[str, Any]:
    """One booking. Its `id` is the account with the bank's own number, or else with what it says and its number among
    equals: files of overlapping times give one booking one id."""
    found = {"account": account, "booked_on": booked_on, "amount": amount, **more}
    one = (
        identity(account, number)
        if number
        else equals.identity(account, *(_canonical(found.get(name)) for name in _IDENTIFYING))
    )
    return {"id": one, **filled(found.items())}


def _canonical(value: Any) -> Any:
    """Spaces and decimals of no weight aside: banks change them between two exports."""
    if isinstance(value, Decimal):
        return format(value.normalize(), "f")
    return " ".join(value.split()) if isinstance(value, str) else value

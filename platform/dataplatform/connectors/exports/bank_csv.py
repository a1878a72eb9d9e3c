"""CSV files of banks by a profile: where the header is, delimiter, dates, decimals, and which column means what.

A profile is one entry of `PROFILES`. What a bank writes beyond it is kept, in `row`, by the bank's own names.
"""

from __future__ import annotations

import csv
import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import IO, Any

from dataplatform.connectors.contract import Reject
from dataplatform.connectors.exports import bookings as shared
from dataplatform.connectors.exports.bookings import booking
from dataplatform.connectors.exports.common import Equals, day, filled, number, text_of
from dataplatform.connectors.file_reading import Found, Reading
from dataplatform.errors import SourceError

_SEARCHED = 40  # lines in which the header is looked for


@dataclass(frozen=True)
class Profile:
    """A bank's CSV. `columns`: of ours, the bank's names for it, of which the first that is there counts.

    `header`: columns that tell its header; `names` where the file has none. `negative`: (column, value) of what was
    paid where amounts have no sign. `account`: how the line above the header begins that holds the account.
    """

    columns: Mapping[str, tuple[str, ...]]
    delimiter: str = ";"
    decimal: str = ","
    dates: tuple[str, ...] = ("%d.%m.%Y", "%d.%m.%y")
    names: tuple[str, ...] = ()
    negative: tuple[str, str] | None = None
    account: str = ""
    currency: str = "EUR"
    encoding: str | None = None
    pending: tuple[str, tuple[str, ...]] | None = None
    delimiters: str = field(default="")

    @property
    def header(self) -> list[tuple[str, ...]]:
        return [self.columns["booked_on"], self.columns["amount"]]


def _of(**columns: str) -> dict[str, tuple[str, ...]]:
    return {name: tuple(value.split("|")) for name, value in columns.items()}


PROFILES: dict[str, Profile] = {
    "ing_nl": Profile(
        _of(booked_on="Datum", amount="Bedrag (EUR)", account="Rekening", counterparty="Naam / Omschrijving",
            counterparty_account="Tegenrekening", purpose="Mededelingen", kind="Mutatiesoort|MutatieSoort", code="Code",
            balance="Saldo na mutatie"),
        dates=("%Y%m%d", "%d-%m-%Y"), negative=("Af Bij", "Af"), delimiters=";,",
    ),
    "rabobank_nl": Profile(
        _of(booked_on="Datum", valued_on="Rentedatum", amount="Bedrag", account="IBAN/BBAN", currency="Munt",
            counterparty="Naam tegenpartij", counterparty_account="Tegenrekening IBAN/BBAN", code="Code",
            number="Volgnr", purpose="Omschrijving-1", end_to_end_id="Transactiereferentie",
            mandate_id="Machtigingskenmerk", balance="Saldo na trn"),
        delimiter=",", dates=("%Y-%m-%d",), delimiters=",;",
    ),
    "abn_amro_nl": Profile(
        _of(account="account", currency="currency", booked_on="booked", balance="balance", valued_on="valued",
            amount="amount", purpose="description"),
        delimiter="\t", dates=("%Y%m%d",),
        names=("account", "currency", "booked", "balance_before", "balance", "valued", "amount", "description"),
    ),
    "dkb_de": Profile(
        _of(booked_on="Buchungsdatum", valued_on="Wertstellung", amount="Betrag (€)|Betrag (EUR)",
            counterparty="Zahlungsempfänger*in", payer="Zahlungspflichtige*r", counterparty_account="IBAN",
            purpose="Verwendungszweck", kind="Umsatztyp", status="Status", mandate_id="Mandatsreferenz",
            creditor_id="Gläubiger-ID", end_to_end_id="Kundenreferenz"),
        account='"?(Girokonto|Tagesgeld|Konto)', pending=("Status", ("Vorgemerkt",)), delimiters=";,",
    ),
    "ing_de": Profile(
        _of(booked_on="Buchung", valued_on="Wertstellungsdatum|Valuta", amount="Betrag", currency="Währung",
            counterparty="Auftraggeber/Empfänger", kind="Buchungstext", purpose="Verwendungszweck", balance="Saldo"),
        account="IBAN",
    ),
    "sparkasse_de": Profile(
        _of(account="Auftragskonto", booked_on="Buchungstag", valued_on="Valutadatum", kind="Buchungstext",
            purpose="Verwendungszweck", creditor_id="Glaeubiger ID", mandate_id="Mandatsreferenz",
            end_to_end_id="Kundenreferenz (End-to-End)", counterparty="Beguenstigter/Zahlungspflichtiger",
            counterparty_account="Kontonummer/IBAN", amount="Betrag", currency="Waehrung", status="Info"),
        pending=("Info", ("Umsatz vorgemerkt", "Umsatz vorgemerkt und nicht gebucht")),
    ),
    "volksbank_de": Profile(
        _of(account="IBAN Auftragskonto", booked_on="Buchungstag", valued_on="Valutadatum", kind="Buchungstext",
            purpose="Verwendungszweck", counterparty="Name Zahlungsbeteiligter",
            counterparty_account="IBAN Zahlungsbeteiligter", amount="Betrag", currency="Waehrung",
            balance="Saldo nach Buchung", creditor_id="Glaeubiger ID", mandate_id="Mandatsreferenz"),
    ),
    "n26": Profile(
        _of(booked_on="Booking Date", valued_on="Value Date", counterparty="Partner Name",
            counterparty_account="Partner Iban", kind="Type", purpose="Payment Reference", account="Account Name",
            amount="Amount (EUR)"),
        delimiter=",", decimal=".", dates=("%Y-%m-%d",),
    ),
    "revolut": Profile(
        _of(booked_on="Completed Date", valued_on="Started Date", amount="Amount", fee="Fee", currency="Currency",
            purpose="Description", kind="Type", account="Product", balance="Balance", status="State"),
        delimiter=",", decimal=".", dates=("%Y-%m-%d %H:%M:%S", "%Y-%m-%d"),
        pending=("State", ("PENDING", "REVERTED", "DECLINED")),
    ),
    "wise": Profile(
        _of(number="TransferWise ID", booked_on="Date", amount="Amount", currency="Currency", purpose="Description",
            reference="Payment Reference", balance="Running Balance", payer="Payer Name",
            counterparty="Payee Name|Merchant", counterparty_account="Payee Account Number"),
        delimiter=",", decimal=".", dates=("%d-%m-%Y", "%Y-%m-%d"),
    ),
    "monzo": Profile(
        _of(number="Transaction ID", booked_on="Date", amount="Amount", currency="Currency", counterparty="Name",
            kind="Type", purpose="Description", category="Category", note="Notes and #tags"),
        delimiter=",", decimal=".", dates=("%d/%m/%Y", "%Y-%m-%d"), currency="GBP",
    ),
}  # fmt: skip


def bookings(stream: IO[bytes], reading: Reading) -> Found:
    """Bookings; a row that cannot be read is set aside with its line."""
    profile = PROFILES[reading.profile or ""]
    if profile.encoding and not reading.encoding:
        reading = _with_encoding(reading, profile.encoding)
    numbered = enumerate(text_of(stream, reading), 1)
    header, delimiter, account, rest = _header(numbered, profile, reading)
    equals = Equals()
    for line, row in _rows(rest, delimiter):
        if not any(cell.strip() for cell in row):
            continue
        if len(row) != len(header):
            shown = delimiter.join(row)[:1000]
            yield Reject(shown, f"{len(row)} fields instead of {len(header)}", line)
            continue
        try:
            yield _booking(dict(zip(header, (c.strip() for c in row), strict=True)), profile, account, equals)
        except ValueError as error:
            yield Reject(delimiter.join(row)[:1000], str(error), line)


def _with_encoding(reading: Reading, encoding: str) -> Reading:
    from dataclasses import replace

    return replace(reading, encoding=encoding)


Numbered = Iterator[tuple[int, str]]


def _header(
    lines: Numbered, profile: Profile, reading: Reading
) -> tuple[list[str], str, str | None, Numbered]:
    """Names of the columns, what is between them, the account from above, and the lines below."""
    if profile.names:
        return list(profile.names), profile.delimiter, None, lines
    account, first = None, ""
    for _, line in itertools.islice(lines, _SEARCHED):
        text = line.lstrip("\ufeff").strip()
        first = first or text
        for delimiter in profile.delimiters or profile.delimiter:
            names = _distinct(next(csv.reader([text], delimiter=delimiter), []))
            if all(any(one in names for one in wanted) for wanted in profile.header):
                return names, delimiter, account, lines
        account = account or _account(text, profile)
    wanted = " and ".join(repr(names[0]) for names in profile.header)
    raise SourceError(
        f"{reading.name} has no header with {wanted}, as `profile: {reading.profile}` means; it begins with "
        f"{first[:80]!r}",
        f"another profile, or `format: csv`; profiles: {', '.join(PROFILES)}",
    )


def _distinct(names: list[str]) -> list[str]:
    """Of two columns of one name (ING's `Währung`) the second is numbered."""
    found: list[str] = []
    for position, name in enumerate(names, 1):
        plain = name.strip() or f"column_{position}"
        found.append(f"{plain}_{position}" if plain in found else plain)
    return found


def _account(text: str, profile: Profile) -> str | None:
    import re

    if not profile.account or not re.match(profile.account, text):
        return None
    cells = next(csv.reader([text], delimiter=profile.delimiter), [])
    return "".join(cells[1].split()) or None if len(cells) > 1 else None


def _rows(lines: Numbered, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """(line, cells); a quote that is never closed takes its own line only."""
    waiting: list[tuple[int, str]] = []
    while True:
        taken: list[tuple[int, str]] = []

        def more(taken: list[tuple[int, str]] = taken) -> Iterator[str]:
            while True:
                item = waiting.pop(0) if waiting else next(lines, None)
                if item is None:
                    return
                taken.append(item)
                yield item[1]

        try:
            row = next(csv.reader(more(), delimiter=delimiter, strict=True), None)
        except (
            csv.Error
        ):  # quotes within a field, if it is one line; else one that ends only in another booking
            row = next(csv.reader([taken[0][1]], delimiter=delimiter), []) if len(taken) == 1 else None
        if not taken:
            return
        if row is None or len(taken) > 20:  # no booking is as long: a quote that does not end
            waiting[:0] = taken[1:]
            row = [taken[0][1].strip()]
        yield taken[0][0], row


def _booking(row: dict[str, str], profile: Profile, above: str | None, equals: Equals) -> dict[str, Any]:
    cells = {name: _cell(row, names) for name, names in profile.columns.items()}
    if profile.pending and row.get(profile.pending[0]) in profile.pending[1]:
        cells["pending"] = "true"
    amount = number(cells.pop("amount"), profile.decimal)
    booked = day(cells.pop("booked_on") or cells.get("valued_on"), *profile.dates)
    if amount is None or booked is None:
        raise ValueError("a booking without amount or date")
    if profile.negative and row.get(profile.negative[0]) == profile.negative[1]:
        amount = -amount
    own = cells.pop("number", None)
    payer = cells.pop("payer", None)
    if payer and amount > 0:
        cells["counterparty"] = payer
    account = cells.pop("account", None) or above
    known = {one for names in profile.columns.values() for one in names}
    rest = filled((name, value) for name, value in row.items() if name not in known)
    more: dict[str, Any] = {
        **cells,
        "pending": cells.get("pending") == "true",
        "valued_on": day(cells.get("valued_on"), *profile.dates),
        "currency": cells.get("currency") or profile.currency,
        **{name: number(cells[name], profile.decimal) for name in ("balance", "fee") if cells.get(name)},
        "bank_number": own,
        "row": rest,
    }
    return booking(account, booked, amount, own, more, equals)


def _cell(row: dict[str, str], names: tuple[str, ...]) -> str | None:
    return next((row[name] for name in names if row.get(name)), None)


TYPES = {"bank_csv": shared.TYPES}
READERS = {"bank_csv": bookings}

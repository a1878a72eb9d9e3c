"""Connects a source of FinTS: mechanism and medium are chosen, the bank's TAN is typed or said yes to on a phone."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

from dataplatform.connectors.contract import Request
from dataplatform.connectors.fints import Talk
from dataplatform.connectors.fints_client import Bank, bank_of, told
from dataplatform.errors import ConnectionExpiredError, SourceError

_WAIT = 3.0  # seconds between two questions whether a person has said yes, where the bank names none
_LONGEST = 300.0  # seconds that a person has


def connect(request: Request, talk: Talk) -> None:
    """Raises SourceError where the bank refuses, ConnectionExpiredError where nobody says yes in time."""
    bank = bank_of(request)
    with bank.kept.alone(bank.name), told(bank):
        _choose(bank, talk)
        with bank.client:
            _solved(bank, talk, bank.client.init_tan_response, "to sign in")
            accounts = _solved(bank, talk, bank.client.get_sepa_accounts(), "to list the accounts")
            for account in accounts:  # what runs will ask for: now is the time for its TAN
                _solved(bank, talk, bank.client.get_balance(account), f"for the balance of {account.iban}")
                since = date.today() - timedelta(days=bank.connector.days)
                found = bank.client.get_transactions(account, since)
                _solved(bank, talk, found, f"for the bookings of {account.iban}")
        bank.keep()
    talk.tell(f"{len(accounts)} accounts: {', '.join(one.iban for one in accounts)}")


def _choose(bank: Bank, talk: Talk) -> None:
    """The TAN mechanism and its medium: as the metadata say, the only one, or the one that a person names."""
    client = bank.client
    client.fetch_tan_mechanisms()
    there = {str(number): one.name for number, one in client.get_tan_mechanisms().items()}
    if not there:
        bank.must_not_refuse("to let this program in")
    bank.refusals.clear()  # what a bank says of sign-in by PIN alone, which was to learn its mechanisms
    wanted = bank.connector.tan_mechanism
    if wanted is not None or there:
        client.set_tan_mechanism(_one_of(there, wanted, "TAN mechanism", "tan_mechanism", talk))
    if there and client.is_tan_media_required() and not client.selected_tan_medium:
        _, media = client.get_tan_media()
        named = {str(one.tan_medium_name): one for one in media}
        if named:
            chosen = _one_of(dict.fromkeys(named, ""), None, "TAN medium", "tan_medium", talk)
            client.set_tan_medium(named[chosen])


def _one_of(there: Mapping[str, str], wanted: str | None, what: str, field: str, talk: Talk) -> str:
    listed = ", ".join(f"{number} {name}".strip() for number, name in there.items())
    if wanted is None and len(there) == 1:
        return next(iter(there))
    chosen = wanted if wanted is not None else talk.ask(f"which {what}? {listed}").strip()
    if chosen not in there:
        raise SourceError(f"the bank has no {what} {chosen!r}", f"`{field}`; there: {listed or 'none'}")
    return chosen


def _solved(bank: Bank, talk: Talk, answer: Any, what: str) -> Any:
    """The answer, after the TANs that it takes."""
    from fints.client import NeedTANResponse

    first, end = True, time.monotonic() + _LONGEST
    while isinstance(answer, NeedTANResponse):
        if answer.decoupled:
            if first:
                talk.tell(f"{answer.challenge or 'say yes in the app of your bank'} ({what}); waiting …")
            if time.monotonic() > end:
                raise ConnectionExpiredError(
                    f"{bank.where}: nobody said yes within {_LONGEST:.0f} s", bank.again
                )
            time.sleep(_pause(bank, first))
            answer = bank.client.send_tan(answer, "")
        else:
            answer = bank.client.send_tan(answer, talk.ask(_question(answer, what)).strip())
        bank.must_not_refuse("the TAN")
        first = False
    bank.must_not_refuse(what.partition(" ")[2])
    return answer


def _pause(bank: Bank, first: bool) -> float:
    """Seconds, as the bank's parameters say."""
    mechanism = bank.client.get_tan_mechanisms().get(bank.client.get_current_tan_mechanism())
    said = getattr(mechanism, "wait_before_first_poll" if first else "wait_before_next_poll", None)
    return float(said if said is not None else _WAIT)


def _question(answer: Any, what: str) -> str:
    words = f"TAN {what}: {answer.challenge or 'as your bank sends it'}"
    if not answer.challenge_matrix:
        return words
    kind, picture = answer.challenge_matrix
    with tempfile.NamedTemporaryFile("wb", suffix=f".{kind.rpartition('/')[2]}", delete=False) as file:
        file.write(picture)
    return f"{words} (its picture is {file.name})"

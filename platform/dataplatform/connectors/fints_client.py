"""The FinTS client of one source: what is kept of it between runs, and what the bank says told as it is meant.

The library is python-fints (5.x). Kept under `fints/SOURCE`: its state (system id, parameters of bank and user, TAN
mechanism; no PIN), whether the bank wants a person, and a hash of a PIN that it refused: three wrong ones lock an
access, so one that was refused is not tried again.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from dataplatform.connectors.contract import Request, of_kind
from dataplatform.connectors.fints import FintsConnector, FintsEntity
from dataplatform.errors import ConnectionExpiredError, DataplatformError, SourceError, SourceUnavailableError
from dataplatform.secrets.kept import Kept


@dataclass
class Bank:
    """A client with its source. `client`: python-fints'; `refusals`: codes and words of what the bank refused."""

    source: str
    client: Any
    kept: Kept
    pin: str
    connector: FintsConnector
    refusals: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        return f"fints/{self.source}"

    @property
    def where(self) -> str:
        return f"source {self.source}: the bank"

    @property
    def again(self) -> str:
        return f"connect again: dataplatform connect {self.source}"

    def state(self) -> dict[str, Any]:
        return self.kept.get(self.name) or {}

    def keep(self, **more: Any) -> None:
        """Its state as it is now, on the disk."""
        blob = base64.b64encode(self.client.deconstruct(including_private=True)).decode()
        self.kept.put(self.name, {"blob": blob, **more})

    def listen(self) -> None:
        """Notes each code from 9000 on, whoever asked: the library gives nothing then, as if nothing was there."""
        as_it_is = self.client.process_response_message

        def heard(dialog: Any, message: Any, internal_send: bool = True) -> Any:
            for kind in ("HIRMG", "HIRMS"):
                for segment in message.find_segments(kind):
                    found = (one for one in segment.responses if str(one.code).startswith("9"))
                    self.refusals += [f"{one.code} {one.text}" for one in found]
            return as_it_is(dialog, message, internal_send=internal_send)

        self.client.process_response_message = heard

    def must_not_refuse(self, what: str) -> None:
        """Raises SourceError for what the bank has refused since, ConnectionExpiredError where it wants a person."""
        said, self.refusals = list(dict.fromkeys(self.refusals)), []
        if any(one.startswith("9075") for one in said):  # strong authentication
            raise self.wants_a_person(f"for {what}")
        if said:
            raise SourceError(
                f"{self.where} refused {what}: {'; '.join(said)}",
                f"run again later; where it stays so, {self.again}",
            )

    def wants_a_person(self, what: str) -> ConnectionExpiredError:
        """Noted, so that runs do not ask again: each may send something to a person's phone."""
        self.kept.put(self.name, {**self.state(), "wants": what})
        return ConnectionExpiredError(
            f"{self.where} wants a TAN ({what}), which nobody can give in a run by itself", self.again
        )


def bank_of(request: Request) -> Bank:
    """Raises SourceError where the library is missing, or the PIN was refused before."""
    try:
        from fints.client import FinTS3PinTanClient
    except ImportError:
        raise SourceError("FinTS needs the library fints", "pip install 'dataplatform[fints]'") from None
    connector, _ = of_kind(request, FintsConnector, FintsEntity)
    if request.home is None:
        raise SourceError(f"source {request.source.source}: there is no place to keep the bank's state")
    kept, source = Kept(request.home), request.source.source
    pin = request.noted.note(str(request.resolve(connector.pin)))
    user, product = str(request.resolve(connector.user)), str(request.resolve(connector.product_id))
    customer = str(request.resolve(connector.customer)) if connector.customer is not None else None
    state = kept.get(f"fints/{source}") or {}
    client = FinTS3PinTanClient(
        connector.bank, user, pin, connector.url, customer_id=customer, product_id=product,
        tan_medium=connector.tan_medium,
    )  # fmt: skip
    with suppress(Exception):  # of another release of the library: the bank gives all of it again
        client.set_data(base64.b64decode(state.get("blob") or ""))
    client.connection.session.request = partial(client.connection.session.request, timeout=request.timeout)
    found = Bank(source, client, kept, pin, connector)
    found.listen()
    if state.get("refused") == _digest(found):
        raise _refused(found, "it was refused before and is not tried again")
    return found


def _digest(bank: Bank) -> str:
    text = f"{bank.connector.bank}\0{bank.client.user_id}\0{bank.pin}"
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _refused(bank: Bank, why: str) -> SourceError:
    return SourceError(
        f"{bank.where} refuses user or PIN: {why}",
        "set the right PIN (`dataplatform secrets set`), then connect again; three wrong ones lock the access",
    )


@contextmanager
def told(bank: Bank) -> Iterator[None]:
    """For the block, errors of the library are told as ours."""
    from fints import exceptions as theirs

    try:
        yield
    except DataplatformError:
        raise
    except theirs.FinTSClientTemporaryAuthError:
        raise SourceError(
            f"{bank.where} has locked this access", "unlock it on the bank's own page, then connect again"
        ) from None
    except theirs.FinTSClientPINError:
        bank.kept.put(bank.name, {**bank.state(), "refused": _digest(bank)})
        raise _refused(bank, "; ".join(bank.refusals) or "it says no more") from None
    except theirs.FinTSSCARequiredError:
        raise bank.wants_a_person("9075") from None
    except theirs.FinTSConnectionError as error:
        raise SourceUnavailableError(f"{bank.where} does not answer: {error}", "try again later") from None
    except theirs.FinTSUnsupportedOperation as error:
        raise SourceError(
            f"{bank.where} does not do this by FinTS: {error}", "leave the entity out"
        ) from None
    except Exception as error:  # the library raises what it meets; a bank's answers are many
        said = "; ".join(bank.refusals) or f"{type(error).__name__}: {error}"
        raise SourceError(
            f"{bank.where}: {said[:500]}", "check url, bank, user and product_id; then " + bank.again
        ) from None

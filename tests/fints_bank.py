"""A bank that speaks FinTS 3.0 with PIN and TAN, on loopback: dialogs, synchronisation, strong authentication by a typed TAN
or by a yes on a phone, accounts, balance, bookings in parts. It takes nothing that is not signed with the right PIN."""

from __future__ import annotations

import base64
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any

from conftest import serving
from fints.types import SegmentSequence

BLZ, USER, PRODUCT, BIC = "12345678", "ann", "0123456789ABCDEF012345678", "TESTDE88XXX"
IBANS = {"DE02120300000000202051": "202051", "DE02500105170137075030": "137075030"}
# function, process, ids, name, lengths and rules…, then what only a mechanism on another device has
TYPED = ["942", "2", "MTAN2", "mobileTAN", "1.0", "mobile TAN", "6", "1", "SMS", "256", "N", "1", "N", "0", "0", "N", "N", "00", "0", "N", "1", "", "", "", "", ""]  # fmt: skip
PUSHED = ["946", "2", "PUSH", "Decoupled", "1.0", "push TAN", "6", "1", "push", "256", "N", "1", "N", "0", "0", "N", "N", "00", "0", "N", "1", "60", "0", "0", "N", "J"]  # fmt: skip


@dataclass
class FintsBank:
    """`trusts`: systems that need no TAN for now; `yes`: how many questions it takes until the phone has said yes."""

    pin: str = "12345"
    tan: str = "987654"
    yes: int = 2
    systems: set[str] = field(default_factory=set)
    trusts: set[str] = field(default_factory=set)
    bookings: list[tuple[str, str, str]] = field(default_factory=list)  # (day YYMMDD, amount `D12,50`, text)
    dialogs: dict[str, dict[str, Any]] = field(default_factory=dict)
    wrong_pins: int = 0
    asked: list[str] = field(default_factory=list)
    refuses: str = ""
    url: str = ""

    def answer(self, message: bytes) -> bytes:
        found = SegmentSequence(message)
        head = found.find_segment_first("HNHBK")
        dialog_id = str(head.dialog_id)
        if dialog_id == "0":
            dialog_id = f"dialog{len(self.dialogs):06}"
            self.dialogs[dialog_id] = {"system": "0", "pending": {}}
        inner = Answer(self, self.dialogs[dialog_id], found).segments()
        return wrapped(inner, dialog_id, int(head.message_number))


class Answer:
    """The segments that answer one message."""

    def __init__(self, bank: FintsBank, dialog: dict[str, Any], message: SegmentSequence) -> None:
        self.bank, self.dialog, self.message = bank, dialog, message
        self.parts: list[bytes] = []
        self.function = str(message.find_segment_first("HNSHK").security_function)
        self.signature = message.find_segment_first("HNSHA").user_defined_signature

    def add(self, kind: str, version: int, rest: bytes | str, to: Any = None) -> None:
        ref = f":{to.header.number}" if to is not None else ""
        text = rest if isinstance(rest, bytes) else rest.encode("iso-8859-1")
        self.parts.append(f"{kind}:{len(self.parts) + 2}:{version}{ref}+".encode() + text + b"'")

    def segments(self) -> bytes:
        if str(self.signature.pin) != self.bank.pin:
            self.bank.wrong_pins += 1
            code = "3938::Zugang gesperrt" if self.bank.wrong_pins > 3 else "9910::PIN falsch"
            self.add("HIRMG", 2, f"9050::Teilweise fehlerhaft+{code}")
            return b"".join(self.parts)
        self.add("HIRMG", 2, "0010::Nachricht entgegengenommen")
        for segment in self.message.find_segments():
            kind = segment.header.type
            if kind.startswith("HK"):
                self.bank.asked.append(kind)
                getattr(self, f"on_{kind}")(segment)
        return b"".join(self.parts)

    def on_HKIDN(self, segment: Any) -> None:
        assert str(segment.bank_identifier.bank_code) == BLZ
        self.dialog["system"] = str(segment.system_id)
        assert self.dialog["system"] == "0" or self.dialog["system"] in self.bank.systems

    def on_HKVVB(self, segment: Any) -> None:
        if str(segment.product_name) != PRODUCT:
            self.add("HIRMS", 2, "9078::Produkt nicht registriert", segment)
            return
        self.add("HIRMS", 2, "3920::Zugelassene TAN-Verfahren:942:946+0020::Dialog angelegt", segment)
        mechanisms = ":".join(TYPED + PUSHED)
        for kind, version, rest in (
            ("HIBPA", 3, f"5+280:{BLZ}+Testbank+1+1+300+500"), ("HISPAS", 1, "1+1+1+J:J:N:sepade?:xsd?:pain.001.001.02.xsd"),
            ("HISALS", 7, "1+1+1"), ("HIKAZS", 7, "1+1+1+365:J:N"), ("HITANS", 7, f"1+1+1+J:N:0:{mechanisms}"),
            ("HIPINS", 1, "1+1+1+5:20:6:User::HKSPA:N:HKSAL:J:HKKAZ:J"), ("HIUPA", 4, f"{USER}+3+0"),
        ):  # fmt: skip
            self.add(kind, version, rest, segment)
        for iban, number in IBANS.items():
            self.add("HIUPD", 6, f"{number}::280:{BLZ}+{iban}+{USER}+1+EUR+Ann Test++Girokonto++HKSPA:1+HKSAL:1+HKKAZ:1", segment)  # fmt: skip

    def on_HKSYN(self, segment: Any) -> None:
        self.dialog["system"] = f"system{len(self.bank.systems):04}"
        self.bank.systems.add(self.dialog["system"])
        self.add("HISYN", 4, self.dialog["system"], segment)

    def on_HKTAN(self, segment: Any) -> None:
        process = str(segment.tan_process)
        if process == "4":
            self._may(segment)
        elif process == "2":
            self._typed(segment)
        elif process == "S":
            self._confirmed(segment)

    def _may(self, segment: Any) -> None:
        command = next(
            (one for one in self.message.find_segments() if one.header.type in ("HKSAL", "HKKAZ")), None
        )
        if self.dialog["system"] in self.bank.trusts:
            self.add("HIRMS", 2, "3076::Keine starke Authentifizierung erforderlich", segment)
            if command is not None:
                self._do(command)
            return
        reference = f"ref{len(self.dialog['pending'])}"
        self.dialog["pending"][reference] = command
        pushed = self.function == "946"
        code = "3955::Freigabe auf dem Telefon" if pushed else "0030::Auftrag empfangen"
        self.add("HIRMS", 2, code, segment)
        self.add(
            "HITAN",
            7,
            f"4++{reference}+{'Bitte in der App freigeben' if pushed else 'TAN aus der SMS'}",
            segment,
        )

    def _typed(self, segment: Any) -> None:
        if str(self.signature.tan) != self.bank.tan:
            self.add("HIRMS", 2, "9941::TAN ungueltig", segment)
            return
        self._released(segment)

    def _confirmed(self, segment: Any) -> None:
        self.bank.yes -= 1
        self.add("HITAN", 7, f"S++{segment.task_reference}", segment)
        if self.bank.yes > 0:
            self.add("HIRMS", 2, "3956::Noch nicht freigegeben", segment)
            return
        self._released(segment)

    def _released(self, segment: Any) -> None:
        self.add("HIRMS", 2, "0020::Auftrag ausgefuehrt", segment)
        self.bank.trusts.add(self.dialog["system"])
        command = self.dialog["pending"].pop(str(segment.task_reference))
        if command is not None:
            self._do(command)

    def on_HKSPA(self, segment: Any) -> None:
        each = (f"J:{iban}:{BIC}:{number}::280:{BLZ}" for iban, number in IBANS.items())
        self.add("HISPA", 1, "+".join(each), segment)

    def on_HKSAL(self, segment: Any) -> None:
        """With its HKTAN, which says whether it is done."""
        if self.function == "999":
            self._do(segment)

    on_HKKAZ = on_HKSAL

    def on_HKEND(self, segment: Any) -> None:
        self.add("HIRMS", 2, "0100::Dialog beendet", segment)

    def _do(self, segment: Any) -> None:
        if self.bank.refuses == segment.header.type:
            self.add("HIRMS", 2, "9130::Auftrag wegen Wartung abgelehnt", segment)
            return
        iban = str(segment.account.iban)
        if segment.header.type == "HKSAL":
            about = f"{iban}:{BIC}:{IBANS[iban]}::280:{BLZ}+Girokonto+EUR+C:1223,57:EUR:20261128"
            self.add("HISAL", 7, about, segment)
            return
        since = f"{segment.date_start:%y%m%d}"
        mine = [one for one in self.bank.bookings if one[0] >= since] if iban == next(iter(IBANS)) else []
        first = int(segment.touchdown_point or 0)
        if first + 2 < len(mine):
            self.add("HIRMS", 2, f"3040::Es liegen weitere Informationen vor:{first + 2}", segment)
        text = statement(IBANS[iban], mine[first : first + 2])
        self.add("HIKAZ", 7, f"@{len(text)}@".encode() + text, segment)


def statement(number: str, bookings: list[tuple[str, str, str]]) -> bytes:
    """MT940 as German banks write it; empty where nothing was booked."""
    if not bookings:
        return b""
    lines = ["", ":20:STARTUMS", f":25:{BLZ}/{number}", ":28C:0", ":60F:C260101EUR1000,00"]
    for day, amount, text in bookings:
        lines += [f":61:{day}{day[2:]}{amount}NMSCNONREF", f":86:177?00UEBERWEISUNG?20SVWZ+{text}?32Bäcker"]
    return "\r\n".join([*lines, ":62F:C261128EUR1223,57", "-", ""]).encode("iso-8859-1")


def wrapped(inner: bytes, dialog_id: str, number: int) -> bytes:
    def whole(size: int) -> bytes:
        head = f"HNHBK:1:3+{size:012}+300+{dialog_id}+{number}+{dialog_id}:{number}'"
        key = f"HNVSK:998:3+PIN:1+998+1+2::0+1+2:2:13:@8@00000000:5:1+280:{BLZ}:{USER}:V:0:0+0'"
        tail = f"HNHBS:99:1+{number}'"
        return f"{head}{key}HNVSD:999:1+@{len(inner)}@".encode() + inner + b"'" + tail.encode()

    return whole(len(whole(0)))


@contextmanager
def open_bank(bank: FintsBank) -> Iterator[FintsBank]:
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            message = base64.b64decode(self.rfile.read(int(self.headers["Content-Length"])))
            with lock:
                said = base64.b64encode(bank.answer(message))
            self.send_response(200)
            self.send_header("Content-Length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with serving(Handler) as where:
        bank.url = f"http://{where}/fints"
        yield bank

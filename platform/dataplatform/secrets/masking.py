"""Secrets are masked wherever they would be written: raw, errors, logs, output; in any way they may be written there.

Whoever learns a secret notes it (`Noted.note`). What is noted in this process is masked in texts: log records (of all
libraries), errors of moves and of commands. What a source's requests use is masked in what that source delivers.

A value shorter than SHORTEST characters is masked only where a request is described: in data it would hit what is none
of it. `check` says so.
"""

from __future__ import annotations

import base64
import json
import logging
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property, wraps
from html import escape
from typing import Any, ParamSpec, TypeVar
from urllib.parse import quote, quote_plus, unquote

from dataplatform.errors import TerminalError

MASK = "***"
SHORTEST = 6  # characters; shorter ones are words and numbers of their own
_CORE = 6  # characters of base64 that are enough to know a secret by
_WORD = r"[A-Za-z0-9+/_-]"

_PASSWORD = re.compile(r"[a-z][a-z0-9+.-]*://[^/@\s:]*:(?P<password>[^@\s]+)@", re.I)

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True)
class Masker:
    """Masks these values in text, bytes and JSON values."""

    values: frozenset[str]

    @cached_property
    def needles(self) -> tuple[str, ...]:
        """Every way in which a value may be written, longest first."""
        found = {way for value in self.values if len(value) >= SHORTEST for way in ways(value)}
        return tuple(sorted(found, key=lambda way: (-len(way), way)))

    @cached_property
    def cores(self) -> tuple[str, ...]:
        """What base64 makes of a value wherever it begins: the word around it is masked as a whole."""
        return tuple(sorted({core for v in self.values if len(v) >= SHORTEST for core in base64_cores(v)}))

    @cached_property
    def _text(self) -> re.Pattern[str] | None:
        parts = [f"{_WORD}*(?:{'|'.join(map(re.escape, self.cores))}){_WORD}*=*"] if self.cores else []
        parts += map(re.escape, self.needles)
        return re.compile("|".join(parts)) if parts else None

    @cached_property
    def _signs(self) -> tuple[bytes, ...]:
        """What a text holds that holds a value: a look for each costs a pass at the speed of memory."""
        signs = {sign for value in self.values if len(value) >= SHORTEST for sign in _signs_of(value)}
        return tuple(sign.encode("utf-8", "surrogatepass") for sign in sorted(signs))

    def text(self, text: str) -> str:
        return self._text.sub(MASK, text) if self._text else text

    def lines(self, lines: list[bytes]) -> list[bytes]:
        """Lines of JSON; those that hold a secret are masked and stay JSON."""
        return [self._line(line) if self._may_be_in(line) else line for line in lines]

    def data(self, data: bytes) -> bytes:
        """Whatever it is: a line of a file, say."""
        if not self._may_be_in(data):
            return data
        return self.text(data.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")

    def found_in(self, data: bytes) -> bool:
        if self._text is None or not self._may_be_in(data):
            return False
        return self._text.search(data.decode("utf-8", "surrogateescape")) is not None

    def _may_be_in(self, data: bytes) -> bool:
        return any(sign in data for sign in self._signs)

    def value(self, value: Any) -> Any:
        """Any JSON value, names of fields included."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return {self.text(str(k)): self.value(v) for k, v in value.items()}
        if isinstance(value, list | tuple):
            return [self.value(item) for item in value]
        if isinstance(value, int | float) and not isinstance(value, bool) and str(value) in self.values:
            return MASK
        return value

    def _line(self, line: bytes) -> bytes:
        masked = self.data(line)
        try:
            json.loads(masked)
        except ValueError:
            try:  # it stood there as a number
                return json.dumps(self.value(json.loads(line)), ensure_ascii=False).encode(
                    "utf-8", "surrogatepass"
                )
            except ValueError:
                return masked  # no JSON before either
        return masked


def ways(value: str) -> set[str]:
    """How a value is written: plainly, in URLs, JSON, HTML, hexadecimal; and again in a text of JSON or a URL.

    >>> sorted(ways("a/b c+d"))[:3]
    ['612f6220632b64', 'a%252Fb%2520c%252Bd', 'a%252fb%2520c%252bd']
    """
    once = {value, *_url(value), *_json(value), escape(value), repr(value)[1:-1]}
    again = {text for way in once for text in (*_url(way), *_json(way))} if once != {value} else set()
    return once | again | {value.encode("utf-8", "surrogatepass").hex()}


def _signs_of(value: str) -> set[str]:
    """Letters and digits in a row stay what they are, but in hexadecimal and base64; without them, all ways."""
    run = max(re.findall(r"[A-Za-z0-9]+", value), key=len, default="")
    if len(run) < SHORTEST:
        return ways(value) | base64_cores(value)
    return {run, value.encode("utf-8", "surrogatepass").hex(), *base64_cores(value)}


def _url(text: str) -> set[str]:
    data = text.encode("utf-8", "surrogatepass")
    made = {quote(data, safe=""), quote(data), quote(data, safe="~!*'()/:@,;=+$&"), quote_plus(data)}
    return made | {re.sub(r"%[0-9A-F]{2}", lambda m: m[0].lower(), way) for way in made}


def _json(text: str) -> set[str]:
    made = {json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1]}
    return made | {way.replace("/", "\\/") for way in made}


def base64_cores(value: str) -> set[str]:
    """The part of base64 that does not depend on what stands before and after, for each of the three ways to begin."""
    data, found = value.encode("utf-8", "surrogatepass"), set()
    for shift in range(3):
        text = base64.b64encode(b"\0" * shift + data).decode().rstrip("=")
        whole = (shift + len(data)) * 8 // 6  # characters that no following byte changes
        core = text[-(-shift * 8 // 6) : whole]
        if len(core) >= _CORE:
            found |= {core, core.replace("+", "-").replace("/", "_")}
    return found


@dataclass(eq=False)
class Noted:
    """Values that are not to be written. What is noted for one source is noted for the process as well."""

    parent: Noted | None = None
    _masker: Masker = field(default=Masker(frozenset()), repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def note(self, value: str) -> str:
        """The value, which is masked from now on."""
        if value and value not in self._masker.values:
            with self._lock:
                self._masker = Masker(self._masker.values | {value})
        if self.parent is not None:
            self.parent.note(value)
        return value

    def note_url(self, url: str) -> str:
        """The URL, whose password is masked from now on, as it stands there and as it is meant."""
        for found in _PASSWORD.finditer(url):
            self.note(found["password"])
            self.note(unquote(found["password"]))
        return url

    @property
    def masker(self) -> Masker:
        return self._masker


PROCESS = Noted()  # of the process, as logging and its standard error are


@contextmanager
def masked_errors(noted: Noted = PROCESS) -> Iterator[None]:
    """Errors that leave the block say no secret."""
    try:
        yield
    except BaseException as error:
        mask_error(error, noted.masker)
        if _tells(error, noted.masker):
            raise TerminalError(noted.masker.text(f"{type(error).__name__}: {error}")) from None
        raise


def without_secrets(function: Callable[P, T]) -> Callable[P, T]:
    """The function, whose errors say no secret."""

    @wraps(function)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> T:
        with masked_errors():
            return function(*args, **kwargs)

    return guarded


def mask_error(error: BaseException, masker: Masker) -> None:
    """Masks an error's words in place, and those of the errors that it came from."""
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        one = waiting.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        waiting += [one.__cause__, one.__context__]
        if isinstance(one, BaseExceptionGroup):
            waiting += one.exceptions
        _mask_one(one, masker)


def _mask_one(error: BaseException, masker: Masker) -> None:
    error.args = tuple(masker.text(a) if isinstance(a, str) else a for a in error.args)
    for name, value in list(vars(error).items()):
        if isinstance(value, str):
            setattr(error, name, masker.text(value))


def _tells(error: BaseException, masker: Masker) -> bool:
    """Whether an error's words, masked as they are, still hold a secret: some make them of what they hold."""
    return masker.found_in(str(error).encode("utf-8", "surrogatepass"))


def _mask_record(record: logging.LogRecord, masker: Masker) -> None:
    error = record.exc_info[1] if isinstance(record.exc_info, tuple) else None
    if error is not None:
        mask_error(error, masker)
        record.exc_info = None if _tells(error, masker) else record.exc_info
    try:
        text = record.getMessage()
    except Exception:  # logging tells of a wrong format by itself, when the record is written
        return
    if masker.found_in(text.encode("utf-8", "surrogatepass")):
        record.msg, record.args = masker.text(text), ()


@contextmanager
def masked_logs(noted: Noted = PROCESS) -> Iterator[None]:
    """For the block no log record of this process, whoever writes it, holds a secret."""
    before = logging.getLogRecordFactory()

    def record(*args: Any, **kwargs: Any) -> logging.LogRecord:
        made, masker = before(*args, **kwargs), noted.masker
        if masker.needles:
            _mask_record(made, masker)
        return made

    logging.setLogRecordFactory(record)
    try:
        yield
    finally:
        if logging.getLogRecordFactory() is record:
            logging.setLogRecordFactory(before)

"""Secrets are masked wherever they would be written: raw, errors, logs, output; in any way they may be written there.

Whoever learns a secret notes it (`Noted.note`). What is noted in this process is masked in texts: log records (of all
libraries), errors of moves and of commands. What a source's requests use is masked in what that source delivers.

A value shorter than SHORTEST characters is masked only where a request is described: in data it would hit what is none
of it. The log says so. Of one of LONG characters that is cut off at the end of a text, as servers cut what they
echo, three quarters are enough.
"""

from __future__ import annotations

import json
import logging
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property, wraps
from typing import Any, ParamSpec, TypeVar
from urllib.parse import unquote

from dataplatform.errors import TerminalError
from dataplatform.secrets.patterns import (
    as_base64,
    base64_cores,
    cut_off,
    least_of,
    signs_of,
    word_around,
    written,
)

MASK = "***"
SHORTEST = 6  # characters; shorter ones are words and numbers of their own
_PASSWORD_IN_URL = re.compile(  # to the host's @: a password may hold one that nobody wrote as %40
    r"(?P<head>[a-z][a-z0-9+.-]*://[^/@\s:]*:)(?P<password>[^@\s]+(?:@[^@\s/?#,\"']+)*)(?=@)", re.I
)

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True)
class Masker:
    """Masks these values in text, bytes and JSON values."""

    values: frozenset[str]

    @cached_property
    def needles(self) -> tuple[str, ...]:
        """The values that can be told from other text, longest first."""
        long = (value for value in self.values if len(value) >= SHORTEST)
        return tuple(sorted(long, key=lambda value: (-len(value), value)))

    @cached_property
    def _text(self) -> re.Pattern[str] | None:
        cores = {core for value in self.needles for core in base64_cores(value)}
        parts = [f"(?P<base64>{'|'.join(map(as_base64, sorted(cores)))})"] if cores else []
        parts += [written(value) for value in self.needles]
        parts += [cut_off(value) for value in self.needles if least_of(value) < len(value)]
        return re.compile("|".join(parts)) if parts else None

    @cached_property
    def _signs(self) -> tuple[str, ...]:
        """What a text holds that holds a value: a look for each costs a pass at the speed of memory."""
        return tuple(sorted({sign for value in self.needles for sign in signs_of(value)}))

    @cached_property
    def _byte_signs(self) -> tuple[bytes, ...]:
        return tuple(sign.encode() for sign in self._signs)

    def text(self, text: str) -> str:
        if not any(sign in text for sign in self._signs):
            return text
        return "".join(self._pieces(text))

    def _pieces(self, text: str) -> Iterator[str]:
        """What stands between the values, and a mask for each; of base64 the word around it goes, too."""
        assert self._text is not None  # there is a sign of a value
        end = 0
        while (found := self._text.search(text, end)) is not None:
            start, stop = found.span()
            if found["base64"]:
                start, stop = word_around(text, start, stop, end)
            yield text[end:start]
            yield MASK
            end = stop
        yield text[end:]

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
        return any(sign in data for sign in self._byte_signs)

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
        if masked == line or _is_json(masked) or not _is_json(line):
            return masked
        # it stood there as a number, or began inside of an escape
        text = _TOKEN.sub(lambda found: self._token(found[0]), line.decode("utf-8", "surrogatepass"))
        return text.encode("utf-8", "surrogatepass")

    def _token(self, token: str) -> str:
        """A text or a number of JSON; one without a secret stays as it is written, to the last digit."""
        if not token.startswith('"'):
            return f'"{MASK}"' if token in self.values else token
        text = json.loads(token, strict=False)
        masked = self.text(text)
        return token if masked == text else json.dumps(masked, ensure_ascii=False)


_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|-?[0-9][0-9.eE+-]*', re.DOTALL)


def _is_json(line: bytes) -> bool:
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return False
    return True


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
        for found in _PASSWORD_IN_URL.finditer(url):
            self.note(found["password"])
            self.note(unquote(found["password"]))
        return url

    def note_parts(self, value: str) -> str:
        """A secret that holds others (a URL with a password, a key of several lines, a JSON file of credentials)."""
        for part in _parts(value):
            self.note(part)
        return self.note_url(value)

    def note_config(self, config: Mapping[str, Any]) -> None:
        """What a configuration for somebody else's program holds as it is: texts that are called a token or a
        password, and passwords in URLs. A field's name (`replication_key: updated_at`) is none."""
        for name, value in config.items():
            if isinstance(value, Mapping):
                self.note_config(value)
            elif isinstance(value, str):
                self.note_url(value)
                if _CONFIGURED.search(name):
                    self.note(value)

    @property
    def masker(self) -> Masker:
        return self._masker


_LINE = 16  # characters of a line of a key that is known by itself
_CREDENTIAL = re.compile("key|secret|token|passw", re.I)
_CONFIGURED = re.compile("secret|token$|passw|(api|private|access|auth).?key", re.I)


def _parts(value: str) -> Iterator[str]:
    lines = value.splitlines()
    if len(lines) > 1:
        yield from (line for line in map(str.strip, lines) if len(line) >= _LINE and "-----" not in line)
    if value.lstrip().startswith("{"):
        try:
            yield from _credentials(json.loads(value))
        except ValueError:
            return


def _credentials(document: Any, named: bool = False) -> Iterator[str]:
    """Texts of a JSON document whose names say that they are secret, and their lines."""
    if isinstance(document, dict):
        for name, value in document.items():
            yield from _credentials(value, bool(_CREDENTIAL.search(name)) and "uri" not in name)
    elif isinstance(document, list):
        for value in document:
            yield from _credentials(value, named)
    elif named and isinstance(document, str):
        yield document
        yield from _parts(document) if "\n" in document else ()


def redact(text: str) -> str:
    """The text without passwords of URLs, noted or not."""
    return _PASSWORD_IN_URL.sub(rf"\g<head>{MASK}", text)


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
        if any(_tells(one, noted.masker) for one in _chain(error)):
            raise error from None
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
    for one in _chain(error):
        _mask_one(one, masker)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error, those it came from and those it holds, each once."""
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
        yield one


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
        record.exc_info = None if any(_tells(e, masker) for e in _chain(error)) else record.exc_info
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

"""How the text of a file is encoded: declared, told by a byte order mark, or guessed; and its text as UTF-8.

Bytes that the encoding does not know become lone surrogates: whoever reads the text sets those lines aside.
"""

from __future__ import annotations

import codecs
import io
from dataclasses import dataclass
from typing import IO, Any

from dataplatform.errors import SourceError

LOOKED_AT = 256 * 1024  # bytes of a file that a guess rests upon
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16's: it begins with it
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# what people's programs write, where it is not Unicode
_OLD = (
    "cp1252", "cp1250", "cp1251", "cp1253", "cp1254", "cp1255", "cp1256", "cp1257", "koi8_r", "cp437", "mac_roman",
    "shift_jis", "euc_jp", "gb18030", "big5", "euc_kr",
)  # fmt: skip
_USUAL = "cp1252"
_KEEP = "dataplatform.keep"


def keeping() -> str:
    """Name of the way that keeps undecodable bytes as lone surrogates, whatever their value."""
    codecs.register_error(_KEEP, _kept)
    return _KEEP


def _kept(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    bad = error.object[error.start : error.end] or error.object[error.start : error.start + 1]
    return "".join(chr(0xDC00 + byte) for byte in bad), error.start + len(bad)


@dataclass(frozen=True)
class Encoding:
    """A codec of Python, as people know it; `guessed`: nobody said so, neither a person nor the file."""

    codec: str
    guessed: bool = False

    @property
    def name(self) -> str:
        return {"cp1252": "windows-1252", "utf-8-sig": "utf-8"}.get(self.codec, self.codec)

    @property
    def is_utf8(self) -> bool:
        return self.codec in ("utf-8", "utf-8-sig")


def declared(name: str, head: bytes = b"") -> Encoding:
    """The encoding that a person named, of text that begins so. Raises SourceError for a name that nobody knows."""
    try:
        codec = codecs.lookup(name).name
        "".encode(codec)
    except LookupError:
        raise SourceError(
            f"there is no encoding {name!r}", "write utf-8, windows-1252, latin-1, utf-16, shift_jis, …"
        ) from None
    marked = next((c for mark, c in _MARKS if head.startswith(mark)), "")
    if codec == "utf-8" or (marked and codec.startswith(marked)):
        return Encoding(marked if codec != "utf-8" else "utf-8-sig")  # the mark is no part of the text
    if codec in ("utf-16", "utf-32"):  # without a mark Python reads no UTF-16
        wide = _wide(head)
        return Encoding(wide if wide.startswith(codec) else f"{codec}-le")
    return Encoding(codec)


def found(head: bytes, unicode_only: bool = False) -> Encoding:
    """The encoding of text that begins so. `unicode_only`: JSON is written in no other.

    >>> found("Zürich".encode("cp1252")).name, found("Zürich".encode()).name
    ('windows-1252', 'utf-8')
    """
    for mark, codec in _MARKS:
        if head.startswith(mark):
            return Encoding(codec)
    if wide := _wide(head):
        return Encoding(wide, guessed=True)
    if unicode_only or _is_utf8(head):
        return Encoding("utf-8")
    return Encoding(_old(head), guessed=True)


def _wide(head: bytes) -> str:
    """UTF-16 or UTF-32 without a mark: of Western text and of JSON most high bytes are 0. Empty where it is neither."""
    sample = head[: min(len(head), 4096) // 4 * 4] or (head if len(head) == 2 else b"")
    if b"\0" not in sample:
        return ""
    zeros = [sample[at::4].count(0) * 4 / len(sample) for at in range(4)]
    if sum(zeros) > 2.5:
        return "utf-32-le" if zeros[0] < 0.5 else "utf-32-be"
    even, odd = zeros[0] + zeros[2], zeros[1] + zeros[3]
    if max(even, odd) > 0.8 and min(even, odd) < 0.1:
        return "utf-16-le" if odd > even else "utf-16-be"
    return ""


def _is_utf8(head: bytes) -> bool:
    """Whether it is UTF-8, a few broken places aside; a character cut off at the end is none."""
    text = codecs.getincrementaldecoder("utf-8")(keeping()).decode(head)
    broken = sum("\udc80" <= c <= "\udcff" for c in text)
    return not broken or sum(c > "\x7f" for c in text) - broken > 10 * broken


def _old(head: bytes) -> str:
    """The likeliest of the encodings before Unicode; the usual one where another is no better."""
    from charset_normalizer import from_bytes  # only where a file is not Unicode

    results = list(from_bytes(head, cp_isolation=list(_OLD)))
    if not results:
        return _USUAL
    best = results[0]
    for result in results:
        same = _USUAL in (result.encoding, *result.could_be_from_charset)
        if same and result.chaos <= best.chaos + 0.02 and result.coherence >= best.coherence - 0.02:
            return _USUAL
    return str(best.encoding)


def peeked(stream: IO[bytes], size: int = LOOKED_AT) -> tuple[bytes, IO[bytes]]:
    """The beginning of a stream, and a stream that still has it."""
    head = stream.read(size)
    return head, io.BufferedReader(_Joined(head, stream), 1 << 20)


class _Joined(io.RawIOBase):
    """Bytes that were read, then the rest of their stream."""

    def __init__(self, head: bytes, rest: IO[bytes]) -> None:
        self._head, self._rest = memoryview(head), rest

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        size = len(buffer)
        if self._head:
            block: Any = self._head[:size]
            self._head = self._head[size:]
        else:
            block = self._rest.read(size)
        buffer[: len(block)] = block
        return len(block)


def text_of(stream: IO[bytes], encoding: Encoding) -> io.TextIOWrapper:
    """The text; line ends stay."""
    return io.TextIOWrapper(stream, encoding=encoding.codec, errors=keeping(), newline="")


def as_utf8(stream: IO[bytes], encoding: Encoding) -> IO[bytes]:
    """The text in UTF-8, without a mark; what the encoding does not know is ill-formed there, too."""
    return io.BufferedReader(_Transcoded(text_of(stream, encoding)), 1 << 20)


class _Transcoded(io.RawIOBase):
    def __init__(self, text: io.TextIOWrapper) -> None:
        self._text, self._waiting = text, b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._waiting:
            self._waiting = self._text.read(1 << 18).encode("utf-8", "surrogatepass")
        block = self._waiting[: len(buffer)]
        self._waiting = self._waiting[len(block) :]
        buffer[: len(block)] = block
        return len(block)

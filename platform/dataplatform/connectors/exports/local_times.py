"""Times as Google writes them for people: `5 janv. 2026, 09:00:00 CET`. Months by their words in many languages.

What cannot be told for sure (an unknown zone, `5/1/2026`) is a ValueError in words, never a guess: libraries that
guess languages (dateparser) take one for the other.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo

# of Unicode's CLDR: English, German, Dutch, French, Spanish, Italian, Portuguese, Swedish, Danish, Norwegian; a name
# may be cut short after three letters
_MONTHS = (
    "january januar jänner januari janvier enero gennaio janeiro",
    "february februar februari février fevrier febrero febbraio fevereiro",
    "march märz maart mrt mars marzo março marts",
    "april avril abril aprile",
    "may mai mei mayo maggio maio maj",
    "june juni juin junio giugno junho",
    "july juli juillet julio luglio julho",
    "august augustus août aout agosto augusti",
    "september septembre septiembre settembre setembro",
    "october oktober octobre octubre ottobre outubro",
    "november novembre noviembre novembro",
    "december dezember décembre decembre diciembre dicembre dezembro desember",
)
# hours from UTC of short names that mean one zone only
_ZONES = {
    "UTC": 0, "GMT": 0, "Z": 0, "WET": 0, "WEZ": 0, "WEST": 1, "WESZ": 1, "BST": 1, "CET": 1, "MEZ": 1, "CEST": 2,
    "MESZ": 2, "EET": 2, "OEZ": 2, "EEST": 3, "OESZ": 3, "MSK": 3, "EST": -5, "EDT": -4, "CDT": -5, "MST": -7,
    "MDT": -6, "PST": -8, "PDT": -7, "AKST": -9, "AKDT": -8, "HST": -10, "JST": 9, "AEST": 10, "AEDT": 11, "BRT": -3,
}  # fmt: skip
_CLOCK = re.compile(r"(?<![\d.])(\d{1,2})[:.h](\d{2})[:.](\d{2})(?!\.?\d)(?:\s*([ap])\.?\s?m\b\.?)?", re.I)
_ISO = re.compile(r"(?P<year>\d{4})-(?P<month>\d{1,2})-(?P<day>\d{1,2})")
_NUMBERS = re.compile(r"(?P<first>\d{1,2})(?P<sign>[./-])\s?(?P<second>\d{1,2})(?P=sign)\s?(?P<year>\d{4})")
_DAY_FIRST = re.compile(
    r"(?P<day>\d{1,2})\.?\s+(?:de\s+)?(?P<word>[^\W\d]{3,})\.?,?\s+(?:de\s+)?(?P<year>\d{4})"
)
_MONTH_FIRST = re.compile(r"(?P<word>[^\W\d]{3,})\.?\s+(?P<day>\d{1,2}),?\s+(?P<year>\d{4})")
_OFFSET = re.compile(r"(?:UTC|GMT)?\s?([+\u2212-])(\d{1,2}):?(\d{2})?$")


def local_time(text: str, zone: tzinfo | None = None, dates: str | None = None) -> str:
    """In UTC, as ISO. `zone`: where the text names none that means one place; `dates`: `dmy` or `mdy`.

    Raises ValueError.

    >>> local_time("Jan 5, 2026, 9:00:00\u202fPM CET"), local_time("05.07.2026, 09:00:00 MESZ")
    ('2026-01-05T20:00:00+00:00', '2026-07-05T07:00:00+00:00')
    """
    plain = " ".join(text.split())
    clock = _CLOCK.search(plain)
    if clock is None:
        raise ValueError(f"{plain[:80]!r} has no time of day such as 09:00:00")
    before, after = plain[: clock.start()], plain[clock.end() :].strip(" ,")
    year, month, day = _date(before if any(sign.isdigit() for sign in before) else after, dates)
    hour = _hour(int(clock[1]), (clock[4] or "").lower())
    naive = datetime(year, month, day, hour, int(clock[2]), int(clock[3]))
    return _placed(naive, after.split(" ")[-1] if after else "", zone).astimezone(UTC).isoformat()


def _hour(hour: int, half: str) -> int:
    if half and not 1 <= hour <= 12:
        raise ValueError(f"{hour} {half}m is no hour")
    return hour % 12 + 12 * (half == "p") if half else hour


def _date(text: str, dates: str | None) -> tuple[int, int, int]:
    if found := _ISO.search(text):
        return int(found["year"]), int(found["month"]), int(found["day"])
    if found := _NUMBERS.search(text):
        return int(found["year"]), *_ordered(found, dates)
    for pattern in (_DAY_FIRST, _MONTH_FIRST):
        if found := pattern.search(text):
            return int(found["year"]), _month(found["word"]), int(found["day"])
    raise ValueError(f"{text.strip()[:80]!r} is no date that is known here")


def _ordered(found: re.Match[str], dates: str | None) -> tuple[int, int]:
    """(month, day); with dots the day is first everywhere."""
    first, second = int(found["first"]), int(found["second"])
    if found["sign"] == "." or dates == "dmy" or first > 12:
        return second, first
    if dates == "mdy" or second > 12:
        return first, second
    raise ValueError(
        f"{found[0]!r} may have the day or the month first; `dates: dmy` or `dates: mdy` says it"
    )


def _month(word: str) -> int:
    plain = word.casefold()
    found = {
        number for number, names in enumerate(_MONTHS, 1) for one in names.split() if one.startswith(plain)
    }
    if len(found) != 1:
        raise ValueError(f"{word!r} is no month in a language that is known here")
    return found.pop()


def _placed(naive: datetime, name: str, zone: tzinfo | None) -> datetime:
    if found := _OFFSET.fullmatch(name):
        shift = timedelta(hours=int(found[2]), minutes=int(found[3] or 0))
        return naive.replace(tzinfo=timezone(shift if found[1] == "+" else -shift))
    if (hours := _ZONES.get(name.upper())) is not None:
        return naive.replace(tzinfo=timezone(timedelta(hours=hours)))
    if zone is not None:
        return naive.replace(tzinfo=zone)
    what = f"the zone {name!r} may be several" if name else "it names no zone"
    raise ValueError(f"{naive:%Y-%m-%d %H:%M:%S}: {what}; `timezone: Europe/Amsterdam` says which")

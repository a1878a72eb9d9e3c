"""When something happened, however a column says it: a date, a time, a number that spells a day or counts seconds."""

from __future__ import annotations

from dataplatform.auto_dw.look import kinds
from dataplatform.auto_dw.look.profiles import ColumnProfile
from dataplatform.auto_dw.names.vocabulary import concepts_of
from dataplatform.auto_dw.names.words import says_id

DATED, SPELLED, SHORT, SECONDS, MILLISECONDS, APPLE = (
    "",
    "yyyymmdd",
    "yymmdd",
    "seconds",
    "milliseconds",
    "apple",
)
_CONCEPTS = frozenset(["date", "time", "created", "updated", "deleted", "start", "end", "happened"])
_RANGES = (  # of numbers: 1973 to 2099, days from 1900 on
    (SECONDS, 1e8, 4.1e9),
    (MILLISECONDS, 1e11, 4.1e12),
    (SPELLED, 19000101, 21001231),
    (SHORT, 101, 991231),
)
_APPLE = (1e8, 3.1e9)  # seconds since 2001: 2004 to 2099
_EPOCH = 978307200  # 2001 in seconds since 1970
_NONE = ("0", "0.0", "-1")  # what stands where there is no time


def form_of(column: ColumnProfile) -> str | None:
    """The form of a moment; None: it is none. A number is one by its name and by its least and greatest value."""
    if column.kind in (kinds.DATE, kinds.TIME):
        return DATED
    if column.kind not in kinds.NUMERIC or column.low is None or column.high is None:
        return None
    if says_id(column.called) or concepts_of(column.called).isdisjoint(_CONCEPTS):
        return None
    high = float(column.high)
    low = high if column.low in _NONE else float(column.low)
    if column.name[:1] == "Z" and column.name.isupper():  # Core Data's
        return APPLE if _APPLE[0] <= low <= high <= _APPLE[1] else None
    form = next((form for form, least, most in _RANGES if least <= low and high <= most), None)
    if form in (SPELLED, SHORT):
        whole = column.kind == kinds.INTEGER or column.integral
        return form if whole and _is_day(low) and _is_day(high) else None
    return form


def _is_day(number: float) -> bool:
    return 1 <= int(number) // 100 % 100 <= 12 and 1 <= int(number) % 100 <= 31


def moment(form: str, value: str) -> str:
    """SQL for the time that a value says, null where it says none; no value makes it fail."""
    if form == DATED:
        return value
    if form in (SPELLED, SHORT):
        return _spelled(form, f"{value}::bigint")
    number = {SECONDS: value, MILLISECONDS: f"{value} / 1000.0", APPLE: f"{value} + {_EPOCH}"}[form]
    return f"case when abs({value}) < 1e14 then to_timestamp(({number})::float8) at time zone 'UTC' end"


def _spelled(form: str, number: str) -> str:
    year = f"{number} / 10000"
    whole = f"{year} between 1000 and 2999"
    if form == SHORT:
        year, whole = f"{year} + case when {year} < 50 then 2000 else 1900 end", f"{year} between 0 and 99"
    month, day = f"mod({number} / 100, 100)::int", f"mod({number}, 100)::int"
    return (
        f"case when {whole} and {month} between 1 and 12 and {day} between 1 and 31 "
        f"then make_date(({year})::int, 1, 1) + make_interval(months => {month} - 1, days => {day} - 1) end"
    )

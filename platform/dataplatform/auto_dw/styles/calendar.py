"""The calendar that all stars share: the years in which their facts have dates, as they are when it is built."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from dataplatform.auto_dw.judge.roles import BRIDGE
from dataplatform.auto_dw.look.profiles import TableProfile
from dataplatform.auto_dw.names.lexicon import AUDIT
from dataplatform.auto_dw.names.words import words
from dataplatform.auto_dw.styles.common import CALENDAR, KNOWS, Day, Design, ModelDraft, known, relation
from dataplatform.auto_dw.styles.moments import moment
from dataplatform.auto_dw.styles.private import is_plain
from dataplatform.names import quote

UNKNOWN, OUT_OF_RANGE = -1, -2
GAP = 20  # years without a date after which others are far off
RARE = 0.01  # share of dates below which those far off are mistakes
EARLIEST, LATEST = 1000, 2200  # years that are believed at all
BEFORE, AFTER = 10, 50  # years around those seen in which dates are believed
ANY = (1970, 2100)  # where nothing was seen
# days that stand for `never` and `unknown`
NEVER = ("0001-01-01", "1753-01-01", "1899-12-30", "1899-12-31", "1900-01-01", "1970-01-01",
         "2099-12-31", "2100-01-01", "2199-12-31")  # fmt: skip
# words of when a row was written; those taken away may be all that says when something happened
_TECHNICAL = AUDIT - {"created", "inserted", "deleted", "timestamp", "ts"}
_IN_GOLD = "in gold.dim_date"  # what the columns of facts say that have a day of it
_OLD = ("1900-01-01", "2100-12-31")  # the calendar of earlier releases

_NAMES = "date_key date year quarter month month_name day iso_year iso_week weekday weekday_name is_weekend"
_DAYS = """select to_char(d, 'YYYYMMDD')::int as date_key, d::date as date, extract(year from d)::int as year,
       extract(quarter from d)::int as quarter, extract(month from d)::int as month,
       to_char(d, 'FMMonth') as month_name, extract(day from d)::int as day,
       extract(isoyear from d)::int as iso_year, extract(week from d)::int as iso_week,
       extract(isodow from d)::int as weekday, to_char(d, 'FMDay') as weekday_name,
       extract(isodow from d) in (6, 7) as is_weekend
from years, generate_series(first, last, interval '1 day') d
union all
select -1, null, null, null, null, 'unknown', null, null, null, null, 'unknown', null
union all
select -2, null, null, null, null, 'out of range', null, null, null, null, 'out of range', null"""


def believed(years: Mapping[int, int]) -> tuple[int, int]:
    """From which year on, and before which, dates of a column are believed. `years`: how many dates each year has.

    Some years around those seen are let in, so that what comes later finds its day; a few dates far off do not count.
    """
    seen = sorted(year for year in years if EARLIEST <= year < LATEST)
    if not seen:
        return ANY
    groups: list[list[int]] = [[seen[0]]]
    for year in seen[1:]:
        if year - groups[-1][-1] > GAP:
            groups.append([])
        groups[-1].append(year)
    sizes = [sum(years[y] for y in group) for group in groups]
    kept = [g for g, n in zip(groups, sizes, strict=True) if n == max(sizes) or n > RARE * sum(sizes)]
    return (kept[0][0] - BEFORE) // 10 * 10, -((-kept[-1][-1] - AFTER) // 10) * 10


def key(value: str, when: str, day: Day) -> str:
    """SQL for the key of a day. `value`: what a row holds, `when`: the time that it says."""
    first, last = (f"date '{year:04}-01-01'" for year in day[2:4])
    return (
        f"case when {value} is null then {UNKNOWN} when {when} >= {first} and {when} < {last} "
        f"then to_char({when}, 'YYYYMMDD')::int else {OUT_OF_RANGE} end"
    )


def dates(design: Design, table: TableProfile) -> dict[str, Day]:
    """The columns of a fact that have a day, with what the calendar must know of them.

    When a row was last written is no date of what happened, unless nothing else is; of a bridge it never is.
    """
    forms = design.forms
    found = [
        c for c in table.columns if (table.name, c.name) in forms and is_plain(design, table.name, c.name)
    ]
    happened = [c for c in found if _TECHNICAL.isdisjoint(words(c.called))]
    chosen = happened if happened or design.role(table.name) == BRIDGE else found
    return {
        c.name: (
            relation(table),
            c.name,
            *design.years.get((table.name, c.name), ANY),
            forms[table.name, c.name],
        )
        for c in chosen
    }


def days_of(texts: Iterable[str]) -> tuple[frozenset[Day], bool]:
    """The dates that models have, by their files; and whether one is an earlier release's, which does not say."""
    said = [(text, known(text)) for text in texts]
    days = frozenset(day for _, found in said if found for day in found.days)
    return days, any(found is None and _IN_GOLD in text and KNOWS not in text for text, found in said)


def calendar(days: Iterable[Day], old: bool = False) -> ModelDraft | None:
    """The model, for facts with these dates. None: there are no dates."""
    spans = sorted({_span(day) for day in days})
    if old:
        spans.append(f"select date '{_OLD[0]}' as low, date '{_OLD[1]}' as high")
    if not spans:
        return None
    last = "date_trunc('year', max(high) + 31) + interval '1 year' - interval '1 day'"
    found = "\n  union all ".join(spans)
    sql = (
        f"with found as (\n  {found}),\n"
        f"years as (select date_trunc('year', min(low)::timestamp) as first, ({last})::timestamp as last from found)\n"
        f"{_DAYS}"
    )
    return ModelDraft(
        CALENDAR,
        "dimension",
        "",
        sql,
        "Dimension: one row for each day of the years in which facts have dates; "
        f"{UNKNOWN} is the unknown day, {OUT_OF_RANGE} one that nobody believes.",
        {name: f"{name.replace('_', ' ')} of the day" for name in _NAMES.split()},
        [{"unique": ["date_key"]}],
    )


def _span(day: Day) -> str:
    relation_, column, first, last, form = day
    name = quote(column)
    if form:
        name, relation_ = "at", f"(select {moment(form, name)} as at from {relation_}) m"
    return (
        f"select min({name})::date as low, max({name})::date as high from {relation_} "
        f"where {name} >= date '{first:04}-01-01' and {name} < date '{last:04}-01-01'"
    )

"""In which years the dates of facts lie: by that, mistakes and stand-ins for `never` are told from dates."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from sqlalchemy.engine import Engine

from dataplatform.auto_dw.build.there import There
from dataplatform.auto_dw.look.profiles import TableProfile
from dataplatform.auto_dw.styles.calendar import NEVER, believed
from dataplatform.auto_dw.styles.common import relation
from dataplatform.auto_dw.styles.moments import form_of, moment
from dataplatform.names import quote
from dataplatform.storage.postgres import connected

_MOST = 200_000  # rows of a table that are looked at


Forms = Mapping[tuple[str, str], str]


def forms_of(tables: Iterable[TableProfile], now: There) -> dict[tuple[str, str], str]:
    """Of each column that says when, how it does: as models have understood it, else as its values are."""
    found = {
        (table.name, c.name): form if (form := form_of(c)) is not None else now.form(relation(table), c.name)
        for table in tables
        for c in table.columns
    }
    return {place: form for place, form in found.items() if form is not None}


def years_of(
    engine: Engine, tables: Iterable[TableProfile], forms: Forms
) -> dict[tuple[str, str], tuple[int, int]]:
    """Of each column of dates from which year on, and before which, its dates are believed."""
    result: dict[tuple[str, str], tuple[int, int]] = {}
    with connected(engine) as conn:
        for table in tables:
            names = [c.name for c in table.columns if (table.name, c.name) in forms and c.filled]
            if names:
                counted: dict[str, dict[int, int]] = {name: {} for name in names}
                for number, year, rows in conn.exec_driver_sql(
                    _query(table, names, forms).replace("%", "%%")
                ).all():
                    counted[names[number]][year] = rows
                result |= {(table.name, name): believed(years) for name, years in counted.items()}
    return result


def _query(table: TableProfile, names: list[str], forms: Forms) -> str:
    times = (moment(forms[table.name, name], quote(name)) for name in names)
    listed = ", ".join(f"({value})::timestamp as c{n}" for n, value in enumerate(times))
    values = ", ".join(f"({n}, s.c{n})" for n in range(len(names)))
    never = ", ".join(f"timestamp '{day}'" for day in NEVER)
    seen = f"select {listed} from {relation(table)} limit {_MOST}"
    return (
        f"select v.n, extract(year from v.d)::int, count(*)::int from ({seen}) s, lateral (values {values}) v(n, d) "
        f"where isfinite(v.d) and v.d not in ({never}) group by 1, 2"
    )


def facts(tables: Mapping[str, TableProfile], roles: Mapping[str, str]) -> list[TableProfile]:
    """Tables whose dates have days."""
    return [table for name, table in tables.items() if roles[name] in ("fact", "bridge")]

"""`dataplatform show`: the rows of a table, or the history of one record in words."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime
from typing import Annotated, Any

import orjson
import typer
from rich.table import Column, Table
from rich.text import Text

from dataplatform.bootstrap import open_platform
from dataplatform.cli.common import Json, command, err, out, print_json
from dataplatform.reading.history import History, Version, history
from dataplatform.reading.rows import Rows, current_rows
from dataplatform.reading.runs import Touch

LONGEST = 60  # characters of a value in a table


@command
def show(
    table: Annotated[
        str, typer.Argument(help="Table of silver or gold: github.issues, github__issues, gold.spending.")
    ],
    key: Annotated[
        str | None,
        typer.Argument(help="Business key (a,b for two fields), or dp_key: that record's history."),
    ] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="Rows at most.")] = 20,
    system: Annotated[bool, typer.Option("--system", help="The platform's own columns (dp_…), too.")] = False,
    json_: Json = False,
) -> None:
    """Shows the rows of a table, or in words what became of one record.

    Of a table of silver the current rows. A record's history says what changed when, by which batch and run."""
    if key is not None:
        with open_platform() as platform:
            record = history(platform, table, key)
        _show_history(record, json_)
        return
    with open_platform() as platform:
        rows = current_rows(platform, table, limit)
    _show_rows(rows if system else rows.without_system(), json_)


def _show_rows(rows: Rows, json_: bool) -> None:
    if json_:
        print_json(rows.as_json())
        return
    if not rows.rows:
        out.print(f"{rows.table} is empty", markup=False)
        return
    table = _table(rows)
    if out.measure(table, options=out.options.update(width=10_000)).maximum <= out.width:
        out.print(table)
    else:
        _print_one_by_one(rows)
    if rows.more:
        err.print(f"… and more; the first {len(rows.rows)} are shown (--limit)", markup=False)


def _table(rows: Rows) -> Table:
    table = Table(*(Column(Text(name)) for name in rows.columns), title=rows.table, title_style="bold")
    for row in rows.rows:
        table.add_row(*(Text(_short(value), no_wrap=True) for value in row))
    return table


def _print_one_by_one(rows: Rows) -> None:
    """What is wider than the screen: a line for each value."""
    widest = max(map(len, rows.columns))
    for number, row in enumerate(rows.rows, 1):
        out.print(Text(f"{rows.table}, row {number}", style="bold"))
        for name, value in zip(rows.columns, row, strict=True):
            out.print(Text(f"  {name:{widest}}  {_short(value)}"), soft_wrap=True)


def _show_history(record: History, json_: bool) -> None:
    if json_:
        print_json(record.as_json())
        return
    out.print(Text.assemble((str(record.entity), "bold"), f"  {_fields(record.key)}"), soft_wrap=True)
    for line in _lines(record.versions):
        out.print(Text(line), soft_wrap=True)


def _lines(versions: tuple[Version, ...]) -> Iterator[str]:
    """What happened, oldest first: a line for each change, and for each deletion."""
    before: Version | None = None
    for version in versions:
        yield f"{_moment(version.valid_from)}  {_happened(version, before)}  {_by(version.written)}"
        if version.deleted and version.valid_to:
            yield f"{_moment(version.valid_to)}  deleted  {_by(version.touched)}"
        elif version.current and version.touched != version.written:
            yield f"{'':16}  last changed in place  {_by(version.touched)}"
        before = version


def _happened(version: Version, before: Version | None) -> str:
    if before is None:
        return _fields(version.values)
    changed = ", ".join(f"{c.column}: {_value(c.before)} → {_value(c.after)}" for c in version.changes)
    return f"back, {changed or 'as it was'}" if before.deleted else changed or "the same values"


def _by(touch: Touch) -> str:
    return f"(batch {touch.batch_id}, run {touch.run_id or 'unknown'})"


def _fields(values: dict[str, Any]) -> str:
    return ", ".join(f"{name}: {_value(value)}" for name, value in values.items())


def _moment(at: datetime) -> str:
    """To the minute, where that says it all; UTC."""
    exact = "minutes" if at.second == at.microsecond == 0 else "seconds"
    return at.replace(tzinfo=None).isoformat(" ", exact)


def _value(value: Any) -> str:
    """Texts in quotes, so that an empty one and null can be told apart."""
    if value is None:
        return "null"
    if isinstance(value, str | bool | list | dict):
        return orjson.dumps(value, default=str).decode()
    return value.isoformat() if isinstance(value, date) else str(value)


def _short(value: Any) -> str:
    text = "" if value is None else value if isinstance(value, str) else _value(value)
    text = " ".join(text.split())
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"

"""Why something was judged so, in words that a person may check."""

from __future__ import annotations

from collections.abc import Sequence

from dataplatform.auto_dw.judge.candidate_keys import Named
from dataplatform.auto_dw.judge.candidate_references import Pair
from dataplatform.auto_dw.look import kinds
from dataplatform.auto_dw.look.profiles import ColumnProfile, TableProfile
from dataplatform.auto_dw.look.sketches import dense
from dataplatform.auto_dw.names.vocabulary import concepts_of, private_concepts
from dataplatform.auto_dw.names.words import words

NAMED, RESEMBLES = 0.7, 0.5  # how far a name points to something
SEEN = 0.3  # share of values of a shape that is worth telling
_PRIVATE_SHAPES = {
    "email": "e-mail addresses",
    "iban": "IBANs: their checksums hold",
    "card": "numbers that pass the checksum of payment cards",
    "ip": "IP addresses",
    "phone": "telephone numbers",
    "person": "names of people",
    "full_name": "names of people",
    "first_name": "first names",
    "last_name": "last names",
    "street_address": "streets with a house number",
    "national_id": "numbers that pass the checksum of official ones",
}


def of_key(
    table: TableProfile, columns: Sequence[str], named: dict[str, Named], others: int
) -> tuple[str, ...]:
    """`others`: sets of columns that identify a row as well."""
    if tuple(columns) == table.primary_key:
        return ("declared as the primary key",)
    if not table.rows:
        return ("the table is empty: judged by names",)
    single = len(columns) == 1
    said = [
        "every row has another value"
        if single
        else f"{', '.join(columns)} together are different in every row"
    ]
    first = table.by_name[columns[0]]
    if single and words(first.called) in (("id",), ("pk",), ("uuid",), ("guid",)):
        said.append(f"it is called {first.name}")
    elif single and named[first.name].own >= NAMED:
        said.append("its name is the table's")
    elif max(named[c].other for c in columns) >= NAMED:
        said.append("named like other tables: " + ", ".join(c for c in columns if named[c].other >= NAMED))
    if single and first.kind == kinds.INTEGER and dense(first):
        said.append("its values count up without gaps")
    if others:
        said.append(f"{others} other sets of columns would identify a row, too")
    return tuple(said)


def of_reference(pair: Pair) -> tuple[str, ...]:
    column, place, said = pair.column, f"{pair.parent.name}.{pair.key.name}", []
    if column.filled == 0:
        said.append("the column is empty: judged by its name")
    elif not pair.parent.rows:
        said.append(f"{pair.parent.name} is empty: judged by names")
    elif pair.held >= 0.9999:
        said.append(f"all its {column.distinct:,} values are in {place}")
    else:
        said.append(f"{pair.held:.1%} of its {column.distinct:,} values are in {place}")
    if pair.naming >= NAMED:
        said.append(f"its name points to {pair.parent.name}")
    elif pair.naming >= RESEMBLES:
        said.append(f"its name resembles {pair.parent.name}")
    return tuple(said)


def of_privacy(column: ColumnProfile, people: bool) -> tuple[str, ...]:
    said = sorted(concepts_of(column.called) & private_concepts())
    found = [f"its name says {', '.join(s.replace('_', ' ') for s in said)}"] if said else []
    found += [
        f"{column.shapes[shape]:.0%} of a sample look like {text}"
        for shape, text in _PRIVATE_SHAPES.items()
        if column.shapes.get(shape, 0.0) >= SEEN
    ]
    if people:
        found.append("its table tells of people")
    return tuple(dict.fromkeys(found)) or ("columns like it are mostly private",)

"""What a table refers to, as a star has it: keys of dimensions, and names of things that are folded in."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace

from dataplatform.auto_dw.judge.roles import BRIDGE, DIMENSION, LOOKUP
from dataplatform.auto_dw.look import kinds
from dataplatform.auto_dw.look.profiles import ColumnProfile, Reference, TableProfile
from dataplatform.auto_dw.names.lexicon import AUDIT, PEOPLE
from dataplatform.auto_dw.names.vocabulary import concepts_of
from dataplatform.auto_dw.names.words import says_id, stem, table_words, words
from dataplatform.auto_dw.styles.common import Column, Design, meaning, relation, same
from dataplatform.auto_dw.styles.naming import snake
from dataplatform.auto_dw.styles.private import key_part, shown
from dataplatform.names import SYSTEM_PREFIX, quote

DIMENSIONS = (DIMENSION, LOOKUP)
_NAMES = frozenset(["name", "title", "label", "description"])
MANY = 1000  # rows of a list of names that is folded into what refers to it


def surrogate(design: Design, table: str) -> str:
    return f"{design.noun(table)}_sk"


def parents(design: Design, table: str) -> list[tuple[Reference, str]]:
    """References to dimensions, each with a name of its own: a role, where a dimension is met twice."""
    found = [r for r in design.evaluation.of_table(table) if _is_parent(design, r)]
    often = Counter(r.ref_table for r in found)
    result: list[tuple[Reference, str]] = []
    seen: set[str] = set()
    for reference in found:
        plain = surrogate(design, reference.ref_table)
        alone = often[reference.ref_table] == 1 and reference.ref_table != table
        role = plain if alone else f"{_role(design, reference)}{plain}"
        if role in seen or (reference.ref_table == table and role == plain):
            role = f"{'_'.join(snake(c) for c in reference.columns)}_{plain}"
        if role not in seen:
            seen.add(role)
            result.append((reference, role))
    return result


def _is_parent(design: Design, reference: Reference) -> bool:
    parent = reference.ref_table
    if parent not in design.schema.tables or not design.key(parent) or parent in design.folded:
        return False
    return design.role(parent) in DIMENSIONS and _has_columns(design, reference)


def _has_columns(design: Design, reference: Reference) -> bool:
    """Whether the dimension shows the columns that are referred to: binary ones are left out of it."""
    parent = design.schema.tables[reference.ref_table]
    return all(shown(design, parent.name, parent.by_name[c], "d") for c in reference.ref_columns)


def _role(design: Design, reference: Reference) -> str:
    """`ship_to_` for a ship_to_customer_id that refers to customers, nothing for a customer_id."""
    own = set(table_words(design.schema.tables[reference.ref_table].called))
    columns = [design.schema.tables[reference.table].by_name[c].called for c in reference.columns]
    if len(columns) == 1 and not says_id(columns[0]) and own.isdisjoint(words(columns[0])):
        return f"{snake(columns[0])}_"
    return "".join(f"{word}_" for column in columns for word in stem(column) if word not in own)


def linking(design: Design, table: str) -> frozenset[str]:
    """Columns whose place the keys of dimensions take: they are not shown beside them.

    The table's own key and what others refer to stay, and a parent within the same table; so do codes in text whose
    names are folded in.
    """
    own = design.schema.tables[table]
    gone = {c for r, _ in parents(design, table) if r.ref_table != table for c in r.columns}
    gone |= {c for r in folds(design, table) for c in r.columns if own.by_name[c].kind != kinds.TEXT}
    return frozenset(gone - set(design.key(table)) - design.referred(table))


# lists of names: statuses, kinds, countries


def folded_tables(design: Design) -> dict[str, str]:
    """Tables that only name things by a key, small and referred to by dimensions and facts: each with its name column.

    One that has a dimension already keeps it, and so does one that a bridge refers to.
    """
    found: dict[str, str] = {}
    for name, table in design.schema.tables.items():
        label = _label(design, table)
        if label is not None and _is_referred(design, name) and name not in design.alone:
            found[name] = label.name
    return found


def _label(design: Design, table: TableProfile) -> ColumnProfile | None:
    """The one column beside the key, if it says what the thing is called.

    People are more than their names, and so is what silver has the history of, unless it is known for a list.
    """
    key, role = design.key(table.name), design.role(table.name)
    if role not in DIMENSIONS or len(key) != 1 or table.rows > MANY or design.evaluation.of_table(table.name):
        return None
    if role != LOOKUP and (table.history or not PEOPLE.isdisjoint(table_words(table.called)[-1:])):
        return None
    own = [c for c in table.columns if c.name not in key and not _is_technical(c)]
    return own[0] if len(own) == 1 and own[0].kind == kinds.TEXT and _names(table, own[0]) else None


def _names(table: TableProfile, column: ColumnProfile) -> bool:
    """`name`, `description`, `status_label`; `country` of countries."""
    found = words(column.called)
    return not _NAMES.isdisjoint(concepts_of(column.called)) or set(found) <= set(table_words(table.called))


def _is_technical(column: ColumnProfile) -> bool:
    is_time = column.kind in (kinds.DATE, kinds.TIME)
    return column.name.startswith(SYSTEM_PREFIX) or (is_time and not AUDIT.isdisjoint(words(column.called)))


def _is_referred(design: Design, table: str) -> bool:
    """By columns of dimensions and facts, to its key; and by no bridge."""
    key = design.key(table)
    into = [r for r in design.evaluation.references if r.ref_table == table and r.table != table]
    return bool(into) and all(
        r.ref_columns == key and design.role(r.table) != BRIDGE and r.table in design.schema.tables
        for r in into
    )


def folds(design: Design, table: str) -> list[Reference]:
    """The table's references to lists of names."""
    return [r for r in design.evaluation.of_table(table) if r.ref_table in design.folded]


def folded_columns(design: Design, references: Sequence[Reference], prefix: str) -> Iterator[Column]:
    """The names of what the references lead to; their rows are joined as `prefix` and a number."""
    seen: set[str] = set()
    for number, reference in enumerate(references):
        parent = design.schema.tables[reference.ref_table]
        label = parent.by_name[design.folded[parent.name]]
        name = _label_name(design, reference, label)
        name = (
            name
            if name not in seen
            else f"{'_'.join(snake(c) for c in reference.columns)}_{snake(label.name)}"
        )
        sql = shown(design, parent.name, label, f"{prefix}{number}")
        if sql is not None and name not in seen:
            seen.add(name)
            yield Column(name, sql, meaning(design, parent.name, label.name))


def _label_name(design: Design, reference: Reference, label: ColumnProfile) -> str:
    """`status_name`, `original_language_name`, `country` for the country of countries."""
    noun, own = design.noun(reference.ref_table), snake(label.called)
    role = _role(design, reference)
    role = "" if role.rstrip("_") in noun else role
    return f"{role}{own if noun in own else f'{noun}_{own}'}"


def folded_joins(design: Design, references: Sequence[Reference], child: str, prefix: str) -> Iterator[str]:
    for number, reference in enumerate(references):
        parent, alias = design.schema.tables[reference.ref_table], f"{prefix}{number}"
        yield f"\nleft join {relation(parent)} {alias} on {same(reference, child, alias)}"


def with_folds(design: Design) -> Design:
    return replace(design, folded=folded_tables(design))


def key_parts(design: Design, table: TableProfile, alias: str) -> list[str]:
    """What a surrogate key is made of: the key's values as they are shown, and the version."""
    parts = [key_part(design, table.name, k, f"{alias}.{quote(k)}") for k in design.key(table.name)]
    return [*parts, f"{alias}.dp_valid_from"] if table.history else parts

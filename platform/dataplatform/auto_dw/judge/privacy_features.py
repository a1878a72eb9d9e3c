"""What speaks for and against a column's values being private: its name, its values, what its table is about."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from dataplatform.auto_dw.judge.concept_groups import AILING, ILL, PEOPLE, PERSONAL, PLAIN, STRONG, WEAK
from dataplatform.auto_dw.judge.personal import Around, is_of_persons, possible, told
from dataplatform.auto_dw.look import kinds
from dataplatform.auto_dw.look.profiles import ColumnProfile, SchemaProfile, TableProfile
from dataplatform.auto_dw.look.shapes import SHAPES
from dataplatform.auto_dw.names.vocabulary import (
    concepts_of,
    head_concepts,
    private_concepts,
    thing_concepts,
)
from dataplatform.auto_dw.names.words import says_id, words

Place = tuple[str, str]
NAMES = ("first_name", "last_name", "person", "full_name")
ADDRESSES = ("email", "phone", "iban", "card", "ip", "street_address")
_KINDS = (
    kinds.INTEGER,
    kinds.NUMBER,
    kinds.TEXT,
    kinds.UUID,
    kinds.DATE,
    kinds.TIME,
    kinds.BOOLEAN,
    kinds.JSON,
    kinds.BINARY,
)


@dataclass(frozen=True)
class About:
    """What a table is about. `people`: how far its rows are people, by name and columns; `refers`: to such a table."""

    things: frozenset[str]
    personal: float
    people: float
    refers: float
    private_columns: float
    names: float  # the greatest share of values of a column that are people's names


def privacy_features(
    schema: SchemaProfile, key_chances: Mapping[Place, float], refers: Mapping[Place, Mapping[str, float]]
) -> dict[Place, dict[str, float]]:
    """Of each column. `key_chances`: of being a part of its table's key; `refers`: to which tables, how surely."""
    first = {name: _about(table, {}) for name, table in schema.tables.items()}
    found: dict[Place, dict[str, float]] = {}
    out = _out(refers)
    for name, table in schema.tables.items():
        about = _about(table, out.get(name, {}), first)
        persons = max(float(is_of_persons(table)), float(about.personal >= 3))
        near = max(persons, about.refers)
        ill = _ill(schema, table, out.get(name, {}), about)
        for column in table.columns:
            place = (name, column.name)
            links = max(key_chances.get(place, 0.0), sum(refers.get(place, {}).values()))
            found[place] = {
                **_of_name(column),
                **_of_values(column),
                **_of_table(table, column, about),
                "key": key_chances.get(place, 0.0),
                "refers": sum(refers.get(place, {}).values()),
                "to_people": sum(p * first[t].people for t, p in refers.get(place, {}).items() if t in first),
            }
            found[place] |= _together(table, column, about)
            found[place] |= told(table, column, Around(persons, near, ill, min(1.0, links)))
    return found


def _out(refers: Mapping[Place, Mapping[str, float]]) -> dict[str, dict[str, float]]:
    """Of each table the others that it refers to, and how surely."""
    found: dict[str, dict[str, float]] = {}
    for (table, _), to in refers.items():
        own = found.setdefault(table, {})
        for other, chance in to.items():
            own[other] = max(chance, own.get(other, 0.0))
    return found


def _ill(schema: SchemaProfile, table: TableProfile, out: Mapping[str, float], about: About) -> float:
    """How far its rows say what ails people: by its name, or as they belong to patients."""
    patients = max(
        (
            p
            for t, p in out.items()
            if t in schema.tables and "patient" in concepts_of(schema.tables[t].called)
        ),
        default=0.0,
    )
    named = bool(concepts_of(table.called) & AILING)
    return max(patients, named * max(float(about.people >= 1), about.refers))


def about_people(table: TableProfile) -> bool:
    """Whether its rows are people, by its name and its columns."""
    return _about(table, {}).people >= 1


def _about(
    table: TableProfile, refers: Mapping[str, float], others: Mapping[str, About] | None = None
) -> About:
    things = concepts_of(table.called) & (thing_concepts() | private_concepts())
    said = [concepts_of(c.called) for c in table.columns]
    personal = float(len(PERSONAL & frozenset().union(*said)))
    named = float(bool(head_concepts(table.called) & PEOPLE)) + 0.5 * bool(things & PEOPLE)
    to_people = max(
        (p * (others[t].people > 1) for t, p in refers.items() if others and t in others and t != table.name),
        default=0.0,
    )
    private = sum(bool(s & private_concepts()) for s in said) / max(1, len(said))
    names = max(
        (c.shapes.get("person", 0.0) + c.shapes.get("full_name", 0.0) for c in table.columns), default=0.0
    )
    return About(things, personal, named + 0.5 * min(personal, 4), to_people, private, names)


def _of_name(column: ColumnProfile) -> dict[str, float]:
    said, head = concepts_of(column.called), head_concepts(column.called)
    return {
        "private": float(len(said & private_concepts())),
        "private_head": float(len(head & private_concepts())),
        "words": float(len(words(column.called))),
        "identifies": float(says_id(column.called)),
    }


def _of_values(column: ColumnProfile) -> dict[str, float]:
    found = {f"looks_{s}": column.shapes.get(s, 0.0) for s in SHAPES}
    found |= {f"is_{k}": float(column.kind == k) for k in _KINDS}
    found["filled"] = column.filled / column.rows if column.rows else -1.0
    found["distinct"] = math.log1p(column.distinct)
    found["distinct_share"] = column.distinct_share
    found["length"] = column.average_length
    found["longest"] = math.log1p(column.max_length)
    found["rows"] = math.log1p(column.rows)
    return found


def _together(table: TableProfile, column: ColumnProfile, about: About) -> dict[str, float]:
    """What a name or a value says of a person where the table tells of people, and of anything else."""
    said, head = concepts_of(column.called), head_concepts(column.called)
    fits, noun = possible(table, column)
    strong, weak = _strength(STRONG, fits, noun & fits), _strength(WEAK, fits, noun & fits)
    name = float("name" in said) + float("name" in head)
    person = max(column.shapes.get(s, 0.0) for s in NAMES)
    people = float(about.people >= 1)
    ill = float(bool((about.things | concepts_of(table.called)) & ILL))
    text = float(column.kind == kinds.TEXT)
    return {
        "strong": strong,
        "weak": weak,
        "strong_of_people": strong * people,
        "weak_of_people": weak * people,
        "name_of_people": name * people,
        "looks_person": person,
        "looks_person_of_people": person * people,
        "looks_person_named": person * name,
        "looks_address": max(column.shapes.get(s, 0.0) for s in ADDRESSES),
        "strong_text": strong * text,
        "strong_flag": strong * (column.kind == kinds.BOOLEAN),
        "strong_with_people": strong * about.refers,
        "weak_with_people": weak * about.refers,
        "ill": ill,
        "ill_of_people": ill * max(people, about.refers),
        "ill_plain": ill * max(people, about.refers) * float(bool(said & PLAIN)),
        "date_of_people": people * (column.kind in (kinds.DATE, kinds.TIME)),
        "names_beside": about.names,
    }


def _strength(wanted: frozenset[str], said: frozenset[str], head: frozenset[str]) -> float:
    return float(bool(wanted & said)) + float(bool(wanted & head))


def _of_table(table: TableProfile, column: ColumnProfile, about: About) -> dict[str, float]:
    mine = concepts_of(column.called)
    return {
        "personal": about.personal - bool(mine & PERSONAL),
        "people": about.people,
        "table_refers_to_people": about.refers,
        "private_columns": about.private_columns,
        "columns": math.log1p(len(table.columns)),
        "position": column.position / len(table.columns),
    }

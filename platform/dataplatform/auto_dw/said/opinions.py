"""What an LLM's answers do to verdicts. Pure: it asks nobody.

An answer's own idea of how sure it is counts nothing; that several agree does, and one alone counts half. A verdict
that is not green moves with them; a green one is only ever lowered to amber, so that a person is asked. What the data
refute, what a person said and what a constraint declares stays as it is. An answer counts for nothing where the LLM
says the same of others that are sure: one that takes many facts for dimensions says nothing of the next.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from dataplatform.auto_dw.judge.report import AMBER, GREEN, status
from dataplatform.auto_dw.judge.verdicts import ColumnVerdict, Evaluation, TableVerdict, Verdict
from dataplatform.auto_dw.look.profiles import Reference, SchemaProfile, TableProfile

MOST = 0.9  # what an LLM's agreement makes of a doubt at most
DOUBTED = GREEN - 0.02  # what its disagreement leaves of a green verdict at most
OPPOSED = 2  # so many answers it takes to say otherwise: one, by itself, was wrong more often than right
FLIPS = 0.7  # below it an LLM that agrees with itself may say otherwise
HABIT = (2, 1 / 3)  # of so many others that are sure this share: what an LLM says of them, too, is no news
MARKED = 0.5  # how likely it must be that a column is private to be marked for it
PRIVATE = (0.3, GREEN)  # how sure one is of a private column that an LLM is asked about
# what a line of the evidence begins with where somebody has spoken (decisions.py)
BY_A_PERSON = ("a person said so", "a person described it")


class ColumnAnswer(BaseModel):
    """What the LLM says about a column."""

    model_config = ConfigDict(extra="ignore")

    column: str
    name: str = Field(default="", max_length=80)
    description: str = Field(default="", max_length=400)
    role: Literal["key", "foreign_key", "measure", "attribute", "timestamp"] | None = None
    refers_to: str = Field(default="", max_length=200)
    sensitive: bool | None = None

    @field_validator("name", "description", "refers_to", mode="before")
    @classmethod
    def _nothing(cls, value: Any) -> Any:
        """Many write null for a word that they have not."""
        return "" if value is None else value


class TableAnswer(BaseModel):
    """What the LLM says about a table."""

    model_config = ConfigDict(extra="ignore")

    name: str = Field(default="", max_length=80)
    description: str = Field(default="", max_length=600)
    role: Literal["fact", "dimension", "bridge", "lookup", "other"]
    grain: str = Field(default="", max_length=300)
    key: list[str] = []
    columns: list[ColumnAnswer] = []


Said = Mapping[str, Sequence[ColumnAnswer]]


@dataclass(frozen=True)
class Answers:
    """Of one table: what was said of it, and of its columns, which may have been asked about apart."""

    table: Sequence[TableAnswer]
    columns: Said


def by_column(table: TableProfile, answers: Sequence[TableAnswer]) -> Said:
    """What the table does not have is ignored; an answer that names a column twice has one vote."""
    said: dict[str, list[ColumnAnswer]] = {}
    for answer in answers:
        for column in {c.column: c for c in answer.columns if c.column in table.by_name}.values():
            said.setdefault(column.column, []).append(column)
    return said


# what nobody needs to be asked


def by_a_person(evidence: Sequence[str]) -> bool:
    return any(line.startswith(BY_A_PERSON) for line in evidence)


def declared(table: TableProfile) -> Set[str]:
    """Columns whose role a constraint says."""
    return {*table.primary_key, *(c for r in table.references for c in r.columns)}


def is_open(table: TableProfile, name: str, column: ColumnVerdict) -> bool:
    """Whether the role of a column is judged, not said."""
    return name not in declared(table) and not by_a_person(column.verdict.evidence)


def is_unsure_of_privacy(column: ColumnVerdict) -> bool:
    low, high = PRIVATE
    return low <= column.sensitive_confidence < high and not by_a_person(column.sensitive_evidence)


# what becomes of verdicts


def applied(schema: SchemaProfile, evaluation: Evaluation, answers: Mapping[str, Answers]) -> Evaluation:
    """The evaluation with what was said of these tables; the rest stays."""
    references = tuple(_reference(schema, r, answers) for r in evaluation.references)
    habits = _habits(schema, evaluation, answers)
    tables = {
        name: _table(schema.tables[name], verdict, answers[name], habits) if name in answers else verdict
        for name, verdict in evaluation.tables.items()
    }
    surer = {
        (new.table, new.columns[0]): new
        for old, new in zip(evaluation.references, references, strict=True)
        if new is not old
    }
    return replace(
        evaluation, tables={n: _as_referring(n, t, surer) for n, t in tables.items()}, references=references
    )


@dataclass(frozen=True)
class Habits:
    """What an LLM says of that which is sure: how often which role is called what."""

    called: Mapping[tuple[str, str], int] = field(default_factory=dict)

    def is_one(self, verdict: Verdict, said: str) -> bool:
        """Whether it says so of others of this role, too; the verdict's own case does not count."""
        own = int(status(verdict.confidence) == "green")
        of_role = sum(number for (role, _), number in self.called.items() if role == verdict.role) - own
        alike = self.called.get((verdict.role, said), 0) - own
        least, share = HABIT
        return of_role >= least and alike / of_role >= share


NO_HABITS = Habits()


def _habits(
    schema: SchemaProfile, evaluation: Evaluation, answers: Mapping[str, Answers]
) -> tuple[Habits, Habits]:
    """Of tables, and of columns."""
    tables, columns = Counter[tuple[str, str]](), Counter[tuple[str, str]]()
    for name, said in answers.items():
        table = evaluation.tables[name]
        tables += _called(table.verdict, [a.role for a in said.table])
        for column, about in said.columns.items():
            own = table.columns[column]
            columns += _called(own.verdict, _votes(schema.tables[name], column, own, about))
    return Habits(tables), Habits(columns)


def _called(verdict: Verdict, votes: Sequence[str]) -> Counter[tuple[str, str]]:
    sure = bool(votes) and status(verdict.confidence) == "green"
    return Counter([(verdict.role, _majority(verdict.role, votes)[0])] if sure else [])


def _table(
    profile: TableProfile, verdict: TableVerdict, answers: Answers, habits: tuple[Habits, Habits]
) -> TableVerdict:
    first, (of_tables, of_columns) = answers.table[0], habits
    result = replace(
        verdict,
        verdict=voted(verdict.verdict, [a.role for a in answers.table], of_tables),
        columns={
            n: _column(profile, n, c, answers.columns.get(n, ()), of_columns)
            for n, c in verdict.columns.items()
        },
        name=verdict.name or first.name,
        description=verdict.description or first.description,
    )
    return _key(profile, result, answers)


def voted(verdict: Verdict, votes: Sequence[str], habits: Habits = NO_HABITS) -> Verdict:
    """The verdict after these votes for a role; a tie speaks for it."""
    if not votes or by_a_person(verdict.evidence):
        return verdict
    best, count = _majority(verdict.role, votes)
    weight = count / (len(votes) + 1)
    text = f"the LLM says {best} ({count} of {len(votes)} answers)"
    if best == verdict.role:
        return _seconded(verdict, weight, text)
    if count / len(votes) <= 0.5:
        return verdict
    if count < OPPOSED:
        return replace(verdict, evidence=(*verdict.evidence, f"{text}: one answer moves nothing"))
    if habits.is_one(verdict, best):
        text += f", as of others that surely are {verdict.role}: no news"
        return replace(verdict, evidence=(*verdict.evidence, text))
    if status(verdict.confidence) == "green":
        return _doubted(verdict, weight, text)
    return _unclear(verdict, best, weight, text)


def _majority(role: str, votes: Sequence[str]) -> tuple[str, int]:
    return max(Counter(votes).items(), key=lambda item: (item[1], item[0] == role))


def _seconded(verdict: Verdict, weight: float, text: str) -> Verdict:
    surer = max(verdict.confidence, min(MOST, round(verdict.confidence + 0.25 * weight, 3)))
    confidence = verdict.confidence if status(verdict.confidence) == "green" else surer
    return replace(verdict, confidence=confidence, evidence=(*verdict.evidence, text))


def _doubted(verdict: Verdict, weight: float, text: str) -> Verdict:
    """A green verdict that an LLM does not share: amber, so that a person is asked, who is shown both views."""
    confidence = max(AMBER, min(DOUBTED, verdict.confidence * (1 - 0.3 * weight)))
    both = (f"by the evidence it is {verdict.role}", *verdict.evidence, text)
    return replace(verdict, confidence=round(confidence, 3), evidence=both)


def _unclear(verdict: Verdict, best: str, weight: float, text: str) -> Verdict:
    if verdict.confidence < FLIPS:
        return Verdict(best, round(0.45 + 0.3 * weight, 3), (text, *verdict.evidence))
    lower = round(verdict.confidence * (1 - 0.15 * weight), 3)
    return replace(verdict, confidence=lower, evidence=(*verdict.evidence, text))


def _column(
    profile: TableProfile, name: str, own: ColumnVerdict, said: Sequence[ColumnAnswer], habits: Habits
) -> ColumnVerdict:
    if not said:
        return own
    result = replace(own, name=own.name or said[0].name, description=own.description or said[0].description)
    if is_open(profile, name, own):
        result = replace(result, verdict=voted(own.verdict, _votes(profile, name, own, said), habits))
    return _private(profile, name, result, [s.sensitive for s in said if s.sensitive is not None])


def _votes(profile: TableProfile, name: str, own: ColumnVerdict, said: Sequence[ColumnAnswer]) -> list[str]:
    return [s.role for s in said if s.role and _possible(profile, name, own, s.role)]


def _possible(table: TableProfile, name: str, judged: ColumnVerdict, role: str) -> bool:
    """What the data can bear. Keys and references are voted on as such, not here."""
    kind = table.by_name[name].kind
    if judged.verdict.role in ("key", "foreign_key") or role in ("key", "foreign_key"):
        return False
    if role == "timestamp":
        return kind in ("date", "timestamp", "time")
    return role != "measure" or kind in ("integer", "number")


def _private(profile: TableProfile, name: str, own: ColumnVerdict, votes: Sequence[bool]) -> ColumnVerdict:
    """An LLM makes a mark surer or less sure, and takes none away; alone it marks text where three answers agree."""
    if not votes or own.secret or by_a_person(own.sensitive_evidence):
        return own
    if own.sensitive:
        return _marked(own, votes)
    yes = sum(votes)
    if 2 * yes <= len(votes) or profile.by_name[name].kind != "text":
        return own
    chance = min(DOUBTED, own.sensitive_confidence + 0.7 * yes / (len(votes) + 1))
    return replace(
        own,
        sensitive=chance >= MARKED,
        sensitive_confidence=round(chance, 3),
        sensitive_evidence=(*own.sensitive_evidence, f"the LLM says private ({yes} of {len(votes)} answers)"),
    )


def _marked(own: ColumnVerdict, votes: Sequence[bool]) -> ColumnVerdict:
    before = Verdict("private", own.sensitive_confidence, own.sensitive_evidence)
    after = voted(before, ["private" if vote else "not private" for vote in votes])
    lower = own.sensitive_confidence * (1 - 0.15 * votes.count(False) / (len(votes) + 1))
    sure = after.confidence if after.role == "private" else lower
    return replace(own, sensitive_confidence=round(sure, 3), sensitive_evidence=after.evidence)


def _key(profile: TableProfile, verdict: TableVerdict, answers: Answers) -> TableVerdict:
    """A vote is a key that the data bear; others are none."""
    if profile.primary_key or not verdict.primary_key:
        return verdict
    known = {frozenset(k): k for k in (verdict.primary_key, *verdict.alternate_keys)}
    named = [frozenset(a.key) or _key_columns(a) for a in answers.table]
    votes = [", ".join(known[n]) for n in named if n in known]
    before = Verdict(", ".join(verdict.primary_key), verdict.key_confidence, verdict.key_evidence)
    after = voted(before, votes)
    result = replace(verdict, key_confidence=after.confidence, key_evidence=after.evidence)
    if after.role == before.role:
        return result
    return _with_key(result, next(k for k in known.values() if ", ".join(k) == after.role), after)


def _key_columns(answer: TableAnswer) -> frozenset[str]:
    return frozenset(c.column for c in answer.columns if c.role == "key")


def _with_key(verdict: TableVerdict, key: tuple[str, ...], said: Verdict) -> TableVerdict:
    """The table with another key: the columns' roles go along."""
    columns = dict(verdict.columns)
    for name in verdict.primary_key:
        if columns[name].verdict.role == "key":
            columns[name] = replace(
                columns[name],
                verdict=replace(columns[name].verdict, role="attribute", confidence=said.confidence),
            )
    for name in key:
        columns[name] = replace(columns[name], verdict=Verdict("key", said.confidence, said.evidence))
    others = tuple(k for k in (verdict.primary_key, *verdict.alternate_keys) if k != key)
    return replace(
        verdict,
        primary_key=key,
        alternate_keys=others,
        columns=columns,
        grain=f"one row for each {', '.join(key)}",
    )


def _reference(schema: SchemaProfile, reference: Reference, answers: Mapping[str, Answers]) -> Reference:
    """References are found in the data alone: an LLM makes one surer or less sure, and finds none."""
    table = schema.tables[reference.table]
    if len(reference.columns) > 1 or reference.table not in answers or by_a_person(reference.evidence):
        return reference
    if any(set(r.columns) == set(reference.columns) for r in table.references):
        return reference
    said = answers[reference.table].columns.get(reference.columns[0], ())
    votes = [_target(schema, reference, s) for s in said if s.role]
    before = Verdict(reference.ref_table, reference.confidence, reference.evidence)
    after = voted(before, votes)
    if after == before:
        return reference
    # a reference to something else would have to be found: the doubt is kept, the claim is not
    kept = after.confidence if after.role == before.role else round(reference.confidence * 0.85, 3)
    return replace(reference, confidence=kept, evidence=after.evidence)


def _target(schema: SchemaProfile, reference: Reference, said: ColumnAnswer) -> str:
    if said.role != "foreign_key":
        return f"no reference but {said.role}"
    named = said.refers_to.lower().removeprefix(f"{schema.name}.".lower()).split(".")[0].split("(")[0].strip()
    return reference.ref_table if named in ("", reference.ref_table.lower()) else said.refers_to


def _as_referring(name: str, table: TableVerdict, surer: Mapping[tuple[str, str], Reference]) -> TableVerdict:
    """A column that refers is as sure as its reference."""
    changed = {
        column: replace(
            verdict, verdict=Verdict("foreign_key", surer[name, column].confidence, surer[name, column].evidence)
        )
        for column, verdict in table.columns.items()
        if (name, column) in surer and verdict.verdict.role == "foreign_key"
        and not by_a_person(verdict.verdict.evidence)
    }  # fmt: skip
    return replace(table, columns={**table.columns, **changed}) if changed else table

"""How right verdicts are: precision, recall and F1 of keys, references, privacy and roles; whether confidence holds.

Pure. The rules: a key is right as a set of columns, a reference as table, pairs of columns and table; what the truth
holds for optional or does not know is neither required nor wrong; a role may have several right answers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Any

from dataplatform.auto_dw.judge.report import AMBER, GREEN, status
from dataplatform.auto_dw.judge.verdicts import Evaluation, Verdict
from dataplatform.auto_dw.look.profiles import Reference

BINS = 10  # of the calibration error
Key = tuple[str, frozenset[tuple[str, str]], str]  # a reference: table, column → column, table
Pair = tuple[float, bool]  # how sure one was, and whether that was right


@dataclass(frozen=True)
class TableTruth:
    """What a table is. Empty: nobody knows. `columns`: roles of columns."""

    roles: tuple[str, ...] = ()
    primary_key: frozenset[str] = frozenset()
    columns: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Truth:
    """What is known of a schema.

    `optional`: references that are neither required nor wrong; `known_from`: columns whose references are known, None
    for all. `private` and `public`: `table.column`; `public` None where all that is neither private nor `open` is.
    """

    tables: Mapping[str, TableTruth]
    references: Set[Key] = frozenset()
    optional: Set[Key] = frozenset()
    known_from: Set[tuple[str, str]] | None = None
    private: Set[str] = frozenset()
    public: Set[str] | None = None
    open: Set[str] = frozenset()

    def says_of(self, reference: Key) -> bool | None:
        """Whether a reference is one; None where that is not known."""
        if reference in self.references:
            return True
        columns = {(reference[0], column) for column, _ in reference[1]}
        unknown = self.known_from is not None and not columns & self.known_from
        return None if reference in self.optional or unknown else False

    def is_private(self, column: str) -> bool | None:
        if column in self.private:
            return True
        known = column not in self.open and (self.public is None or column in self.public)
        return False if known else None


@dataclass(frozen=True)
class Counts:
    """Right, wrong and missing; of several schemas they add up."""

    right: int = 0
    wrong: int = 0
    missing: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(self.right + other.right, self.wrong + other.wrong, self.missing + other.missing)

    @property
    def precision(self) -> float:
        said = self.right + self.wrong
        return self.right / said if said else float(not self.missing)

    @property
    def recall(self) -> float:
        due = self.right + self.missing
        return self.right / due if due else 1.0

    @property
    def f1(self) -> float:
        both = self.precision + self.recall
        return 2 * self.precision * self.recall / both if both else 0.0


@dataclass(frozen=True)
class Score:
    """One task in one schema. `due`: whether there was anything to find; without it no average takes part in it."""

    counts: Counts
    pairs: tuple[Pair, ...]
    due: bool = True


Scores = Mapping[str, Score]  # by task
TASKS = ("keys", "references", "sensitive", "roles", "column_roles")


def score(truth: Truth, evaluation: Evaluation) -> dict[str, Score]:
    """All tasks."""
    found = (keys, references, sensitive, roles, column_roles)
    return {name: task(truth, evaluation) for name, task in zip(TASKS, found, strict=True)}


def keys(truth: Truth, evaluation: Evaluation) -> Score:
    """Primary keys; tables that have none in truth are not asked about."""
    counts, pairs = Counts(), []
    for name, table in truth.tables.items():
        if not table.primary_key:
            continue
        found = evaluation.tables.get(name)
        said = frozenset(found.primary_key) if found else frozenset()
        right = said == table.primary_key
        counts += Counts(right, bool(said) and not right, not right)
        if found and said:
            pairs.append((found.key_confidence, right))
    return Score(counts, tuple(pairs), bool(counts.right + counts.missing))


def references(truth: Truth, evaluation: Evaluation) -> Score:
    """Foreign keys; of those said twice the surer counts."""
    found: dict[Key, float] = {}
    for reference in evaluation.references:
        place = key_of(reference)
        found[place] = max(found.get(place, 0.0), reference.confidence)
    said = {place: says for place in found if (says := truth.says_of(place)) is not None}
    right = sum(said.values())
    counts = Counts(right, len(said) - right, len(truth.references) - right)
    return Score(counts, tuple((found[p], ok) for p, ok in said.items()))


def key_of(reference: Reference) -> Key:
    return reference.table, reference.pairs, reference.ref_table


def sensitive(truth: Truth, evaluation: Evaluation) -> Score:
    """Columns that are private; without any in truth only what is wrongly said counts, and no average does."""
    found = {
        f"{name}.{column}": verdict.sensitive_confidence
        for name, table in evaluation.tables.items()
        for column, verdict in table.columns.items()
        if verdict.sensitive
    }
    said = {column: says for column in found if (says := truth.is_private(column)) is not None}
    right = sum(said.values())
    counts = Counts(right, len(said) - right, len(truth.private) - right)
    return Score(counts, tuple((found[c], ok) for c, ok in said.items()), bool(truth.private))


def roles(truth: Truth, evaluation: Evaluation) -> Score:
    """Of tables."""
    found = {name: table.verdict for name, table in evaluation.tables.items()}
    return _roles((table.roles, found.get(name)) for name, table in truth.tables.items() if table.roles)


def column_roles(truth: Truth, evaluation: Evaluation) -> Score:
    """Of columns, where people have said them."""
    found = {
        (name, column): verdict.verdict
        for name, table in evaluation.tables.items()
        for column, verdict in table.columns.items()
    }
    return _roles(
        ((role,), found.get((name, column)))
        for name, table in truth.tables.items()
        for column, role in table.columns.items()
    )


def _roles(said: Iterable[tuple[Sequence[str], Verdict | None]]) -> Score:
    """What is right, and what was found."""
    counts, pairs = Counts(), []
    for legal, found in said:
        right = found is not None and found.role in legal
        counts += Counts(right, found is not None and not right, not right)
        if found is not None:
            pairs.append((found.confidence, right))
    return Score(counts, tuple(pairs), counts != Counts())


# over schemas


def micro(found: Iterable[Score]) -> Counts:
    """All schemas as if they were one."""
    return sum((s.counts for s in found), Counts())


def macro(found: Iterable[Score]) -> tuple[float, float, float] | None:
    """Means of precision, recall and F1 over the schemas that have something to find."""
    due = [s.counts for s in found if s.due]
    if not due:
        return None
    every = [(c.precision, c.recall, c.f1) for c in due]
    p, r, f = (sum(column) / len(due) for column in zip(*every, strict=True))
    return p, r, f


@dataclass(frozen=True)
class Calibration:
    """`green`: what share of the verdicts at 0.80 and more is right, None without any; `share`: how many those are."""

    number: int
    green: float | None
    share: float
    amber: float
    error: float


def calibration(pairs: Sequence[Pair]) -> Calibration | None:
    """Whether what was said with 0.9 is right nine times in ten: the expected error over ten bins."""
    if not pairs:
        return None
    high = [right for sure, right in pairs if sure >= GREEN]
    amber = sum(AMBER <= sure < GREEN for sure, _ in pairs)
    return Calibration(
        len(pairs),
        sum(high) / len(high) if high else None,
        len(high) / len(pairs),
        amber / len(pairs),
        calibration_error(pairs),
    )


def calibration_error(pairs: Sequence[Pair]) -> float:
    """The expected calibration error: the mean distance of what was said from what is right, by bins."""
    bins: dict[int, list[Pair]] = {}
    for sure, right in pairs:
        bins.setdefault(min(int(sure * BINS), BINS - 1), []).append((sure, right))
    apart = (abs(sum(sure for sure, _ in b) - sum(right for _, right in b)) for b in bins.values())
    return sum(apart) / len(pairs)


def share_of_amber(evaluations: Iterable[Evaluation]) -> float:
    """Of all verdicts: roles of tables and columns, keys, references."""
    found = [status(sure) for evaluation in evaluations for sure in _confidences(evaluation)]
    return found.count("amber") / len(found) if found else 0.0


def doubts(before: Evaluation, after: Evaluation) -> int:
    """How many green verdicts are green no longer."""
    pairs = zip(_confidences(before), _confidences(after), strict=True)
    return sum(status(was) == "green" != status(became) for was, became in pairs)


def _confidences(evaluation: Evaluation) -> Iterable[float]:
    for table in evaluation.tables.values():
        yield table.verdict.confidence
        yield table.key_confidence
        yield from (column.verdict.confidence for column in table.columns.values())
    yield from (reference.confidence for reference in evaluation.references)


def metrics(found: Mapping[str, Scores]) -> dict[str, float]:
    """By schema and task → the numbers of a run: all schemas as one, and the means over schemas (…_macro)."""
    result: dict[str, float] = {}
    for task in TASKS:
        own = [scores[task] for scores in found.values()]
        if any(s.due for s in own):
            result |= _numbers(task, own)
    return {name: round(value, 4) for name, value in result.items()}


def _numbers(task: str, found: Sequence[Score]) -> dict[str, float]:
    counts, means = micro(found), macro(found)
    result = {
        f"{task}_precision": counts.precision,
        f"{task}_recall": counts.recall,
        f"{task}_f1": counts.f1,
    }
    if means:
        names = ("precision", "recall", "f1")
        result |= {f"{task}_{name}_macro": mean for name, mean in zip(names, means, strict=True)}
    sure = calibration([pair for s in found for pair in s.pairs])
    if sure:
        result |= {f"{task}_calibration_error": sure.error, f"{task}_amber": sure.amber}
        result |= {} if sure.green is None else {f"{task}_precision_at_80": sure.green}
        result |= {f"{task}_share_at_80": sure.share}
    return result


def truth_of(document: Mapping[str, Any]) -> Truth:
    """A truth.json: tables with role and primary_key, foreign_keys, sensitive, sensitive_optional, secrets."""
    stated = [(_reference(f), bool(f.get("optional"))) for f in document.get("foreign_keys", ())]
    required = frozenset(key for key, optional in stated if not optional)
    return Truth(
        {name: _table(table) for name, table in document["tables"].items()},
        required,
        frozenset(key for key, optional in stated if optional) - required,
        private=frozenset(document.get("sensitive", ())),
        open=frozenset([*document.get("sensitive_optional", ()), *document.get("secrets", ())]),
    )


def _table(document: Mapping[str, Any]) -> TableTruth:
    role = document.get("role")
    roles = tuple(role) if isinstance(role, list) else (role,) if role else ()
    return TableTruth(roles, frozenset(document.get("primary_key") or ()), document.get("columns") or {})


def _reference(document: Mapping[str, Any]) -> Key:
    pairs = zip(document["columns"], document["ref_columns"], strict=True)
    return document["table"], frozenset(pairs), document["ref_table"]

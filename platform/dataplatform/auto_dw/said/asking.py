"""What an LLM is asked about, and in which order: the least sure first, so that a budget goes where it helps.

So tables of which something is not green come first, then, for a second opinion, those of which all is. What people
said and what constraints declare is not asked about.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from dataplatform.auto_dw.judge.verdicts import Evaluation, TableVerdict
from dataplatform.auto_dw.look.profiles import SchemaProfile, TableProfile
from dataplatform.auto_dw.said import opinions
from dataplatform.auto_dw.said.opinions import Answers, TableAnswer
from dataplatform.auto_dw.said.options import Options
from dataplatform.auto_dw.said.prompting import Prompt, prompts
from dataplatform.names import SYSTEM_PREFIX

if TYPE_CHECKING:
    from dataplatform.auto_dw.said.llm import Llm  # it imports openai, half a second


def order(schema: SchemaProfile, evaluation: Evaluation, tables: Sequence[str] = ()) -> list[str]:
    """Tables to ask about, the least sure first; those of which people have said everything are left out."""
    sure = {
        name: min(found)
        for name, table in schema.tables.items()
        if (not tables or name in tables) and (found := list(_open(table, evaluation.tables[name])))
    }
    return sorted(sure, key=lambda name: (sure[name], name))


def _open(table: TableProfile, verdict: TableVerdict) -> Iterator[float]:
    """How sure one is of each thing that an LLM may be asked about a table."""
    if not opinions.by_a_person(verdict.verdict.evidence):
        yield verdict.verdict.confidence
    if verdict.primary_key and not table.primary_key and not opinions.by_a_person(verdict.key_evidence):
        yield verdict.key_confidence
    for name, column in verdict.columns.items():
        if name.startswith(SYSTEM_PREFIX):
            continue
        if opinions.is_open(table, name, column):
            yield column.verdict.confidence
        if opinions.is_unsure_of_privacy(column):
            yield max(column.sensitive_confidence, 1 - column.sensitive_confidence)


def estimate(
    schema: SchemaProfile, evaluation: Evaluation, options: Options, tables: Sequence[str] = ()
) -> int:
    """Tokens that it would take at most, before any call."""
    asked = order(schema, evaluation, tables)
    every = (p for name in asked for p in prompts(schema.tables[name], evaluation, options))
    return options.samples * sum(p.tokens for p in every)


def ask(
    schema: SchemaProfile,
    evaluation: Evaluation,
    llm: Llm,
    progress: Callable[[str, int, int], None],
    tables: Sequence[str] = (),
) -> dict[str, Answers]:
    """What is said of the tables, as far as the budget goes."""
    wanted = order(schema, evaluation, tables)
    found: dict[str, Answers] = {}
    for number, name in enumerate(wanted):
        progress(name, number + 1, len(wanted))
        answers = _answers(schema.tables[name], prompts(schema.tables[name], evaluation, llm.options), llm)
        if answers.table:
            found[name] = answers
    return found


def _answers(table: TableProfile, asked: Sequence[Prompt], llm: Llm) -> Answers:
    """What is said of the table counts in the first part alone: it holds the columns that tell most."""
    parts: list[list[TableAnswer]] = [llm.answers(prompt) for prompt in asked]
    return Answers(parts[0], opinions.by_column(table, [answer for part in parts for answer in part]))

"""What an LLM is asked about a table: names, types, comments and statistics; values only where that is allowed.

It is not told what the table is held for, nor what is unclear about a column: its opinion is to be its own.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from dataplatform.auto_dw.judge.report import status
from dataplatform.auto_dw.judge.verdicts import Evaluation, TableVerdict
from dataplatform.auto_dw.look.profiles import ColumnProfile, TableProfile
from dataplatform.auto_dw.said.options import MATERIAL, Options
from dataplatform.names import SYSTEM_PREFIX

COLUMNS_AT_ONCE = 30  # a small model loses its thread in more
NEIGHBOURS = 12  # tables that are named as referring to it
CHARS_PER_TOKEN = 3.5  # a cautious guess before the server has counted
_TOKENS_A_COLUMN = 60  # of an answer


@dataclass(frozen=True)
class Prompt:
    """A text, and the tokens that its answer takes by a cautious guess."""

    text: str
    answer: int

    @property
    def tokens(self) -> int:
        """With those of the text itself."""
        return int(len(self.text) / CHARS_PER_TOKEN) + self.answer


def prompts(table: TableProfile, evaluation: Evaluation, options: Options) -> list[Prompt]:
    """One, or several where a table has many columns: the first is the one about the table itself."""
    columns = [c for c in table.columns if not c.name.startswith(SYSTEM_PREFIX)]
    parts = [columns[n : n + COLUMNS_AT_ONCE] for n in range(0, len(columns), COLUMNS_AT_ONCE)] or [[]]
    head = _head(table, evaluation)
    found = []
    for number, part in enumerate(parts):
        about = head | ({"part": f"{number + 1} of {len(parts)}"} if len(parts) > 1 else {})
        text = _text(about, list(_columns(table, part, evaluation, options.values)), options.prompt)
        found.append(Prompt(text, _TOKENS_A_COLUMN * (len(part) + 2)))
    return found


def _text(head: dict[str, Any], columns: Sequence[dict[str, Any]], prompt: str) -> str:
    """A line for the table, and one for each column. Nothing in it can end the material."""
    lines = [json.dumps(about, ensure_ascii=False) for about in (head, *columns)]
    return prompt.replace(MATERIAL, "\n".join(lines).replace("</data>", "<\\/data>"))


def _head(table: TableProfile, evaluation: Evaluation) -> dict[str, Any]:
    verdict = evaluation.tables[table.name]
    referring = dict.fromkeys(r.table for r in evaluation.references if r.ref_table == table.name)
    return {
        "table": table.name,
        **({"comment": table.comment[:500]} if table.comment else {}),
        "rows": table.rows,
        **_key(verdict),
        "referred_to_by": [name for name in referring if name != table.name][:NEIGHBOURS],
    }


def _key(verdict: TableVerdict) -> dict[str, Any]:
    """One that is sure, else those that it may be."""
    if status(verdict.key_confidence) == "green":
        return {"key": list(verdict.primary_key)}
    possible = [list(k) for k in (verdict.primary_key, *verdict.alternate_keys) if k]
    return {"possible_keys": sorted(possible)[:NEIGHBOURS]} if possible else {}


def _columns(
    table: TableProfile, columns: Sequence[ColumnProfile], evaluation: Evaluation, values: bool
) -> Iterator[dict[str, Any]]:
    verdict = evaluation.tables[table.name]
    references = {c: r for r in evaluation.of_table(table.name) for c in r.columns}
    for column in columns:
        about = _about(column)
        if column.name in references:
            reference = references[column.name]
            sure = status(reference.confidence) == "green"
            about["refers_to" if sure else "may_refer_to"] = reference.ref_table
        private = verdict.columns[column.name].sensitive or verdict.columns[column.name].secret
        if values and not private and column.sample:
            about["examples"] = [v[:40] for v in column.sample[:3]]
        yield about


def _about(column: ColumnProfile) -> dict[str, Any]:
    about: dict[str, Any] = {"column": column.name, "type": column.type, "distinct": column.distinct}
    if column.nulls:
        about["nulls"] = f"{column.nulls / max(1, column.rows):.0%}"
    return about | ({"comment": column.comment[:300]} if column.comment else {})

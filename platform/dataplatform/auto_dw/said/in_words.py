"""A question in words → SQL that a person reads, changes and runs. The LLM sees names and descriptions, no value."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dataplatform.auto_dw.said.options import MATERIAL, Options, of_settings
from dataplatform.auto_dw.said.prompting import Prompt
from dataplatform.errors import ServerError, TerminalError
from dataplatform.settings import Settings

if TYPE_CHECKING:
    from dataplatform.auto_dw.said.llm import Llm

LONGEST = 2_000  # characters of a question
MOST = 24_000  # characters of tables that the LLM is shown
ANSWER = 700  # tokens


@dataclass(frozen=True)
class TableTold:
    """A table as the LLM is told of it: name with schema, and each column with type and description."""

    name: str
    description: str
    columns: Sequence[tuple[str, str, str]]


def sql_for(settings: Settings, question: str, tables: Sequence[TableTold]) -> str:
    """Raises SettingsError where there is no LLM, TerminalError where it gives no SQL, ServerError for no answer."""
    if not question.strip() or len(question) > LONGEST:
        raise TerminalError("there is no question, or it is too long", f"at most {LONGEST:,} characters")
    options = of_settings(settings)
    llm = _llm(options)
    text = _prompt(question, tables)
    said = llm.written(Prompt(text, ANSWER))
    if not said:
        raise ServerError(
            f"the LLM at {options.address} gave no answer", "try again, or write the SQL yourself"
        )
    return _sql(said)


def _llm(options: Options) -> Llm:
    from dataplatform.auto_dw.said.llm import Llm  # imports openai, half a second

    return Llm(options, (lambda _: None, lambda *_: None))


def _prompt(question: str, tables: Sequence[TableTold]) -> str:
    from importlib.resources import files

    frame = (files(__package__) / "prompts" / "sql.md").read_text()
    parts, left = [], MOST
    for table in sorted(tables, key=lambda t: -_fits(question, t)):
        part = _told(table)
        if len(part) > left:
            continue
        parts.append(part)
        left -= len(part)
    material = "Tables:\n" + "\n".join(parts) + f"\n\nThe question, as JSON: {json.dumps(question.strip())}\n"
    return frame.replace(MATERIAL, material)


def _told(table: TableTold) -> str:
    columns = [f"  {name} {kind}{f' -- {_line(text)}' if text else ''}" for name, kind, text in table.columns]
    head = f"{table.name}{f' -- {_line(table.description)}' if table.description else ''}"
    return "\n".join([head, *columns])


def _line(text: str) -> str:
    return " ".join(text.split())[:160]


def _fits(question: str, table: TableTold) -> float:
    """Words in common; gold before the others where that is all there is to say."""
    asked = {w.rstrip("s") for w in re.findall(r"\w{3,}", question.lower())}
    text = f"{table.name} {table.description} {' '.join(c[0] for c in table.columns)}".lower()
    own = {w.rstrip("s") for w in re.findall(r"[^\W_]{3,}", text)}
    return len(asked & own) + (0.5 if table.name.startswith("gold.") else 0.0)


def _sql(said: str) -> str:
    """The statement in an answer, whatever was written around it."""
    fenced = re.search(r"```(?:sql|postgresql)?\s*\n(.*?)```", said, re.DOTALL | re.I)
    text = (fenced[1] if fenced else said).strip().rstrip(";").strip()
    if not re.match(r"(select|with|values)\b", text, re.I):
        raise TerminalError(
            "the LLM did not answer with a SELECT", "ask in other words, or write the SQL yourself"
        )
    return text


def told(tables: Mapping[str, tuple[str, Sequence[tuple[str, str, str]]]]) -> list[TableTold]:
    """From description and columns by table."""
    return [TableTold(name, description, columns) for name, (description, columns) in tables.items()]

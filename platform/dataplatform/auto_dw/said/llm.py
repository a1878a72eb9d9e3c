"""The LLM: names and describes, settles what is unclear. Any server that speaks OpenAI's protocol.

Servers differ: some take `response_format` json_schema, some only json_object, some neither; which one this
is shows at the first call. Every answer is validated, whatever the server promised. Its own idea of how sure
it is counts nothing: agreement of several answers does.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.resources import files
from typing import Any, Literal

import openai
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from dataplatform.auto_dw.judge.report import status
from dataplatform.auto_dw.judge.verdicts import ColumnVerdict, Evaluation, TableVerdict, Verdict
from dataplatform.auto_dw.look.profiles import ColumnProfile, SchemaProfile, TableProfile
from dataplatform.errors import ServerError, SettingsError

log = logging.getLogger(__name__)
_MODES = ("json_schema", "json_object", "text")
_CHARS_PER_TOKEN = 3.5  # a cautious guess before the server has counted


class ColumnAnswer(BaseModel):
    """What the LLM says about a column."""

    model_config = ConfigDict(extra="ignore")

    column: str
    name: str = Field(default="", max_length=80)
    description: str = Field(default="", max_length=400)
    role: Literal["key", "foreign_key", "measure", "attribute", "timestamp"] = "attribute"
    sensitive: bool = False


class TableAnswer(BaseModel):
    """What the LLM says about a table."""

    model_config = ConfigDict(extra="ignore")

    name: str = Field(default="", max_length=80)
    description: str = Field(default="", max_length=600)
    role: Literal["fact", "dimension", "bridge", "lookup", "other"]
    grain: str = Field(default="", max_length=300)
    columns: list[ColumnAnswer] = []


@dataclass
class Usage:
    """Tokens of a run, counted by the server; `calls` includes those that failed."""

    tokens: int = 0
    calls: int = 0
    cached: int = 0
    refused: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Options:
    """How the LLM is used; `values`: it may see samples (never of sensitive columns)."""

    url: str
    model: str
    key: str
    timeout: float
    budget: int
    samples: int
    values: bool


Cache = tuple[Callable[[str], Any | None], Callable[[str, Any, int], None]]


class Llm:
    """A server and what was learned about it."""

    def __init__(self, options: Options, cache: Cache) -> None:
        self.options, self.cache, self.usage = options, cache, Usage()
        self.mode = 0
        try:
            self.client = openai.OpenAI(
                base_url=options.url, api_key=options.key or "none", timeout=options.timeout, max_retries=1
            )
        except openai.OpenAIError as error:
            raise SettingsError(f"the LLM cannot be used: {error}", "check DATAPLATFORM_LLM_URL") from None

    def answers(self, prompt: str) -> list[TableAnswer]:
        """Several valid answers to a prompt, from the cache where they were given before."""
        found = []
        for number in range(self.options.samples):
            id_ = hashlib.blake2b(
                f"{self.options.model}\0{number}\0{prompt}".encode(), digest_size=16
            ).hexdigest()
            known = self.cache[0](id_)
            if known is not None:
                self.usage.cached += 1
                found.append(TableAnswer.model_validate(known))
                continue
            if self.usage.tokens + len(prompt) / _CHARS_PER_TOKEN > self.options.budget:
                self.usage.refused.append("the budget is spent")
                break
            answer, tokens = self._one(prompt, 0.0 if number == 0 else 0.7)
            self.usage.tokens += tokens
            if answer is not None:
                self.cache[1](id_, answer.model_dump(), tokens)
                found.append(answer)
        return found

    def _one(self, prompt: str, temperature: float) -> tuple[TableAnswer | None, int]:
        """One call; falls back to what the server understands. None where the answer is no good."""
        while True:
            self.usage.calls += 1
            try:
                reply = self.client.chat.completions.create(
                    model=self.options.model,
                    messages=[{"role": "user", "content": prompt}],
                    temperature=temperature,
                    **_format(_MODES[self.mode]),
                )
            except (openai.APITimeoutError, openai.RateLimitError) as error:
                self.usage.refused.append(type(error).__name__)
                return None, 0
            except openai.APIConnectionError as error:
                raise ServerError(
                    f"the LLM at {self.options.url} cannot be reached: {error}",
                    "start it, or unset DATAPLATFORM_LLM_URL: everything works without",
                ) from None
            except openai.AuthenticationError:
                raise SettingsError("the LLM's server refuses the key", "set DATAPLATFORM_LLM_KEY") from None
            except openai.APIStatusError as error:
                if self.mode + 1 < len(_MODES) and error.status_code in (400, 404, 415, 422, 500, 501):
                    self.mode += 1
                    log.info(
                        "the LLM's server does not take %s; trying %s",
                        _MODES[self.mode - 1],
                        _MODES[self.mode],
                    )
                    continue
                self.usage.refused.append(f"HTTP {error.status_code}")
                return None, 0
            choice = reply.choices[0] if reply.choices else None
            tokens = int(reply.usage.total_tokens) if reply.usage else int(len(prompt) / _CHARS_PER_TOKEN)
            if choice is None or choice.message.refusal or not choice.message.content:
                self.usage.refused.append("no answer")
                return None, tokens
            return self._valid(choice.message.content), tokens

    def _valid(self, text: str) -> TableAnswer | None:
        try:
            return TableAnswer.model_validate(_object(text))
        except (ValueError, ValidationError) as error:
            self.usage.refused.append(f"invalid: {str(error).splitlines()[0][:80]}")
            return None


def _format(mode: str) -> dict[str, Any]:
    if mode == "json_schema":
        schema = {"name": "table", "schema": TableAnswer.model_json_schema()}
        return {"response_format": {"type": "json_schema", "json_schema": schema}}
    return {"response_format": {"type": "json_object"}} if mode == "json_object" else {}


def _object(text: str) -> Any:
    """The JSON object in an answer, whatever was written around it."""
    match = re.search(r"\{.*\}", text, re.DOTALL)
    if match is None:
        raise ValueError("no JSON object")
    return json.loads(match[0])


def prompt_for(table: TableProfile, evaluation: Evaluation, values: bool) -> str:
    """Names, types, comments and statistics; values only where allowed, sensitive ones never."""
    verdict = evaluation.tables[table.name]
    references = {c: r.ref_table for r in evaluation.of_table(table.name) for c in r.columns}
    columns = []
    for column in table.columns:
        about = _about(column)
        if column.name in references:
            about["refers_to"] = references[column.name]
        private = verdict.columns[column.name].sensitive or verdict.columns[column.name].secret
        if values and not private and column.sample:
            about["examples"] = [v[:40] for v in column.sample[:3]]
        columns.append(about)
    material = {
        "table": table.name,
        "comment": table.comment[:500],
        "rows": table.rows,
        "key": list(verdict.primary_key),
        "columns": columns,
    }
    text = (files(__package__) / "prompts" / "table.md").read_text()
    safe = json.dumps(material, ensure_ascii=False, indent=1).replace("</data>", "<\\/data>")
    return text.format(material=safe)


def _about(column: ColumnProfile) -> dict[str, Any]:
    nulls = f"{column.nulls / max(1, column.rows):.0%}"
    about = {"column": column.name, "type": column.type, "nulls": nulls, "distinct": column.distinct}
    return about | ({"comment": column.comment[:300]} if column.comment else {})


def estimate(
    schema: SchemaProfile, evaluation: Evaluation, options: Options, tables: Sequence[str] = ()
) -> int:
    """Tokens that it would take at most, before any call."""
    total = 0.0
    for name, table in schema.tables.items():
        if tables and name not in tables:
            continue
        prompt = prompt_for(table, evaluation, options.values)
        total += options.samples * (len(prompt) / _CHARS_PER_TOKEN + 60 * (len(table.columns) + 2))
    return int(total)


def settle(
    schema: SchemaProfile,
    evaluation: Evaluation,
    llm: Llm,
    progress: Callable[[str, int, int], None],
    tables: Sequence[str] = (),
) -> Evaluation:
    """The evaluation with names and descriptions; unclear verdicts move by the answers' agreement."""
    wanted = [n for n in evaluation.tables if not tables or n in tables]
    result = dict(evaluation.tables)
    for number, name in enumerate(wanted):
        progress(name, number + 1, len(wanted))
        prompt = prompt_for(schema.tables[name], evaluation, llm.options.values)
        answers = llm.answers(prompt)
        if answers:
            result[name] = _merged(schema.tables[name], evaluation.tables[name], answers)
    return replace(evaluation, tables=result)


def _merged(table: TableProfile, verdict: TableVerdict, answers: Sequence[TableAnswer]) -> TableVerdict:
    role = _voted(
        verdict.verdict, [a.role for a in answers], ["fact", "dimension", "bridge", "lookup", "other"]
    )
    said: dict[str, list[ColumnAnswer]] = {}
    for answer in answers:
        for column in answer.columns:
            if column.column in verdict.columns:  # what the table does not have is ignored
                said.setdefault(column.column, []).append(column)
    columns = {n: _column(table, n, own, said.get(n, [])) for n, own in verdict.columns.items()}
    first = answers[0]
    return replace(
        verdict,
        verdict=role,
        columns=columns,
        name=verdict.name or first.name,
        description=verdict.description or first.description,
        grain=verdict.grain,
    )


def _voted(verdict: Verdict, votes: Sequence[str], legal: Sequence[str]) -> Verdict:
    """A green verdict stays; one that is unclear moves with the majority, as far as it agrees with itself."""
    if status(verdict.confidence) == "green" or not votes:
        return verdict
    best, count = Counter(v for v in votes if v in legal).most_common(1)[0]
    agreement = count / len(votes)
    text = f"the LLM says {best} ({count} of {len(votes)} answers)"
    if best == verdict.role:
        return Verdict(best, min(0.9, verdict.confidence + 0.25 * agreement), (*verdict.evidence, text))
    if agreement > 0.6 and verdict.confidence < 0.7:
        return Verdict(best, min(0.75, 0.45 + 0.3 * agreement), (text, *verdict.evidence))
    return Verdict(verdict.role, verdict.confidence * (1 - 0.15 * agreement), (*verdict.evidence, text))


def _column(
    table: TableProfile, name: str, own: ColumnVerdict, said: Sequence[ColumnAnswer]
) -> ColumnVerdict:
    if not said:
        return own
    votes = [s.role for s in said if _possible(table, name, own, s.role)]
    verdict = (
        _voted(own.verdict, votes, ["key", "foreign_key", "measure", "attribute", "timestamp"])
        if votes
        else own.verdict
    )
    private = sum(s.sensitive for s in said) / len(said)
    result = replace(
        own,
        verdict=verdict,
        name=own.name or said[0].name,
        description=own.description or said[0].description,
    )
    if private > 0.6 and not own.sensitive and table.by_name[name].kind == "text":
        share = round(0.5 + 0.3 * private, 2)
        why = (f"the LLM holds it for private ({private:.0%} of its answers)",)
        return replace(result, sensitive=True, sensitive_confidence=share, sensitive_evidence=why)
    return result


def _possible(table: TableProfile, name: str, judged: ColumnVerdict, role: str) -> bool:
    """What the data refute the LLM cannot claim: references and keys are found in the data alone."""
    column = table.by_name[name]
    if role == "foreign_key":
        return judged.verdict.role == "foreign_key"
    if role == "key":
        return judged.verdict.role == "key" or column.unique
    if role == "timestamp":
        return column.kind in ("date", "timestamp", "time")
    return role != "measure" or column.kind in ("integer", "number")


def counted(usage: Usage) -> Mapping[str, Any]:
    """What a run cost, for people and for JSON."""
    return {
        "tokens": usage.tokens,
        "calls": usage.calls,
        "cached": usage.cached,
        "refused": dict(Counter(usage.refused)),
    }

"""A server that speaks OpenAI's protocol, and what was learned about it. What comes of its answers others decide.

Servers differ: some take `response_format` json_schema, some only json_object, some neither; which one this
is shows at the first call. Every answer is validated, whatever the server promised.
"""

from __future__ import annotations

import base64
import hashlib
import json
import logging
import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import openai
from openai.types.chat import ChatCompletion
from pydantic import ValidationError

from dataplatform.auto_dw.said.opinions import TableAnswer
from dataplatform.auto_dw.said.options import Options, credentials
from dataplatform.auto_dw.said.prompting import Prompt
from dataplatform.errors import ServerError, SettingsError

log = logging.getLogger(__name__)
_MODES = ("json_schema", "json_object", "text")
_LONGEST = 2  # times what an answer should take: a small model may never come to an end
_OPTIONAL = ("max_tokens", "temperature")  # what some models refuse; the error names it
_NOT_TAKEN = (400, 404, 415, 422, 500, 501)  # what servers say to a response_format that they do not know

Cache = tuple[Callable[[str], Any | None], Callable[[str, Any, int], None]]


@dataclass
class Usage:
    """Tokens of a run, counted by the server; `calls` includes those that failed."""

    tokens: int = 0
    calls: int = 0
    cached: int = 0
    refused: list[str] = field(default_factory=list)


class Llm:
    """One server, one model, one budget."""

    def __init__(self, options: Options, cache: Cache) -> None:
        self.options, self.cache, self.usage = options, cache, Usage()
        self.mode, self.left_out = 0, set[str]()
        self.client = _client(options)

    @property
    def left(self) -> int:
        """Tokens that it may still use."""
        return max(0, self.options.budget - self.usage.tokens)

    def counted(self) -> Mapping[str, Any]:
        """What it cost up to now, for people and for JSON."""
        refused = dict(Counter(self.usage.refused))
        return {name: getattr(self.usage, name) for name in ("tokens", "calls", "cached")} | {
            "refused": refused
        }

    def answers(self, prompt: Prompt) -> list[TableAnswer]:
        """Several valid answers to a prompt, from the cache where they were given before."""
        found = []
        for number in range(self.options.samples):
            id_ = self._id(number, prompt)
            known = self.cache[0](id_)
            if known is not None:
                self.usage.cached += 1
                found.append(TableAnswer.model_validate(known))
                continue
            if prompt.tokens > self.left:
                self.usage.refused.append("the budget is spent")
                break
            answer, tokens = self._one(prompt, 0.0 if number == 0 else 0.7)
            self.usage.tokens += tokens
            if answer is not None:
                self.cache[1](id_, answer.model_dump(), tokens)
                found.append(answer)
        return found

    def written(self, prompt: Prompt) -> str:
        """One answer as plain text; empty where there is none, or where the budget does not allow it."""
        if prompt.tokens > self.left:
            self.usage.refused.append("the budget is spent")
            return ""
        self.mode = len(_MODES) - 1
        reply = self._reply(prompt, 0.0)
        choice = reply.choices[0] if reply is not None and reply.choices else None
        return "" if choice is None or choice.message.refusal else choice.message.content or ""

    def _id(self, number: int, prompt: Prompt) -> str:
        text = f"{self.options.model}\0{number}\0{prompt.text}"
        return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()

    def _one(self, prompt: Prompt, temperature: float) -> tuple[TableAnswer | None, int]:
        """One answer and its tokens; None where it is no good."""
        reply = self._reply(prompt, temperature)
        if reply is None:
            return None, 0
        choice = reply.choices[0] if reply.choices else None
        tokens = int(reply.usage.total_tokens) if reply.usage else prompt.tokens
        if choice is None or choice.message.refusal or not choice.message.content:
            self.usage.refused.append("no answer")
            return None, tokens
        return self._valid(choice.message.content), tokens

    def _reply(self, prompt: Prompt, temperature: float) -> ChatCompletion | None:
        """One call; falls back to what the server understands."""
        wanted: dict[str, Any] = {"max_tokens": _LONGEST * prompt.answer, "temperature": temperature}
        while True:
            self.usage.calls += 1
            try:
                reply: ChatCompletion = self.client.chat.completions.create(
                    model=self.options.model,
                    messages=[{"role": "user", "content": prompt.text}],
                    **{name: value for name, value in wanted.items() if name not in self.left_out},
                    **_format(_MODES[self.mode]),
                )
                return reply
            except (openai.APITimeoutError, openai.RateLimitError) as error:
                self.usage.refused.append(type(error).__name__)
                return None
            except openai.APIConnectionError as error:
                raise ServerError(
                    f"the LLM at {self.options.address} cannot be reached: {error}",
                    "start it, or unset DATAPLATFORM_LLM_URL: everything works without",
                ) from None
            except openai.AuthenticationError:
                raise SettingsError("the LLM's server refuses the key", "set DATAPLATFORM_LLM_KEY") from None
            except openai.APIStatusError as error:
                if not self._asks_for_less(error):
                    self.usage.refused.append(f"HTTP {error.status_code}")
                    return None

    def _asks_for_less(self, error: openai.APIStatusError) -> bool:
        """Leaves out what the error names, or goes on to the next form of answers that a server may know."""
        if error.status_code not in _NOT_TAKEN:
            return False
        named = {name for name in _OPTIONAL if name in str(error) and name not in self.left_out}
        if named:
            self.left_out |= named
            return True
        if self.mode + 1 == len(_MODES):
            return False
        self.mode += 1
        log.info("the LLM's server does not take %s; trying %s", _MODES[self.mode - 1], _MODES[self.mode])
        return True

    def _valid(self, text: str) -> TableAnswer | None:
        try:
            return TableAnswer.model_validate(_object(text))
        except (ValueError, ValidationError) as error:
            self.usage.refused.append(f"invalid: {str(error).splitlines()[0][:80]}")
            return None


def _client(options: Options) -> openai.OpenAI:
    """What the URL says of a user goes into a header: libraries log addresses."""
    known = credentials(options.url)
    basic = base64.b64encode(":".join(known).encode()).decode() if known else ""
    try:
        return openai.OpenAI(
            base_url=options.address,
            api_key=options.key or "none",
            timeout=options.timeout,
            max_retries=1,
            default_headers={"Authorization": f"Basic {basic}"} if basic else None,
        )
    except openai.OpenAIError as error:
        raise SettingsError(f"the LLM cannot be used: {error}", "check DATAPLATFORM_LLM_URL") from None


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

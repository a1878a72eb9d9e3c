"""What comes of profiles, verdicts and words together: the evaluation that everybody is shown and builds from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.engine import Engine

from dataplatform.auto_dw.judge.evaluate import evaluate
from dataplatform.auto_dw.judge.verdicts import Evaluation
from dataplatform.auto_dw.look import kept
from dataplatform.auto_dw.look.profiler import looks, row_hashes
from dataplatform.auto_dw.look.profiles import SchemaProfile, TableProfile
from dataplatform.auto_dw.said import answers, asking, decisions, kept_opinions, opinions, silver, wording
from dataplatform.auto_dw.said.decisions import SchemaDecision
from dataplatform.auto_dw.said.opinions import Answers
from dataplatform.auto_dw.said.options import Options, of_settings
from dataplatform.auto_dw.workspace import Workspace
from dataplatform.settings import Settings
from dataplatform.storage.postgres import connected, raw_connection

if TYPE_CHECKING:
    from dataplatform.auto_dw.said.llm import Llm  # imports openai, half a second: only where an LLM is asked


@dataclass(frozen=True)
class Judged:
    """A schema as it was seen, and what is said of it. `alone`: without what an LLM said before."""

    profiles: SchemaProfile
    evaluation: Evaluation
    alone: Evaluation | None = None


def judge(workspace: Workspace, fresh: bool = False) -> Judged:
    """The verdicts on a schema, by what is kept of it and a look at what has changed since; writes nothing."""
    decided = decisions.load(workspace.root).of(workspace.schema)
    return _judged(workspace, kept.look(workspace, decided.omit, fresh), decided)


def judge_and_keep(workspace: Workspace, fresh: bool = False) -> Judged:
    """The same, and what was seen is kept: the next time only what changed is looked at again."""
    decided = decisions.load(workspace.root).of(workspace.schema)
    seen = kept.look(workspace, decided.omit, fresh)
    kept.keep(workspace, seen)
    return _judged(workspace, seen, decided)


def _judged(workspace: Workspace, seen: SchemaProfile, decided: SchemaDecision) -> Judged:
    """People's words (comments, metadata/auto_dw.yaml, sources) come first, an LLM's where nobody said anything."""
    with connected(workspace.engine) as conn:
        if workspace.schema == silver.SCHEMA:
            decided = silver.with_sources(conn, workspace.catalog, decided)
        profiles = _with_keys_people_named(seen, decided)
        raw = raw_connection(conn)
        evaluation = evaluate(profiles, lambda table, columns: row_hashes(raw, table, columns), looks(raw))
        conn.rollback()  # what the profiler asked was read-only
        alone = wording.applied(conn, profiles, decisions.applied(evaluation, profiles, decided))
        said = _said_before(conn, workspace.settings, profiles)
        conn.rollback()
    return Judged(profiles, opinions.applied(profiles, alone, said), alone)


def _said_before(conn: sa.Connection, settings: Settings, profiles: SchemaProfile) -> dict[str, Answers]:
    """By the LLM that is in use; without one nothing was said."""
    return kept_opinions.kept(conn, settings.llm_model, profiles) if settings.llm_url else {}


def _with_keys_people_named(schema: SchemaProfile, decided: SchemaDecision) -> SchemaProfile:
    """A key that a person named counts like a declared one, for references too."""
    said = {n: t.primary_key for n, t in decided.tables.items() if t.primary_key}
    tables: dict[str, TableProfile] = {
        n: replace(t, primary_key=said[n]) if n in said and set(said[n]) <= set(t.by_name) else t
        for n, t in schema.tables.items()
    }
    return replace(schema, tables=tables)


def with_llm(
    workspace: Workspace, judged: Judged, tables: Sequence[str], say: Callable[[str], None]
) -> tuple[Evaluation, Mapping[str, Any]]:
    """The evaluation with what the LLM adds, and what that cost. What it says is kept: questions and plans know it."""
    llm, before = llm_of(workspace.engine, of_settings(workspace.settings)), judged.alone or judged.evaluation
    found = _asked(llm, judged.profiles, before, say, tables)
    with workspace.engine.begin() as conn:
        kept_opinions.keep(conn, llm.options.model, judged.profiles, found)
        said = kept_opinions.kept(conn, llm.options.model, judged.profiles)
        settled = opinions.applied(judged.profiles, before, said)
        wording.keep(conn, llm.options.model, judged.profiles, before, settled)
    return settled, llm.counted()


def llm_of(engine: Engine, options: Options) -> Llm:
    """An LLM whose answers are kept: asked the same again, it costs nothing."""
    from dataplatform.auto_dw.said.llm import Llm

    def known(id_: str) -> Any | None:
        with engine.connect() as conn:
            return answers.known_answer(conn, id_)

    def keep(id_: str, body: Any, tokens: int) -> None:
        with engine.begin() as conn:
            answers.put_answer(conn, id_, options.model, body, tokens)

    return Llm(options, (known, keep))


def settled_by(llm: Llm, judged: Judged, say: Callable[[str], None]) -> Evaluation:
    """The evaluation with what the LLM adds, as far as its budget goes; keeps its answers alone."""
    found = _asked(llm, judged.profiles, judged.evaluation, say, ())
    return opinions.applied(judged.profiles, judged.evaluation, found)


def _asked(
    llm: Llm,
    profiles: SchemaProfile,
    evaluation: Evaluation,
    say: Callable[[str], None],
    tables: Sequence[str],
) -> dict[str, Answers]:
    most = asking.estimate(profiles, evaluation, llm.options, tables)
    say(f"about {most:,} tokens at most, {llm.left:,} left of the budget")

    def progress(name: str, number: int, of: int) -> None:
        say(f"{number} of {of}: {name}")

    return asking.ask(profiles, evaluation, llm, progress, tables)

"""What the commands and the SQL functions call: evaluate a schema, with what people said about it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import sqlalchemy as sa
from sqlalchemy.engine import Engine

from dataplatform.auto_dw import decisions as people
from dataplatform.auto_dw import silver, state, wording
from dataplatform.auto_dw.decisions import Decisions, SchemaDecision
from dataplatform.auto_dw.evaluate import evaluate
from dataplatform.auto_dw.model import Evaluation, SchemaProfile, TableProfile
from dataplatform.auto_dw.profile import Scope, looks, profile, row_hashes
from dataplatform.errors import MetadataError, SettingsError
from dataplatform.metadata import load_catalog
from dataplatform.settings import Settings
from dataplatform.storage.postgres import database_errors, raw_connection


def look(engine: Engine, schema: str, decisions: Decisions, fresh: bool = False) -> SchemaProfile:
    """Profiles what changed since the last time; the rest comes from there."""
    own = decisions.of(schema)
    with database_errors(engine), engine.connect() as conn:
        known = {} if fresh else state.known_profiles(conn, schema)
        _must_exist(conn, schema)
        conn.rollback()
        found = profile(raw_connection(conn), Scope(schema, skip=own.omit), known)
        conn.rollback()
    with engine.begin() as conn:
        state.put_profiles(conn, schema, found.tables)
    return found


def _must_exist(conn: sa.Connection, schema: str) -> None:
    names = sa.inspect(conn).get_schema_names()
    if schema not in names:
        legal = ", ".join(n for n in names if n not in ("information_schema", "audit", "auto_dw"))
        raise MetadataError(f"there is no schema {schema}", f"schemas: {legal}; choose one with --schema")


def judge(engine: Engine, root: Path, schema: str, fresh: bool = False) -> tuple[SchemaProfile, Evaluation]:
    """The verdicts on a schema; people's words (comments, metadata/auto_dw.yaml, sources) come first."""
    decisions = people.load(root)
    found = look(engine, schema, decisions, fresh)
    with database_errors(engine), engine.connect() as conn:
        own = decisions.of(schema)
        if schema == silver.SCHEMA:
            own = silver.decided(conn, load_catalog(root), own)
        found = _keys_people_named(found, own)
        raw: psycopg.Connection = raw_connection(conn)
        judged = evaluate(
            found, lambda table, columns: row_hashes(raw, table, columns),
            looks(raw),
        )  # fmt: skip
        conn.rollback()  # what the profiler asked was read-only
        judged = wording.applied(conn, found, people.applied(judged, found, own))
        conn.rollback()
    return found, judged


def with_llm(
    engine: Engine, settings: Settings, profile: SchemaProfile, found: Evaluation, tables: Sequence[str],
    say: Callable[[str], None],
) -> tuple[Evaluation, Mapping[str, Any]]:  # fmt: skip
    """The evaluation with what the LLM adds, and what that cost. Answers are kept: a second run is free."""
    if not settings.llm_url:
        raise SettingsError(
            "there is no LLM: DATAPLATFORM_LLM_URL is not set",
            "set it to an OpenAI-compatible API, such as http://localhost:11434/v1, or leave out --llm",
        )
    # imports openai, half a second: only here, where an LLM is asked
    from dataplatform.auto_dw.llm import Llm, Options, counted, estimate, settle

    key = settings.llm_key.get_secret_value() if settings.llm_key else ""
    options = Options(
        settings.llm_url, settings.llm_model, key, settings.llm_timeout, settings.llm_budget,
        settings.llm_samples, settings.llm_values,
    )  # fmt: skip
    say(f"about {estimate(profile, found, options, tables):,} tokens at most, budget {options.budget:,}")

    def known(id_: str) -> Any | None:
        with engine.connect() as conn:
            return state.known_answer(conn, id_)

    def keep(id_: str, body: Any, tokens: int) -> None:
        with engine.begin() as conn:
            state.put_answer(conn, id_, options.model, body, tokens)

    llm = Llm(options, (known, keep))
    settled = settle(profile, found, llm, lambda name, n, of: say(f"{n} of {of}: {name}"), tables)
    with engine.begin() as conn:
        wording.keep(conn, options.model, profile, found, settled)
    return settled, counted(llm.usage)


def _keys_people_named(found: SchemaProfile, decisions: SchemaDecision) -> SchemaProfile:
    """A key that a person named counts like a declared one, for references too."""
    said = {n: t.primary_key for n, t in decisions.tables.items() if t.primary_key}
    tables: dict[str, TableProfile] = {
        n: replace(t, primary_key=said[n]) if n in said and set(said[n]) <= set(t.by_name) else t
        for n, t in found.tables.items()
    }
    return replace(found, tables=tables)

"""What is true of a schema, and the schema without it: what a judge is scored by it must not see.

The truth is a truth.json, or what people said (metadata/auto_dw.yaml, COMMENTs, a source's metadata) and what
constraints declare. People say only what they were asked: of references and private columns that nobody spoke of
nothing is known. A schema that declares a reference is taken to declare all of them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from dataplatform.auto_dw.experiments.scores import Key, TableTruth, Truth, key_of, truth_of
from dataplatform.auto_dw.judge.verdicts import Evaluation
from dataplatform.auto_dw.look.profiles import SchemaProfile, TableProfile
from dataplatform.auto_dw.said.decisions import SchemaDecision
from dataplatform.errors import MetadataError

FILE = "truth.json"


@dataclass(frozen=True)
class Words:
    """An evaluation of the schema under people's word, and what they decided: all that is sure in it was said."""

    evaluation: Evaluation
    decided: SchemaDecision


def without_words(schema: SchemaProfile) -> SchemaProfile:
    """The schema as if nobody had declared or described anything."""
    return replace(schema, tables={name: _bare(table) for name, table in schema.tables.items()})


def _bare(table: TableProfile) -> TableProfile:
    columns = tuple(replace(column, comment="") for column in table.columns)
    return replace(table, comment="", primary_key=(), uniques=(), references=(), columns=columns)


def of_file(places: tuple[Path, ...], schema: str) -> Truth | None:
    """The first truth.json for this schema; raises MetadataError where one is none. None where there is no file for it.

    A place is a file (of one schema, or with `schemas` by name) or a folder of FOLDER/<schema>/truth.json.
    """
    for place in places:
        if not place.exists():
            raise MetadataError(
                f"there is no file or folder {place}", "name a truth.json, or a folder of them"
            )
        path = place / schema / FILE if place.is_dir() else place
        document = _read(path) if path.is_file() else None
        named = document.get("schemas", {}).get(schema) if document and "schemas" in document else document
        if named is not None:
            return _truth(path, named)
    return None


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text())
    except ValueError as error:
        raise MetadataError(f"{path}: not JSON: {error}", "correct the file") from None
    if not isinstance(found, dict):
        raise MetadataError(f"{path} holds no object", "docs/auto_dw.md shows a truth.json")
    return found


def _truth(path: Path, document: Mapping[str, Any]) -> Truth:
    try:
        return truth_of(document)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise MetadataError(
            f"{path} is no truth: {type(error).__name__} {error}", "docs/auto_dw.md shows a truth.json"
        ) from None


def of_people(schema: SchemaProfile, words: Words) -> Truth | None:
    """What people said and constraints declare; None where nobody said anything."""
    tables = {name: _table(table, words) for name, table in schema.tables.items()}
    declared = {key_of(r) for table in schema.tables.values() for r in table.references}
    stated = _stated(schema, words)
    privacy = dict(_privacy(words))
    known = None if declared else {(key[0], column) for key in stated for column, _ in key[1]}
    if not (declared or stated or privacy or any(t != TableTruth() for t in tables.values())):
        return None
    return Truth(
        tables,
        frozenset(declared | stated),
        known_from=known,
        private=frozenset(c for c, private in privacy.items() if private),
        public=frozenset(c for c, private in privacy.items() if not private),
    )


def _table(table: TableProfile, words: Words) -> TableTruth:
    verdict = words.evaluation.tables[table.name]
    decided = words.decided.tables.get(table.name)
    roles = (verdict.verdict.role,) if _said(verdict.verdict.evidence) else ()
    key = frozenset((decided.primary_key if decided else ()) or table.primary_key)
    columns = {n: c.verdict.role for n, c in verdict.columns.items() if _said(c.verdict.evidence)}
    return TableTruth(roles, key, columns)


def _said(evidence: tuple[str, ...]) -> bool:
    """Somebody said what it is; a description alone does not."""
    return evidence[:1] == ("a person said so",)


def _stated(schema: SchemaProfile, words: Words) -> set[Key]:
    """References that people wrote down."""
    return {
        (name, frozenset({(column, about.references.rpartition(".")[2])}), about.references.split(".")[0])
        for name, table in words.decided.tables.items()
        if name in schema.tables
        for column, about in table.columns.items()
        if about.references
    }


def _privacy(words: Words) -> Iterator[tuple[str, bool]]:
    for name, table in words.evaluation.tables.items():
        for column, verdict in table.columns.items():
            if _said(verdict.sensitive_evidence):
                yield f"{name}.{column}", verdict.sensitive

"""How the records of a page are read, as the entity's metadata and the page's header say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from dataplatform.layers.bronze.numerals import notation_of
from dataplatform.layers.bronze.parse import Rule
from dataplatform.metadata.source import Entity


def reading_rule(entity: Entity, textual: bool) -> Rule:
    default = ("",) if textual else ()
    nulls = default if entity.null_values is None else entity.null_values
    return Rule(entity.key, frozenset(nulls), textual, notation_of(entity) if textual else None)


def page_rule(entity: Entity, header: Mapping[str, Any]) -> Rule:
    """How the records of a page are read. `settled`: bronze had read them already when retention wrote them."""
    rule = reading_rule(entity, bool(header.get("textual")))
    return replace(rule, null_values=frozenset(), notation=None) if header.get("settled") else rule

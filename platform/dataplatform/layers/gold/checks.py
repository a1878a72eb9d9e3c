"""Checks of a gold model, tried inside its transaction: a failed one keeps the old result."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import UTC, datetime

import psycopg
from psycopg import sql

from dataplatform.errors import ModelError
from dataplatform.metadata.check import Check
from dataplatform.metadata.gold import GoldModel
from dataplatform.quality import tables

log = logging.getLogger(__name__)


def run(
    raw: psycopg.Connection, model: GoldModel, relation: sql.Composable, only: Sequence[Check] | None = None
) -> None:
    """Raises ModelError naming every check that failed; logs those that only warn."""
    subject = tables.Subject(relation, "", datetime.now(UTC))
    try:
        results = tables.run(raw, subject, model.header.checks if only is None else only)
    except (psycopg.errors.UndefinedColumn, psycopg.errors.UndefinedTable) as error:
        raise ModelError(
            f"{model.file}: a check names what is not there: {error.diag.message_primary}",
            "correct the name under `checks:`",
        ) from None
    for result in results:
        if result.status == "warned":
            log.warning("%s: %s: %s", model.name, result.check, result.found)
    failed = [result.found for result in results if result.status == "failed"]
    if failed:
        raise ModelError(
            f"{model.file}: {model.name} was not replaced, its checks failed: {'; '.join(failed)}",
            "correct the data or the model; readers still see the previous result",
        )

"""Which of the keys that a column's name fits is nearest: `shop_order.customer_id` refers to `shop_customer`, not to
`club_customer`, where several programs share a schema, or several sources silver.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dataplatform.auto_dw.judge.candidate_references import Pair
from dataplatform.auto_dw.judge.forest import Matrix
from dataplatform.auto_dw.judge.naming import family
from dataplatform.auto_dw.names.words import table_words

NEARNESS = ("lead", "lead_ahead", "kin_ahead", "nearer")
WHOLE = 0.99  # share of a column's values that a key has, from which it may be what is meant
NO_RIVAL = 9.0


def nearness(pairs: Sequence[Pair]) -> Matrix:
    """`NEARNESS` of all pairs of one column, row by row.

    `lead`: how many words its table's name and the parent's begin with; `lead_ahead` and `kin_ahead`: how many more
    they have in common than with any other parent that the column's name fits as well and that has its values;
    `nearer`: of how many of those the name begins more like its own.
    """
    lead, kin = (np.array([f(p) for p in pairs], float) for f in (_lead, _kin))
    named = np.array([p.naming for p in pairs])
    possible = np.array([p.empty or p.held >= WHOLE for p in pairs])
    rivals = (named[None, :] >= named[:, None] - 1e-9) & possible[None, :] & ~np.eye(len(pairs), dtype=bool)
    nearer = (rivals & (lead[None, :] > lead[:, None])).sum(1)
    return np.column_stack([lead, _ahead(lead, rivals), _ahead(kin, rivals), nearer])


def _lead(pair: Pair) -> int:
    mine, its = table_words(pair.table.called), table_words(pair.parent.called)
    return next(
        (n for n, (a, b) in enumerate(zip(mine, its, strict=False)) if a != b), min(len(mine), len(its))
    )


def _kin(pair: Pair) -> float:
    return family(pair.table, pair.parent)


def _ahead(value: Matrix, rivals: Matrix) -> Matrix:
    """How far each is ahead of the best of its rivals."""
    best = np.where(rivals, value[None, :], -np.inf).max(1, initial=-np.inf)
    return np.where(np.isinf(best), NO_RIVAL, value - np.where(np.isinf(best), 0.0, best))

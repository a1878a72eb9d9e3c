"""What an LLM adds on schemas that were judged by what was learned without them: autodw_llm.py [EVERY [TOKENS]]

Takes every EVERY-th public schema (3), judges it by trees and curves of the other folds, and lets the LLM of
DATAPLATFORM_LLM_URL, _LLM_MODEL, _LLM_PROMPT settle what is unclear, TOKENS (4,000) a schema. Prints F1 and the share
that is right of what is green, without and with it, with the spread over folds, calls, tokens and seconds. Judgements
and answers are kept in benchmarks/out, so that a run that was stopped goes on where it was.
"""

from __future__ import annotations

import json
import pickle
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from autodw import PARTS
from autodw_cases import Case, cases
from autodw_tables import prepared
from autodw_variants import variants
from dataplatform.auto_dw.experiments import scores, truth
from dataplatform.auto_dw.judge.evaluate import evaluate
from dataplatform.auto_dw.judge.verdicts import Evaluation
from dataplatform.auto_dw.said.llm import Llm
from dataplatform.auto_dw.said.options import Options, of_settings
from dataplatform.auto_dw.said.outcome import Judged, settled_by
from dataplatform.settings import Settings
from train_autodw import folds, train

OUT = Path(__file__).parent / "out"
KEPT, ANSWERS = OUT / "autodw_evaluations.pickle", OUT / "autodw_llm.jsonl"
Found = dict[str, tuple[int, Judged]]  # by schema: the fold, and the judgement by the others


def judged(every: int) -> Found:
    """Plain names alone; whole tables of evidence, where the folds' benchmark keeps what is scored."""
    ready = prepared(variants(cases()))
    part = [int(n) for n in folds([p.case for p in ready], PARTS)]
    names = sorted({p.case.name for p in ready})[::every]
    found: Found = {}
    for number in range(PARTS):
        learned = train([p for p, own in zip(ready, part, strict=True) if own != number])
        for p, own in zip(ready, part, strict=True):
            if own == number and p.case.level == "plain" and p.case.name in names:
                found[p.case.name] = number, _judged(p.case, learned)
    return found


def _judged(case: Case, learned: Any) -> Judged:
    bare = truth.without_words(case.schema)
    return Judged(bare, evaluate(bare, case.rows, learned=learned))


def kept(every: int) -> Found:
    if not KEPT.exists():
        OUT.mkdir(exist_ok=True)
        KEPT.write_bytes(pickle.dumps((every, judged(every))))
    known, found = pickle.loads(KEPT.read_bytes())
    if known != every:
        raise SystemExit(f"{KEPT} is of every {known}th schema: remove it, or say {known}")
    return dict(found)


def llm_of(options: Options) -> Llm:
    """Its answers are kept in a file, a line each."""
    lines = ANSWERS.read_text().splitlines() if ANSWERS.exists() else []
    known = {row["id"]: row["answer"] for row in map(json.loads, lines)}

    def keep(id_: str, body: Any, tokens: int) -> None:
        with ANSWERS.open("a") as file:
            file.write(json.dumps({"id": id_, "answer": body, "tokens": tokens}) + "\n")

    return Llm(options, (known.get, keep))


def settled(found: Found, options: Options) -> tuple[dict[str, Evaluation], dict[str, Any]]:
    after, cost = {}, {"calls": 0, "tokens": 0, "cached": 0, "seconds": 0.0}
    for name, (_, before) in found.items():
        llm, start = llm_of(options), time.perf_counter()
        after[name] = settled_by(
            llm, before, lambda text, name=name: print(f"{name}: {text}", file=sys.stderr)
        )  # type: ignore[misc]  # bound now
        counted = llm.counted()
        for one in ("calls", "tokens", "cached"):
            cost[one] += counted[one]
        cost["seconds"] += round(time.perf_counter() - start, 1)
    return after, cost


def table(found: Found, true: Mapping[str, truth.Truth], after: Mapping[str, Evaluation]) -> list[str]:
    """A line a metric: without, with, what it gained, and the spread of that over folds."""
    before = {name: one.evaluation for name, (_, one) in found.items()}
    all_before, all_after = _metrics(true, before, found), _metrics(true, after, found)
    by_fold = [
        (_metrics(true, before, mine), _metrics(true, after, mine))
        for number in range(PARTS)
        if (mine := [name for name, (fold, _) in found.items() if fold == number])
    ]
    lines = ["| | without | with | gained | spread over folds |", "|---|---|---|---|---|"]
    for name in all_before:
        gains = [b[name] - a[name] for a, b in by_fold if name in a and name in b]
        gained, spread = all_after[name] - all_before[name], float(np.std(gains))
        lines.append(
            f"| {name} | {all_before[name]:.3f} | {all_after[name]:.3f} | {gained:+.3f} | {spread:.3f} |"
        )
    amber = [scores.share_of_amber(one.values()) for one in (before, after)]
    return [*lines, f"| amber | {amber[0]:.3f} | {amber[1]:.3f} | {amber[1] - amber[0]:+.3f} | |"]


def _metrics(
    true: Mapping[str, truth.Truth], said: Mapping[str, Evaluation], names: Sequence[str] | Found
) -> dict[str, float]:
    return scores.metrics({name: scores.score(true[name], said[name]) for name in names})


def main(every: str = "3", tokens: str = "4000") -> None:
    options = replace(of_settings(Settings()), budget=int(tokens))
    found = kept(int(every))
    true = {c.name: scores.truth_of(c.truth) for c in cases(levels=["plain"]) if c.name in found}
    after, cost = settled(found, options)
    tables = sum(len(one.profiles.tables) for _, one in found.values())
    print(f"{options.model}, {len(found)} schemas, {tables} tables: {cost}")
    print("\n".join(table(found, true, after)))


if __name__ == "__main__":
    main(*sys.argv[1:])

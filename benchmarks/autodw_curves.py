"""Curves from chances to how often they hold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from autodw_tables import Prepared, taken, weight_of
from autodw_trees import Labels, Table
from dataplatform.auto_dw.judge import evaluate
from dataplatform.auto_dw.judge.forest import Matrix


def key_curve(found: Sequence[Prepared], chances: Sequence[Any]) -> list[tuple[float, float]]:
    """Of the likeliest key of each table."""
    said, right, weight = [], [], []
    for p, own in zip(found, chances, strict=True):
        for table, keys in own.items():
            truth = p.case.truth["tables"][table]["primary_key"]
            best = max(keys, key=lambda k: keys[k])
            if truth:
                said.append(keys[best])
                right.append(float(set(best) == set(truth)))
                weight.append(weight_of(p.case))
    return curve(np.array(said), np.array(right), np.array(weight))


def composite_curve(
    found: Sequence[Prepared], structures: Sequence[evaluate.Structure]
) -> list[tuple[float, float]]:
    said, right, weight = [], [], []
    for p, own in zip(found, structures, strict=True):
        true = {
            (f["table"], frozenset(zip(f["columns"], f["ref_columns"], strict=True)), f["ref_table"])
            for f in p.case.truth["foreign_keys"]
        }
        for r in own.references:
            if len(r.columns) > 1:
                said.append(r.confidence)
                right.append(float((r.table, r.pairs, r.ref_table) in true))
                weight.append(weight_of(p.case))
    return curve(np.array(said), np.array(right), np.array(weight))


def privacy_curve(
    found: Sequence[Prepared], table: Table, chances: Matrix, least: float
) -> list[tuple[float, float]]:
    """Of columns that have their names. Every schema counts the same: one with many private columns, which are easy to
    tell, must not speak for the many with few."""
    columns = [sum(len(t.columns) for t in p.case.schema.tables.values()) for p in found]
    total = np.bincount(table.case)
    named = np.concatenate([np.arange(n) < own for n, own in zip(total, columns, strict=True)])
    counted = named & (table.weight > 0)
    number = np.bincount(table.case[counted & (chances >= least)], minlength=len(found))
    weight = np.where(counted, 1 / np.maximum(1, number[table.case]), 0.0)
    return curve(chances, table.right, weight)


def choice_curve(table: Table, scores: Matrix) -> list[tuple[float, float]]:
    """Of the likeliest of several; `table` may have the same thing more than once, each time with another right one."""
    said, right, weight = [], [], []
    chances = np.exp(scores - scores.max(axis=1, keepdims=True))
    chances /= chances.sum(axis=1, keepdims=True)
    first = np.unique(table.groups, return_index=True)[1]
    for row in first:
        same = table.groups == table.groups[row]
        said.append(chances[row].max())
        right.append(float(chances[row].argmax() in table.right[same]))
        weight.append(table.weight[same].sum())
    return curve(np.array(said), np.array(right), np.array(weight))


def neither_curve(
    found: Sequence[Prepared], structures: Sequence[evaluate.Structure]
) -> list[tuple[float, float]]:
    """Of columns that are held for no part of a key and to refer to nothing: whether that is so."""
    said, right, weight = [], [], []
    for p, own in zip(found, structures, strict=True):
        truth = p.case.truth
        keys, refer = taken(truth)
        for place, chance in evaluate.neither(p.case.schema, own).items():
            if truth["tables"][place[0]]["primary_key"]:
                said.append(chance)
                right.append(float(place not in keys | refer))
                weight.append(weight_of(p.case))
    return curve(np.array(said), np.array(right), np.array(weight))


def curve(said: Matrix, right: Labels, weight: Labels) -> list[tuple[float, float]]:
    """Isotonic: how often what was said with such a chance was right. Bins of like chances, then never falling."""
    kept = weight > 0
    said, right, weight = said[kept], right[kept], weight[kept]
    edges = np.unique(np.concatenate([[0.0], np.quantile(said[said > 0.02], np.linspace(0, 1, 15)), [1.0]]))
    place = np.clip(np.searchsorted(edges, said, side="right") - 1, 0, len(edges) - 2)
    points: list[list[float]] = []  # chance, share that was right, weight
    for number in np.unique(place):
        inside = place == number
        total, mean = weight[inside].sum(), np.average(said[inside], weights=weight[inside])
        doubt = 2 * weight[inside].mean()  # as if two more had been seen, of which as many right as was said
        share = (np.sum(weight[inside] * right[inside]) + doubt * mean) / (total + doubt)
        points.append([mean, share, total])
        while len(points) > 1 and points[-2][1] > points[-1][1]:
            (x, y, n), (x0, y0, n0) = points.pop(), points.pop()
            points.append([(x * n + x0 * n0) / (n + n0), (y * n + y0 * n0) / (n + n0), n + n0])
    ends = (
        [(0.0, 0.0), *((x, y) for x, y, _ in points)]
        if points[0][0] > 0.02
        else [(x, y) for x, y, _ in points]
    )
    return [(round(float(x), 4), round(float(min(max(y, 0.0), 0.999)), 4)) for x, y in ends]

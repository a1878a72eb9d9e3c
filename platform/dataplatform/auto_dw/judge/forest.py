"""Boosted trees as plain data: made by benchmarks/train_autodw.py, evaluated here with numpy alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from dataplatform.errors import TerminalError

Matrix = npt.NDArray[np.float64]
BLOCK = 16_384  # rows that are evaluated at once: their places in the trees stay in the processor's cache


@dataclass(frozen=True)
class Forest:
    """Trees one after the other. A node sends a row left where its feature is at most the threshold.

    `left`, `right`: the next node, or of a leaf -1 minus its place in `values`. `roots`: the first node of each tree;
    tree n adds to output n modulo `outputs`.
    """

    features: tuple[str, ...]
    feature: npt.NDArray[np.int32]
    threshold: npt.NDArray[np.float32]
    left: npt.NDArray[np.int32]
    right: npt.NDArray[np.int32]
    values: npt.NDArray[np.float64]
    roots: npt.NDArray[np.int32]
    outputs: int = 1

    def scores(self, names: Sequence[str], rows: Matrix) -> Matrix:
        """Shape (rows, features) → (rows, outputs): sums of leaves; log odds, or what the training made them mean."""
        if tuple(names) != self.features:
            raise TerminalError(
                "the learned trees do not fit the features", "python benchmarks/train_autodw.py"
            )
        found = np.zeros((len(rows), self.outputs))
        for start in range(0, len(rows), BLOCK):
            block = rows[start : start + BLOCK].astype(np.float32)
            for number, root in enumerate(self.roots):
                found[start : start + BLOCK, number % self.outputs] += self._tree(block, int(root))
        return found

    def _tree(self, rows: npt.NDArray[np.float32], root: int) -> Matrix:
        at = np.full(len(rows), root, np.int32)
        going = np.arange(len(rows)) if root >= 0 else np.empty(0, np.int64)
        while len(going):
            node = at[going]
            goes_left = rows[going, self.feature[node]] <= self.threshold[node]
            at[going] = np.where(goes_left, self.left[node], self.right[node])
            going = going[at[going] >= 0]
        found: Matrix = self.values[-1 - at]
        return found


def read(body: Mapping[str, Any]) -> Forest:
    """A forest from the JSON object that `written` makes."""
    return Forest(
        features=tuple(body["features"]),
        feature=np.array(body["feature"], np.int32),
        threshold=np.array(body["threshold"], np.float32),
        left=np.array(body["left"], np.int32),
        right=np.array(body["right"], np.int32),
        values=np.array(body["values"], np.float64),
        roots=np.array(body["roots"], np.int32),
        outputs=int(body["outputs"]),
    )


def written(forest: Forest) -> dict[str, Any]:
    """The forest as a JSON object."""
    return {
        "features": list(forest.features),
        "outputs": forest.outputs,
        "roots": forest.roots.tolist(),
        "feature": forest.feature.tolist(),
        "threshold": [float(f"{t:.9g}") for t in forest.threshold],
        "left": forest.left.tolist(),
        "right": forest.right.tolist(),
        "values": [float(f"{v:.6g}") for v in forest.values],
    }

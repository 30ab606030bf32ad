"""How scores become the weights of values in `attention`, and what scalar work that is.

========  ==============================================================================================
softmax   exponentials over their sum, shifted by a row's largest score (arXiv 1706.03762)
sigmoid   ``1 / (1 + exp(-score))``: no row's maximum and no sum, so that a weight depends on its pair alone
          (Ramapuram et al., arXiv 2409.04431)
softplus  ``log(1 + exp(score))**power`` over their sum: nothing overflows, so that no maximum is sought
          (Gao and Spratling, arXiv 2501.13428)
========  ==============================================================================================

A score that is minus infinity has the weight 0 in each. Rows without any key give 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from siliform.graph_ir.ops.softmax import shifted_exponentials

KINDS = ("softmax", "sigmoid", "softplus")


@dataclass(frozen=True)
class Weighting:
    """One of `KINDS` with the number that is added to every score, and the power of softplus.

    ValueError where that makes no sense.
    """

    kind: str = "softmax"
    bias: float = 0.0
    power: int = 1

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"attention with {self.kind!r} weights; there are {', '.join(KINDS)}")
        if self.kind == "softmax" and self.bias:
            raise ValueError(f"a bias of {self.bias} on all scores, which softmax cancels")
        if self.power < 1 or (self.power > 1 and self.kind != "softplus"):
            raise ValueError(f"{self.kind} weights to the power of {self.power}; softplus has powers from 1")

    @staticmethod
    def of(attributes: dict[str, Any]) -> Weighting:
        """That of an attention's attributes."""
        return Weighting(
            attributes.get("weights", "softmax"), attributes.get("bias", 0.0), attributes.get("power", 1)
        )

    @property
    def normalised(self) -> bool:
        """Whether the weights of a row are divided by their sum."""
        return self.kind != "sigmoid"

    @property
    def rescales(self) -> bool:
        """Whether what a row has gathered is rescaled where keys come in parts.

        A later part may hold a larger score than the one that all are shifted by.
        """
        return self.kind == "softmax"

    @property
    def running(self) -> int:
        """Numbers of each row that go on from one part of its keys to the next, beside what is gathered.

        The largest score where one is sought, and the sum where weights are divided by it.
        """
        return int(self.rescales) + int(self.normalised)

    def grown(self, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Weights of scores [..., keys] before they are divided, and what divides each row, [..., 1]."""
        if self.kind == "softmax":
            _, grown, total = shifted_exponentials(scores, -1)
            return grown, total
        biased = scores + self.bias
        decay = np.exp(-np.abs(biased))
        if self.kind == "sigmoid":
            grown = np.where(biased >= 0, 1, decay) / (1 + decay)
            return grown, np.ones_like(grown[..., :1])
        grown = (np.maximum(biased, 0) + np.log1p(decay)) ** self.power
        return grown, np.sum(grown, axis=-1, keepdims=True)

    def greatest(self, grown: np.ndarray) -> np.ndarray:
        """What a quantised form of `grown` maps onto its format's greatest value, [..., 1]."""
        if self.kind != "softplus":
            return np.ones_like(grown[..., :1])
        top = np.max(grown, axis=-1, keepdims=True)
        return np.where(top > 0, top, 1)

    def per_score(self) -> list[tuple[str, dict[str, int]]]:
        """Passes over all scores that make the weights: what each reads and writes, and its operations.

        Places are "score" and "row", as in "score, row -> score".
        """
        if self.kind == "softmax":
            return [("score -> row", {"compare": 1}), ("score, row -> score", {"add": 1, "exp": 1})]
        biased = 1 if self.bias else 0
        if self.kind == "sigmoid":
            return [("score -> score", {"sigmoid": 1, **({"add": 1} if biased else {})})]
        raised = {"mul": self.power - 1} if self.power > 1 else {}
        return [("score -> score", {"add": 1 + biased, "exp": 1, "log": 1, **raised})]

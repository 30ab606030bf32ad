"""What an attention mask says: full, causal, a window, or neither with its exact density."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from siliform.graph_ir.graph import Graph, Node, Value
from siliform.graph_ir.interpret import run_node

#: An additive mask at or below this leaves a point out: PyTorch models use the least number of their
#: format, older ones -1e4, and exp(x) is 0 in fp32 below -104 (IEEE 754 binary32, least subnormal 2^-149).
LEAVES_OUT = -1e4


@dataclass(frozen=True)
class Content:
    """What a mask does.

    Attributes
    ----------
    pattern : "full", "causal" or "window", which say all about the points left out, or "declared".
    window : as the op `attention` counts it: keys that a query of a causal window sees, itself
        included; or twice the reach of a symmetric one, plus one. 0 where there is none.
    density : share of the points that the mask keeps.
    needed : whether the mask says more than the pattern does.
    """

    pattern: str
    window: int
    density: float
    needed: bool


def content(mask: np.ndarray, queries: int, keys: int) -> Content:
    """Read a mask that broadcasts to [..., queries, keys].

    Boolean: True where a query attends. Otherwise it is added to the scores, and leaves a point out
    where it is at most `LEAVES_OUT`. Causal and window are aligned to the end: the last query sees
    the last key.
    """
    kept, biased = _kept(_distinct(np.asarray(mask)))
    density = float(np.count_nonzero(kept) / kept.size) if kept.size else 1.0
    if kept.all():
        return Content("full", 0, 1.0, needed=biased)
    pattern, window = _pattern(kept, queries, keys)
    return Content(pattern, window, density, needed=biased or pattern == "declared")


def _distinct(mask: np.ndarray) -> np.ndarray:
    """The mask with one element for every axis along which it merely repeats."""
    cut = tuple(slice(0, 1) if stride == 0 else slice(None) for stride in mask.strides)
    return mask[cut]


def _kept(mask: np.ndarray) -> tuple[np.ndarray, bool]:
    """Which points stay, and whether any of those gets something added."""
    if mask.dtype == np.bool_:
        return mask, False
    kept = mask > LEAVES_OUT
    return kept, bool((kept & (mask != 0)).any())


def _pattern(kept: np.ndarray, queries: int, keys: int) -> tuple[str, int]:
    plane = kept.reshape(-1, *kept.shape[-2:])
    if queries > keys or (plane[1:] != plane[:1]).any():
        return "declared", 0
    rows = np.broadcast_to(plane[0], (queries, keys))
    ahead = np.arange(keys) - (np.arange(queries)[:, None] + keys - queries)
    if np.array_equal(rows, ahead <= 0):
        return "causal", 0
    window = int(np.count_nonzero(rows[-1]))
    if np.array_equal(rows, (ahead <= 0) & (ahead > -window)):
        return "causal", window
    reach = int(np.max(ahead, where=rows, initial=0))
    if np.array_equal(rows, abs(ahead) <= reach):
        return "window", 2 * reach + 1
    return "declared", 0


class ConstantValues:
    """Arrays of values that depend on constants alone, found through the views between them."""

    def __init__(self, graph: Graph) -> None:
        self._producers: Mapping[str, Node] = graph.producers
        self._known: dict[str, Any] = {
            v.name: graph.data[v.name] for v in graph.constants if v.name in graph.data
        }
        self._unknown = {v.name for v in graph.given} - set(self._known)

    def __call__(self, value: Value) -> Any | None:
        """The array, or None where the value depends on anything else."""
        if value.name in self._known or value.name in self._unknown:
            return self._known.get(value.name)
        node = self._producers.get(value.name)
        if node is None or node.op.movement != "view" or any(self(v) is None for v in node.operands):
            self._unknown.add(value.name)
            return None
        for made, array in zip(node.outputs, run_node(node, self._known), strict=True):
            self._known[made.name] = array
        return self._known[value.name]

    def learn(self, node: Node) -> None:
        """Take in a node that a pass adds: its results are known where its operands are."""
        if any(self(v) is None for v in node.operands):
            return
        for made, array in zip(node.outputs, run_node(node, self._known), strict=True):
            self._known[made.name] = array

    def scalar(self, value: Value) -> float | None:
        """The one number that a constant value holds everywhere, or None."""
        array = None if value.type.elements != 1 else self(value)
        return None if array is None else float(np.asarray(array).flat[0])

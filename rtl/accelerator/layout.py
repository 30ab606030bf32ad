"""Where elements lie: addresses through views, and loops over them that a command can say.

Every value that is no view has a storage of its own, its elements row by row, a byte each. A view is its
operand's storage seen otherwise; its addresses are found by letting the view's own reference move the
addresses of what it is a view of.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from siliform.graph_ir.errors import UserError
from siliform.graph_ir.graph import Graph, Value


@dataclass(frozen=True, eq=False)
class Placed:
    """A value's elements: the storage they lie in, and each one's byte in it, int64 of the value's shape."""

    home: Value
    bytes: np.ndarray

    def words(self, size: int, where: str) -> np.ndarray:
        """The word of each run of `size` elements along the last axis, int64 [..., last / size].

        UserError where a run is cut by the end of a row, or its bytes do not lie side by side in one word.
        """
        *lead, last = self.bytes.shape
        if last % size:
            raise UserError(
                asked=f"{self.home.name} in words of {size} bytes",
                found=f"rows of {last} elements",
                where=where,
                next_step=f"choose widths, head widths and lengths that are multiples of {size}",
            )
        runs = self.bytes.reshape(*lead, last // size, size)
        if (runs[..., 0] % size).any() or (np.diff(runs, axis=-1) != 1).any():
            raise UserError(
                asked=f"{self.home.name} in words of {size} bytes",
                found="elements of a row that lie apart",
                where=where,
                next_step="let a node compute it in this order; commands cannot gather single elements",
            )
        words: np.ndarray = runs[..., 0] // size
        return words

    def turned(self) -> Placed:
        """The same elements with the last two axes exchanged."""
        return Placed(self.home, np.swapaxes(self.bytes, -1, -2))


class Layouts:
    """The addresses of every value of a graph."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self._known: dict[str, Placed] = {}

    def of(self, value: Value) -> Placed:
        """Where a value's elements lie."""
        if value.name not in self._known:
            self._known[value.name] = self._found(value)
        return self._known[value.name]

    def home(self, value: Value) -> Value:
        """The value whose storage this one is, or is a view of."""
        return self.of(value).home

    def _found(self, value: Value) -> Placed:
        node = self.graph.producers.get(value.name)
        if node is None or node.op.movement != "view":
            return Placed(value, np.arange(value.type.elements).reshape(value.type.shape))
        seen = self.of(node.operands[0])
        moved = node.op.reference(seen.bytes, **node.attributes)
        results = moved if isinstance(moved, tuple) else (moved,)
        place = next(i for i, v in enumerate(node.outputs) if v.name == value.name)
        return Placed(seen.home, np.asarray(results[place], np.int64))


def loops_of(words: np.ndarray, where: str) -> tuple[int, tuple[int, ...]]:
    """The base and the strides of addresses that are affine in their indices: ``base + sum(stride * i)``.

    UserError where they are not.
    """
    base = int(words.flat[0])
    strides = []
    for axis, extent in enumerate(words.shape):
        second = [0] * words.ndim
        second[axis] = min(1, extent - 1)
        strides.append(int(words[tuple(second)]) - base)
    if (words != base + _affine(words.shape, strides)).any():
        raise UserError(
            asked="the addresses of an operand as nested loops",
            found=f"words {words.reshape(-1)[:6].tolist()} ..., which no strides give",
            where=where,
            next_step="let a node compute the operand in this order; a command has one stride a loop",
        )
    return base, tuple(strides)


def _affine(shape: Sequence[int], strides: Sequence[int]) -> np.ndarray:
    total = np.zeros(tuple(shape), np.int64)
    for axis, stride in enumerate(strides):
        index = np.arange(shape[axis]).reshape([-1 if a == axis else 1 for a in range(len(shape))])
        total = total + stride * index
    return total

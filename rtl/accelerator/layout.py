"""Where elements lie: addresses through views, and loops over them that a command can say.

Every value that is no view has a storage of its own, a byte an element: row by row, or, where it is read
through one view only that shows all its rows in another order, in that view's order. A view is its operand's
storage seen otherwise; its addresses are found by letting the view's own reference move the addresses of what
it is a view of.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from siliform.graph_ir.errors import UserError
from siliform.graph_ir.graph import Graph, Node, Value


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
        self._rows: dict[str, int] = {}

    def of(self, value: Value) -> Placed:
        """Where a value's elements lie."""
        if value.name not in self._known:
            self._known[value.name] = self._found(value)
        return self._known[value.name]

    def home(self, value: Value) -> Value:
        """The value whose storage this one is, or is a view of."""
        return self.of(value).home

    def row_elements(self, home: Value) -> int:
        """Elements of a row of a value's storage."""
        self.of(home)
        return self._rows[home.name]

    def _found(self, value: Value) -> Placed:
        node = self.graph.producers.get(value.name)
        if node is None or node.op.movement != "view":
            return Placed(value, self._stored(value))
        seen = self.of(node.operands[0])
        return Placed(seen.home, _seen_through(node, value, seen.bytes))

    def _stored(self, value: Value) -> np.ndarray:
        """The byte of each element of a value in its own storage."""
        rows = np.arange(value.type.elements).reshape(value.type.shape)
        given = any(v.name == value.name for v in (*self.graph.given, *self.graph.outputs))
        shown = list(self._shown(value, rows))
        self._rows[value.name] = rows.shape[-1] if rows.ndim else 1
        if given or len(shown) != 1 or shown[0].size != rows.size:
            return rows
        # Element shown[0][i] is the i-th in the view's order.
        order = np.empty(rows.size, np.int64)
        order[shown[0].reshape(-1)] = np.arange(rows.size)
        found = order.reshape(rows.shape)
        if (np.diff(found, axis=-1) != 1).any():  # the view turns rows, which are written as words
            return rows
        self._rows[value.name] = shown[0].shape[-1]
        return found

    def _shown(self, value: Value, bytes: np.ndarray) -> Iterator[np.ndarray]:
        """What the nodes that are no views read of a value, an array for each way through views."""
        for node in self.graph.consumers.get(value.name, ()):
            if node.op.movement != "view":
                yield bytes
                continue
            for result in node.outputs:
                yield from self._shown(result, _seen_through(node, result, bytes))


def _seen_through(node: Node, value: Value, bytes: np.ndarray) -> np.ndarray:
    """One result of a view, of the addresses of its operand's elements."""
    moved = node.op.reference(bytes, **node.attributes)
    results = moved if isinstance(moved, tuple) else (moved,)
    place = next(i for i, v in enumerate(node.outputs) if v.name == value.name)
    return np.asarray(results[place], np.int64)


def loops_of(words: np.ndarray, where: str) -> tuple[int, tuple[int, ...]]:
    """The base and the strides of addresses that are affine in their indices: ``base + sum(stride * i)``.

    UserError where they are not.
    """
    if not is_nest(words):
        raise UserError(
            asked="the addresses of an operand as nested loops",
            found=f"words {words.reshape(-1)[:6].tolist()} ..., which no strides give",
            where=where,
            next_step="let a node compute the operand in this order; a command has one stride a loop",
        )
    return int(words.flat[0]), _strides(words)


def is_nest(words: np.ndarray) -> bool:
    """Whether addresses are affine in their indices."""
    total = np.full(words.shape, words.flat[0], np.int64)
    for axis, stride in enumerate(_strides(words)):
        index = np.arange(words.shape[axis]).reshape([-1 if a == axis else 1 for a in range(words.ndim)])
        total = total + stride * index
    return bool((words == total).all())


def _strides(words: np.ndarray) -> tuple[int, ...]:
    """From the first element to the second along each axis; 0 along an axis of one."""
    found = []
    for axis, extent in enumerate(words.shape):
        second = [0] * words.ndim
        second[axis] = min(1, extent - 1)
        found.append(int(words[tuple(second)]) - int(words.flat[0]))
    return tuple(found)

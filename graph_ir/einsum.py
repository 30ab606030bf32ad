"""Two-operand einsums as batched matrix products, so that NumPy hands them to BLAS."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import prod

import numpy as np

#: Labels that stand for the axes of an ellipsis; subscripts are lower case.
_ELLIPSIS = "ZYXWVUTSRQPONMLKJIHGFEDCBA"


@dataclass(frozen=True)
class Labels:
    """Subscripts with one letter per axis: of the two operands, and of the result.

    Attributes
    ----------
    extents : by label; an axis of an operand may have the extent 1 instead, where it broadcasts.
    """

    a: str
    b: str
    result: str
    extents: Mapping[str, int]

    @property
    def summed(self) -> str:
        """Labels of both operands that the result does not have, in the order of the first."""
        return "".join(label for label in self.a if label not in self.result)

    @property
    def terms(self) -> int:
        """Products that make up one element of the result."""
        return prod(self.extents[label] for label in self.summed)

    def over(self, terms: int) -> Labels:
        """The same labels where the only summed one has another extent."""
        return replace(self, extents={**self.extents, self.summed: terms})

    def along_result(self, values: np.ndarray, own: str) -> np.ndarray:
        """`values`, labelled `own` and constant along the sum, shaped to broadcast against the result."""
        if values.ndim == 0:
            return values
        first = values[tuple(slice(None) if label in self.result else slice(1) for label in own)]
        kept = [own.index(label) for label in self.result if label in own]
        rest = [axis for axis in range(len(own)) if axis not in kept]
        extents = [first.shape[own.index(label)] if label in own else 1 for label in self.result]
        return first.transpose(kept + rest).reshape(extents)


def parse(subscripts: str, shape_a: tuple[int, ...], shape_b: tuple[int, ...]) -> Labels:
    """The labels of ``"...mk,...kn->...mn"`` for operands of these shapes.

    ValueError where the subscripts do not fit the shapes, a label comes twice in one operand, or a
    label is neither in the result nor in both operands.
    """
    operands, _, result = subscripts.replace(" ", "").partition("->")
    texts = operands.split(",")
    if len(texts) != 2 or "->" not in subscripts:
        raise ValueError(f"{subscripts!r} is no einsum of two operands with a result")
    lengths = [
        len(shape) - len(t.replace("...", "")) for t, shape in zip(texts, (shape_a, shape_b), strict=True)
    ]
    ranks = [n if "..." in t else 0 for t, n in zip(texts, lengths, strict=True)]
    if any(n < 0 or n != rank for n, rank in zip(lengths, ranks, strict=True)):
        raise ValueError(f"{subscripts!r} does not fit operands of shapes {shape_a} and {shape_b}")
    longest = _ELLIPSIS[-max(ranks) :] if max(ranks) else ""
    a, b = (t.replace("...", longest[len(longest) - n :]) for t, n in zip(texts, ranks, strict=True))
    labels = Labels(a, b, result.replace("...", longest), _extents(subscripts, (a, shape_a), (b, shape_b)))
    for own, other in ((a, b), (b, a)):
        if len(set(own)) != len(own) or set(own) - set(labels.result) - set(other):
            raise ValueError(f"{subscripts!r} repeats a label, or sums one that a single operand has")
    return labels


def multiply(a: np.ndarray, b: np.ndarray, labels: Labels) -> np.ndarray:
    """The sum of products by `np.matmul`, in the dtype of the operands."""
    own_a, own_b = _without_broadcast(a, labels.a, labels), _without_broadcast(b, labels.b, labels)
    a, b = a.reshape([labels.extents[x] for x in own_a]), b.reshape([labels.extents[x] for x in own_b])
    batch = [x for x in own_a if x in own_b and x in labels.result]
    summed = [x for x in own_a if x not in labels.result]
    rows = [x for x in own_a if x in labels.result and x not in own_b]
    columns = [x for x in own_b if x in labels.result and x not in own_a]
    left = _matrix(a, own_a, labels, batch, rows, summed)
    right = _matrix(b, own_b, labels, batch, summed, columns)
    product = np.matmul(left, right)
    order = batch + rows + columns
    # A label of the result whose every operand axis broadcasts has the extent 1.
    order += [x for x in labels.result if x not in order]
    found = product.reshape([labels.extents[x] for x in order])
    return found.transpose([order.index(x) for x in labels.result])


def _matrix(
    values: np.ndarray, own: str, labels: Labels, batch: list[str], rows: list[str], columns: list[str]
) -> np.ndarray:
    ordered = values.transpose([own.index(x) for x in (*batch, *rows, *columns)])
    sizes = [[labels.extents[x] for x in group] for group in (batch, rows, columns)]
    return ordered.reshape(*sizes[0], prod(sizes[1]), prod(sizes[2]))


def _without_broadcast(values: np.ndarray, own: str, labels: Labels) -> str:
    """The operand's labels without the axes of extent 1 that broadcast."""
    return "".join(x for x, n in zip(own, values.shape, strict=True) if n == labels.extents[x])


def _extents(subscripts: str, *operands: tuple[str, tuple[int, ...]]) -> dict[str, int]:
    extents: dict[str, int] = {}
    for own, shape in operands:
        for label, extent in zip(own, shape, strict=True):
            known = extents.setdefault(label, extent)
            if known != extent and (label.islower() or 1 not in (known, extent)):
                raise ValueError(f"{subscripts!r}: the label {label!r} has the extents {known} and {extent}")
            extents[label] = extent if known == 1 else known
    return extents

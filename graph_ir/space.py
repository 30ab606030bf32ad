"""Iteration spaces: the work of an op, as loops, accesses and a scalar body.

One description yields the op counts, the operand footprints and the normal form in which a
matrix engine sees the op. It is written in the notation of an einsum with optional sums of
indices::

    Space.over("b m k, b k n -> b m n", {"mac": 1}, b=12, m=128, n=128, k=64)
    Space.over("n g c oh+kh ow+kw, g o c kh kw -> n g o oh ow", {"mac": 1}, n=1, g=1, ...)
    Space.over("n c 2*o+3*k-1<224, c d k -> n d o", {"mac": 1}, ...)   # stride 2, dilation 3, padding 1

A reduction of n numbers counts n scalar operations, the first one onto the initial value, as a
multiply-accumulate does. Only products that a matrix engine could do are counted as ``mac``; the
sums and squares of a norm are ``add`` and ``mul``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from math import prod

import numpy as np

#: Every scalar operation a body may count. A unit prices each of them or refuses the op.
SCALAR_OPS = (
    "mac",  # multiply and add into an accumulator
    "add",  # also subtract, negate
    "mul",
    "div",
    "compare",  # also max, min, select, sign, absolute value
    "logic",  # bitwise and boolean
    "round",  # also floor, ceil, convert between formats
    "exp",
    "log",
    "rsqrt",  # also sqrt
    "reciprocal",
    "sin",  # also cos
    "tanh",
    "sigmoid",
    "erf",
    "gelu",  # exact or tanh form as one table look-up
    "silu",
    "pow",
    "random",
)


@dataclass(frozen=True)
class Window:
    """How the dims of one axis add up to an index: ``sum(step * dim) - offset``.

    An index outside ``[0, length)`` is padding: it touches no element. A `length` of None sets no
    upper end.
    """

    steps: tuple[int, ...]
    offset: int = 0
    length: int | None = None

    def touched(self, extents: tuple[int, ...]) -> int:
        """Distinct elements that dims of these extents touch, padding left out."""
        if 0 in extents:
            return 0
        largest_first = sorted(zip(extents, self.steps, strict=True), reverse=True)
        span = sum(step * (extent - 1) for extent, step in largest_first) + 1
        hit = np.zeros(span, dtype=bool)
        hit[0] = True
        width = 1
        for extent, step in largest_first:
            if width == 1:
                hit[: step * (extent - 1) + 1 : max(step, 1)] = True
            else:
                before = hit[:width].copy()
                for position in range(1, extent):
                    hit[step * position : step * position + width] |= before
            width += step * (extent - 1)
        stop = span if self.length is None else self.offset + self.length
        return int(np.count_nonzero(hit[self.offset : stop]))


@dataclass(frozen=True)
class Access:
    """Which dims index each axis of one operand. An axis may be a sum of dims (a sliding window).

    `windows` holds, per axis, the steps, offset and length of a strided or padded one, and None
    for a plain sum; it is empty where every axis is a plain sum.
    """

    axes: tuple[tuple[str, ...], ...]
    windows: tuple[Window | None, ...] = ()

    @cached_property
    def dims(self) -> frozenset[str]:
        return frozenset(dim for axis in self.axes for dim in axis)

    def elements(self, extents: Mapping[str, int]) -> int:
        """Distinct elements touched: a sum of dims spans the sum of (extent - 1), plus one."""
        total = 1
        for position, axis in enumerate(self.axes):
            own = tuple(extents[dim] for dim in axis)
            window = self.windows[position] if self.windows else None
            if window is not None:
                total *= window.touched(own)
            else:
                total *= 0 if 0 in own else sum(extent - 1 for extent in own) + 1
        return total


@dataclass(frozen=True)
class Contraction:
    """The normal form of a `mac` space on a matrix engine: `batch` products of M x N x K.

    `points` is the number of multiply-accumulates that are really done (masks left out). Where `steps` is
    more than 1, so many groups of ``batch / steps`` products follow each other, each reading what the one
    before wrote.
    """

    batch: int
    m: int
    n: int
    k: int
    points: int
    steps: int = 1

    @property
    def dense_points(self) -> int:
        return self.batch * self.m * self.n * self.k


@dataclass(frozen=True)
class Space:
    """Loops over `extents`, reading `reads`, writing `writes`, doing `body` at every kept point.

    Attributes
    ----------
    extents : loop extent of each dim.
    reads, writes : one Access per operand read, and per result written, in order.
    body : scalar operations (see SCALAR_OPS) per point; empty for pure movement.
    kept : points really executed, where a mask or a data-dependent choice leaves some out;
        None means all of them.
    density_source : "exact" when `kept` follows from the attributes, "declared" when it is a
        density that the user stated about the data.
    sequential : the dim along which a point reads what the one before wrote, which can thus not be spread
        over units; "" for none. An operand indexed by it is then what was written, or was there before.
    """

    extents: Mapping[str, int]
    reads: tuple[Access, ...]
    writes: tuple[Access, ...]
    body: Mapping[str, int] = field(default_factory=dict)
    kept: int | None = None
    density_source: str = "exact"
    sequential: str = ""

    def __post_init__(self) -> None:
        unknown = set(self.body) - set(SCALAR_OPS)
        if unknown:
            raise ValueError(f"scalar operations {sorted(unknown)} are not in SCALAR_OPS")
        named = frozenset().union(*(a.dims for a in (*self.reads, *self.writes)))
        if named - set(self.extents):
            raise ValueError(f"dims {sorted(named - set(self.extents))} have no extent")
        if self.sequential and self.sequential not in self.extents:
            raise ValueError(f"the sequential dim {self.sequential!r} has no extent")
        if self.kept is not None and not 0 <= self.kept <= prod(self.extents.values()):
            raise ValueError(f"kept={self.kept} of {prod(self.extents.values())} points")

    @classmethod
    def over(
        cls,
        accesses: str,
        body: Mapping[str, int],
        sizes: Mapping[str, int] | None = None,
        *,
        kept: int | None = None,
        density_source: str = "exact",
        sequential: str = "",
        **extents: int,
    ) -> Space:
        """Parse ``"reads -> writes"``: operands split by commas, axes by blanks, sums by ``+``.

        A strided or padded axis is written ``2*o+k-1<224``: stride 2, padding 1, 224 elements. The
        extent of every dim comes from `sizes` or from a keyword.
        """
        left, _, right = accesses.partition("->")
        return cls(
            {**(sizes or {}), **extents},
            _parse(left),
            _parse(right),
            dict(body),
            kept,
            density_source,
            sequential,
        )

    @classmethod
    def elementwise(cls, shape: tuple[int, ...], body: Mapping[str, int], operands: int = 1) -> Space:
        """One result of `shape` from `operands` of the same shape, `body` at each element."""
        return cls.over(", ".join(["i"] * operands) + " -> i", body, i=prod(shape))

    @property
    def dense_points(self) -> int:
        """Points with masks ignored."""
        return prod(self.extents.values())

    @property
    def points(self) -> int:
        """Points executed."""
        return self.dense_points if self.kept is None else self.kept

    @property
    def density(self) -> Fraction:
        """Executed share of the points."""
        return Fraction(self.points, self.dense_points) if self.dense_points else Fraction(1)

    @property
    def reduced(self) -> frozenset[str]:
        """Dims that no result is indexed by."""
        return frozenset(self.extents) - frozenset().union(*(a.dims for a in self.writes))

    @property
    def macs(self) -> int:
        """Multiply-accumulates executed."""
        return self.points * self.body.get("mac", 0)

    @property
    def macs_dense(self) -> int:
        """Multiply-accumulates with masks ignored."""
        return self.dense_points * self.body.get("mac", 0)

    def count(self, scalar_op: str) -> int:
        """How often one scalar operation is executed."""
        return self.points * self.body.get(scalar_op, 0)

    def contraction(self) -> Contraction | None:
        """The M, N, K form, or None where the body is not one multiply-accumulate of two operands.

        A dim in both operands and the result is batch; in the first and the result is M; in the
        second and the result is N; in the operands only is K. A dim of a single operand that is
        not in the result is summed beforehand and makes the space no contraction.
        """
        if dict(self.body) != {"mac": 1} or len(self.reads) < 2 or len(self.writes) != 1:
            return None
        first, second, result = self.reads[0].dims, self.reads[1].dims, self.writes[0].dims
        size = {"batch": 1, "m": 1, "n": 1, "k": 1}
        for dim, extent in self.extents.items():
            where = (dim in first, dim in second, dim in result)
            role = {
                (True, True, True): "batch",
                (True, False, True): "m",
                (False, True, True): "n",
                (True, True, False): "k",
            }.get(where)
            if role is None:
                return None
            size[role] *= extent
        steps = self.extents[self.sequential] if self.sequential else 1
        return Contraction(**size, points=self.points, steps=steps)


def _parse(operands: str) -> tuple[Access, ...]:
    texts = operands.split(",") if operands.strip() else []
    return tuple(_access(text.split()) for text in texts)


def _access(texts: list[str]) -> Access:
    axes, windows = zip(*map(_axis, texts), strict=True) if texts else ((), ())
    return Access(axes, windows if any(window is not None for window in windows) else ())


def _axis(text: str) -> tuple[tuple[str, ...], Window | None]:
    """``"2*o+k-1<224"`` as its dims (o, k) and its window (steps 2 and 1, offset 1, length 224)."""
    index, _, length = text.partition("<")
    terms, _, offset = index.partition("-")
    pairs = [term.rpartition("*") for term in terms.split("+")]
    dims = tuple(dim for _, _, dim in pairs)
    if not (length or offset or "*" in terms):
        return dims, None
    steps = tuple(int(step) if step else 1 for step, _, _ in pairs)
    return dims, Window(steps, int(offset or 0), int(length) if length else None)

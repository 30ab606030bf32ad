"""Why a measured kernel is far from its prediction, as far as the data themselves say."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from siliform.gpu import Judged, Worst

if TYPE_CHECKING:
    from collections.abc import Callable

NEARER = 0.5  # assumption: another row explains this one where it is off by half as much, of the logarithm
SOONER, LATER = 0.8, 1.25  # assumption: of the time, beyond what measuring the same kernel again differs by
WIDE = 256  # columns of a head that FlashAttention's kernels hold (README of Dao-AILab/flash-attention)
EACH = 3  # of one table at most, so that one table's habit does not fill the list


def worst_rows(tables: Sequence[Judged], count: int) -> tuple[Worst, ...]:
    """The farthest rows by the factor between predicted and measured, at most EACH of a table."""
    found: list[tuple[float, Judged, int]] = []
    for table in tables:
        factors = np.abs(np.log(table.predicted_s / table.measured_s))
        last = np.argsort(factors)[::-1][:EACH]
        found += [(float(factors[i]), table, int(i)) for i in last]
    found.sort(key=lambda each: -each[0])
    return tuple(_worst(tables, table, index) for _, table, index in found[:count])


def _worst(tables: Sequence[Judged], table: Judged, index: int) -> Worst:
    return Worst(
        table.family,
        table.design,
        table.framework,
        table.format,
        table.shapes(index),
        float(table.measured_s[index]),
        float(table.predicted_s[index]),
        _reason(tables, table, index),
    )


def _reason(tables: Sequence[Judged], table: Judged, index: int) -> str:
    """The first of some tests that holds; what none explains is said to be unexplained."""
    if table.reason is not None:
        return table.reason(index)
    tests: tuple[Callable[..., str], ...] = (_other_framework, _larger_is_faster, _smaller_is_slower, _wide)
    reasons = (test(tables, table, index) for test in tests)
    return next((reason for reason in reasons if reason), "the law, as far as the tables tell")


def _other_framework(tables: Sequence[Judged], table: Judged, index: int) -> str:
    """The same shape on the same GPU by another framework, much nearer to the prediction."""
    for other in tables:
        same = (other.family, other.design, other.format) == (table.family, table.design, table.format)
        if not same or other.framework == table.framework or other.sizes is None:
            continue
        at = np.flatnonzero((other.sizes == table.sizes[index]).all(1))
        off = np.log(table.predicted_s[index] / other.measured_s[at])
        if at.size and abs(off[0]) < NEARER * _off(table)[index]:
            return f"{other.framework} measured {_time(other.measured_s[at[0]])} of the same shape"
    return ""


def _larger_is_faster(_: Sequence[Judged], table: Judged, index: int) -> str:
    """A kernel with no less of anything that was over clearly sooner, as it was predicted: the choice of a
    kernel, not its work.
    """
    if table.predicted_s[index] > table.measured_s[index]:
        return ""
    more = _comparable(table, index) & (table.sizes >= table.sizes[index]).all(1)
    sooner = np.flatnonzero(more & (table.measured_s < SOONER * table.measured_s[index]))
    if not sooner.size:
        return ""
    least = sooner[np.argmin(table.measured_s[sooner])]
    return f"a larger one is faster: {table.shapes(int(least))} took {_time(table.measured_s[least])}"


def _smaller_is_slower(_: Sequence[Judged], table: Judged, index: int) -> str:
    """A kernel with no more of anything that took clearly longer, as it was predicted."""
    if table.predicted_s[index] < table.measured_s[index]:
        return ""
    less = _comparable(table, index) & (table.sizes <= table.sizes[index]).all(1)
    later = np.flatnonzero(less & (table.measured_s > LATER * table.measured_s[index]))
    if not later.size:
        return ""
    most = later[np.argmax(table.measured_s[later])]
    return f"a smaller one is slower: {table.shapes(int(most))} took {_time(table.measured_s[most])}"


def _comparable(table: Judged, index: int) -> Any:
    """Rows that differ in extents alone (of products all, of attentions those of one window) and are much
    nearer to their predictions: one that is as far off would explain nothing.
    """
    off = _off(table)
    nearer = off < NEARER * off[index]
    return nearer if table.family == "gemm" else nearer & (table.sizes[:, -1] == table.sizes[index, -1])


def _off(table: Judged) -> Any:
    """How far each row is from its prediction, by the factor's logarithm."""
    return np.abs(np.log(table.predicted_s / table.measured_s))


def _wide(_: Sequence[Judged], table: Judged, index: int) -> str:
    if table.family == "gemm" or table.sizes[index, -2] <= WIDE:
        return ""
    return f"heads wider than {WIDE} have another kernel"


def _time(seconds: float) -> str:
    return f"{seconds * 1e6:.1f} us" if seconds < 1e-3 else f"{seconds * 1e3:.2f} ms"

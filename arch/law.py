"""Arithmetic that timing and traffic laws are written in.

A law is a pure function of counts. Written with these helpers it takes Python ints, which are
exact at any size, and NumPy int64 arrays, which broadcast, and gives the same numbers for both;
where an int64 would wrap it raises OverflowError instead.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np

#: A count: a Python int, or an int64 array of them that broadcasts with the others.
Count: TypeAlias = Any

INT64_MAX = 2**63 - 1  # two's complement, 64 bits


def ceil_div(dividend: Count, divisor: Count) -> Count:
    """``ceil(dividend / divisor)`` in integers; the divisor is positive."""
    return -(-dividend // divisor)


def maximum(first: Count, second: Count) -> Count:
    """The larger of two counts, elementwise."""
    if _is_array(first) or _is_array(second):
        return np.maximum(first, second)
    return max(first, second)


def minimum(first: Count, second: Count) -> Count:
    """The smaller of two counts, elementwise."""
    if _is_array(first) or _is_array(second):
        return np.minimum(first, second)
    return min(first, second)


def where(condition: Any, then: Count, otherwise: Count) -> Count:
    """`then` where the condition holds, else `otherwise`; both are always evaluated."""
    if any(_is_array(value) for value in (condition, then, otherwise)):
        return np.where(condition, then, otherwise)
    return then if condition else otherwise


def checked_product(*factors: Count) -> Count:
    """The product of non-negative counts; OverflowError where int64 would wrap."""
    product: Count = 1
    for factor in factors:
        if _is_array(product) or _is_array(factor):
            if np.any(np.asarray(product) > INT64_MAX // np.maximum(factor, 1)):
                raise OverflowError(
                    "a product of counts exceeds 2**63 - 1: pass Python ints, which are exact"
                )
            product = np.asarray(product, np.int64) * np.asarray(factor, np.int64)
        else:
            product = product * factor
    return product


def checked_sum(*terms: Count) -> Count:
    """The sum of non-negative counts; OverflowError where int64 would wrap."""
    total: Count = 0
    for term in terms:
        if _is_array(total) or _is_array(term):
            if np.any(np.asarray(total) > INT64_MAX - np.asarray(term)):
                raise OverflowError("a sum of counts exceeds 2**63 - 1: pass Python ints, which are exact")
            total = np.asarray(total, np.int64) + np.asarray(term, np.int64)
        else:
            total = total + term
    return total


def ragged_sum_ceil(extent: Count, tile: Count, side: Count) -> Count:
    """``sum(ceil(t / side))`` over the tiles that cut `extent` into pieces of `tile` and a rest."""
    tiles = ceil_div(extent, tile)
    rest = extent - (tiles - 1) * tile
    return (tiles - 1) * ceil_div(tile, side) + ceil_div(rest, side)


def streaming_cycles(count: Count, per_cycle: Count, startup_cycles: Count = 0) -> Count:
    """A pipelined unit: ``startup + ceil(count / per_cycle)``, and nothing for no work."""
    return where(count == 0, 0, startup_cycles + ceil_div(count, per_cycle))


def _is_array(value: object) -> bool:
    return isinstance(value, np.ndarray | np.generic)

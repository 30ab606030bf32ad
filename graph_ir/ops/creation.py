"""Creation: scalar constants, filled tensors, ranges and random numbers. They take no operands.

A `constant` is an immediate of the instruction that uses it: a declared rule says that it moves no
bytes. The others write their result.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil

import numpy as np

from siliform.graph_ir.formats import format_named
from siliform.graph_ir.graph import Builder, Value
from siliform.graph_ir.ops.common import filled, held
from siliform.graph_ir.opspec import OpSpec
from siliform.graph_ir.space import Space
from siliform.graph_ir.types import TensorType, tensor


def _constant(*, value: float, format: str = "fp32") -> np.ndarray:
    """One number -> []."""
    return np.asarray(value, dtype=held(format))


constant = OpSpec(
    "constant",
    "creation",
    _constant,
    lambda *, value, format: tensor(format),
    lambda *, value, format: [],
    movement="view",
    source="immediate operand",
)


def scalar(b: Builder, value: float, like: Value) -> Value:
    """The constant `value` in the format of a float operand (fp32 for any other)."""
    known = like.type.format
    name = known.name if known.element is known and known.kind == "float" else "fp32"
    made: Value = b(constant, value=value, format=name)
    return made


def _full(*, shape: Sequence[int], value: float, format: str = "fp32") -> np.ndarray:
    """`shape` filled with `value`."""
    return np.full(tuple(shape), value, dtype=held(format))


def _full_shape(*, shape: Sequence[int], value: float, format: str) -> TensorType:
    return tensor(format, *shape)


def _full_spaces(*, shape: Sequence[int], value: float, format: str) -> list[Space]:
    return [filled(tensor(format, *shape), {})]


full = OpSpec("full", "creation", _full, _full_shape, _full_spaces, movement="copy", source="numpy.full")


def _arange(*, start: float = 0, end: float, step: float = 1, format: str = "int64") -> np.ndarray:
    """start, start + step, ... below `end` -> [ceil((end - start) / step)]."""
    return (start + step * np.arange(_arange_count(start, end, step))).astype(held(format))


def _arange_count(start: float, end: float, step: float) -> int:
    if step == 0:
        raise ValueError(f"a range from {start} to {end} in steps of 0")
    return max(ceil((end - start) / step), 0)


def _arange_shape(*, start: float, end: float, step: float, format: str) -> TensorType:
    return tensor(format, _arange_count(start, end, step))


def _arange_spaces(*, start: float, end: float, step: float, format: str) -> list[Space]:
    return [filled(_arange_shape(start=start, end=end, step=step, format=format), {"add": 1})]


arange = OpSpec("arange", "creation", _arange, _arange_shape, _arange_spaces, source="numpy.arange")


def _uniform(
    *, shape: Sequence[int], low: float = 0.0, high: float = 1.0, seed: int = 0, format: str = "fp32"
) -> np.ndarray:
    """`shape` of independent numbers in [low, high), the same for the same seed."""
    return np.random.default_rng(seed).uniform(low, high, tuple(shape)).astype(held(format))


def _uniform_shape(*, shape: Sequence[int], low: float, high: float, seed: int, format: str) -> TensorType:
    if format_named(format).kind != "float" and int(high) <= int(low):
        raise ValueError(f"no integer in [{low}, {high})")
    return tensor(format, *shape)


def _uniform_spaces(*, shape: Sequence[int], low: float, high: float, seed: int, format: str) -> list[Space]:
    return [filled(tensor(format, *shape), {"random": 1, "mul": 1, "add": 1})]


random_uniform = OpSpec(
    "random_uniform", "creation", _uniform, _uniform_shape, _uniform_spaces, source="torch.rand"
)


def _normal(
    *, shape: Sequence[int], mean: float = 0.0, deviation: float = 1.0, seed: int = 0, format: str = "fp32"
) -> np.ndarray:
    """`shape` of independent normal numbers, the same for the same seed."""
    return np.random.default_rng(seed).normal(mean, deviation, tuple(shape)).astype(held(format))


def _normal_shape(
    *, shape: Sequence[int], mean: float, deviation: float, seed: int, format: str
) -> TensorType:
    if deviation < 0:
        raise ValueError(f"a standard deviation of {deviation}")
    return tensor(format, *shape)


def _normal_spaces(
    *, shape: Sequence[int], mean: float, deviation: float, seed: int, format: str
) -> list[Space]:
    # Box and Muller, "A note on the generation of random normal deviates", 1958: per pair of numbers
    # one log, one square root, one sine and one cosine, and the scaling of each.
    result = tensor(format, *shape)
    pairs = Space(
        {"i": -(-result.elements // 2)}, (), (), {"random": 2, "log": 1, "rsqrt": 1, "sin": 2, "mul": 2}
    )
    return [pairs, filled(result, {"mul": 1, "add": 1})]


random_normal = OpSpec(
    "random_normal", "creation", _normal, _normal_shape, _normal_spaces, source="torch.randn"
)

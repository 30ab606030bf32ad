"""conv_transpose: every input element spread over a window of the result, and the windows added up."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from siliform.graph_ir.arithmetic import contract, product_type
from siliform.graph_ir.graph import Builder, Value
from siliform.graph_ir.ops.binary import add
from siliform.graph_ir.ops.common import channels_of, per_axis, rows_of
from siliform.graph_ir.ops.dequantize import without_axis_scales
from siliform.graph_ir.ops.matmul import matmul
from siliform.graph_ir.ops.sliding import Sliding
from siliform.graph_ir.ops.unfold import fold, folded_back
from siliform.graph_ir.ops.views import permute, reshape
from siliform.graph_ir.opspec import OpSpec
from siliform.graph_ir.space import Space
from siliform.graph_ir.types import TensorType

Sizes = int | Sequence[int]


def _sliding(
    x: tuple[int, ...],
    kernel: tuple[int, ...],
    stride: Sizes,
    padding: Sizes,
    output_padding: Sizes,
    dilation: Sizes,
) -> Sliding:
    """The window over the *result* whose positions are the elements of x."""
    axes = len(x) - 2
    named = {"stride": stride, "padding": padding, "output_padding": output_padding, "dilation": dilation}
    s, p, extra, d = (per_axis(value, axes, name) for name, value in named.items())
    if any(e < 0 or e >= max(a, b) for e, a, b in zip(extra, s, d, strict=True)):
        raise ValueError(f"output padding {extra} is not below stride {s} or dilation {d}")
    length = tuple(
        (x[2 + i] - 1) * s[i] - 2 * p[i] + d[i] * (kernel[i] - 1) + extra[i] + 1 for i in range(axes)
    )
    if min(length) < 1:
        raise ValueError(f"a result of extents {length} from {x} with kernel {kernel} and padding {p}")
    return Sliding(length, kernel, s, p, d, p)


def _reference(
    x: np.ndarray,
    weight: np.ndarray,
    bias: np.ndarray | None = None,
    *,
    stride: Sizes = 1,
    padding: Sizes = 0,
    output_padding: Sizes = 0,
    dilation: Sizes = 1,
    groups: int = 1,
) -> np.ndarray:
    """x [N, C, ...], weight [C, O/groups, ...], bias [O] -> [N, O, ...]."""
    sliding = _sliding(x.shape, weight.shape[2:], stride, padding, output_padding, dilation)
    out, taps = sliding.letters()
    depth = x.shape[1] // groups
    columns = [
        contract(
            f"nc{out},cu{taps}->nu{taps}{out}",
            channels_of(x, slice(g * depth, (g + 1) * depth)),
            rows_of(weight, slice(g * depth, (g + 1) * depth)),
        )
        for g in range(groups)
    ]
    made = folded_back(np.concatenate(columns, axis=1), sliding)
    return made if bias is None else made + np.reshape(bias, (-1, *[1] * len(sliding.out)))


def _shape(
    x: TensorType,
    weight: TensorType,
    bias: TensorType | None = None,
    *,
    stride: Sizes = 1,
    padding: Sizes = 0,
    output_padding: Sizes = 0,
    dilation: Sizes = 1,
    groups: int = 1,
) -> TensorType:
    if x.rank != weight.rank or not 3 <= x.rank <= 5:
        raise ValueError(
            f"conv_transpose of {x.shape} with weights {weight.shape}; one to three spatial axes"
        )
    if groups < 1 or x.shape[1] != weight.shape[0] or x.shape[1] % groups:
        raise ValueError(f"{x.shape[1]} channels, weights {weight.shape} and {groups} groups do not agree")
    outer = weight.shape[1] * groups
    if bias is not None and bias.shape != (outer,):
        raise ValueError(f"bias has shape {bias.shape}, weight gives {outer} channels")
    sliding = _sliding(x.shape, weight.shape[2:], stride, padding, output_padding, dilation)
    return product_type(x, weight).with_shape(x.shape[0], outer, *sliding.length)


def _spaces(
    x: TensorType,
    weight: TensorType,
    bias: TensorType | None = None,
    *,
    stride: Sizes = 1,
    padding: Sizes = 0,
    output_padding: Sizes = 0,
    dilation: Sizes = 1,
    groups: int = 1,
) -> list[Space]:
    sliding = _sliding(x.shape, weight.shape[2:], stride, padding, output_padding, dilation)
    own = {"n": x.shape[0], "g": groups, "u": weight.shape[1]}
    # The dims o0, o1, ... are the positions of the input here, as the window slides over the result.
    extents = sliding.extents | {f"o{i}": extent for i, extent in enumerate(x.shape[2:])}
    product = Space.over(
        f"n g c {sliding.dims('o')}, g c u {sliding.dims('k')} -> n g u {sliding.axes()}",
        {"mac": 1},
        own | extents,
        c=x.shape[1] // groups,
    )
    if bias is None:
        return [product]
    pixels = {f"o{i}": extent for i, extent in enumerate(sliding.length)}
    result = f"n g u {sliding.dims('o')}"
    return [product, Space.over(f"{result}, g u -> {result}", {"add": 1}, own | pixels)]


def _expansion(
    b: Builder,
    x: Value,
    weight: Value,
    bias: Value | None = None,
    *,
    stride: Sizes = 1,
    padding: Sizes = 0,
    output_padding: Sizes = 0,
    dilation: Sizes = 1,
    groups: int = 1,
) -> Any:
    x, weight = without_axis_scales(b, x, weight)
    n, c = x.type.shape[:2]
    kernel = weight.type.shape[2:]
    sliding = _sliding(x.type.shape, kernel, stride, padding, output_padding, dilation)
    pixels = x.type.elements // (n * c)
    depth = weight.type.shape[1] * sliding.taps
    rows = b(permute, b(reshape, weight, shape=(groups, c // groups, depth)), axes=(0, 2, 1))
    columns = b(matmul, rows, b(reshape, x, shape=(n, groups, c // groups, pixels)))
    columns = b(reshape, columns, shape=(n, groups * depth, pixels))
    made = b(
        fold,
        columns,
        size=sliding.length,
        kernel=kernel,
        stride=stride,
        padding=padding,
        dilation=dilation,
        positions=x.type.shape[2:],
    )
    outer = groups * weight.type.shape[1]
    return made if bias is None else b(add, made, b(reshape, bias, shape=(outer, *[1] * len(kernel))))


conv_transpose = OpSpec(
    "conv_transpose",
    "convolution",
    _reference,
    _shape,
    _spaces,
    _expansion,
    source="torch.nn.functional.conv_transpose2d",
)

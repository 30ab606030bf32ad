"""conv: cross-correlation over one, two or three spatial axes, with groups down to depthwise.

Products with padding count, as they do on an array that streams the padded input.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from siliform.graph_ir.arithmetic import contract, product_type
from siliform.graph_ir.formats import Quantised
from siliform.graph_ir.graph import Builder, Value
from siliform.graph_ir.ops.binary import add
from siliform.graph_ir.ops.common import channels_of, rearranged, rows_of
from siliform.graph_ir.ops.dequantize import without_axis_scales
from siliform.graph_ir.ops.matmul import matmul
from siliform.graph_ir.ops.sliding import Sliding
from siliform.graph_ir.ops.unfold import unfold
from siliform.graph_ir.ops.views import reshape
from siliform.graph_ir.opspec import OpSpec
from siliform.graph_ir.space import Space
from siliform.graph_ir.types import TensorType

Sizes = int | Sequence[int]


def _reference(
    x: np.ndarray,
    weight: np.ndarray,
    bias: np.ndarray | None = None,
    *,
    stride: Sizes = 1,
    padding: Sizes = 0,
    dilation: Sizes = 1,
    groups: int = 1,
    behind: Sizes | None = None,
) -> np.ndarray:
    """x [N, C, ...], weight [O, C/groups, ...], bias [O] -> [N, O, ...]; `behind` as of `unfold`."""
    sliding = Sliding.of(x.shape, weight.shape[2:], stride, padding, dilation, behind=behind)
    found = rearranged(x, sliding.windows)
    out, taps = sliding.letters()
    if groups == x.shape[1] and groups > 1 and not isinstance(weight, Quantised):
        split = np.reshape(weight, (groups, -1, *weight.shape[2:]))
        made = contract(f"ng{out}{taps},gu{taps}->ngu{out}", found, split)
        made = made.reshape(x.shape[0], weight.shape[0], *sliding.out)
    else:
        depth, width = weight.shape[1], weight.shape[0] // groups
        parts = [
            contract(
                f"nc{out}{taps},uc{taps}->nu{out}",
                channels_of(found, slice(g * depth, (g + 1) * depth)),
                rows_of(weight, slice(g * width, (g + 1) * width)),
            )
            for g in range(groups)
        ]
        made = np.concatenate(parts, axis=1)
    return made if bias is None else made + np.reshape(bias, (-1, *[1] * len(sliding.out)))


def _shape(
    x: TensorType,
    weight: TensorType,
    bias: TensorType | None = None,
    *,
    stride: Sizes = 1,
    padding: Sizes = 0,
    dilation: Sizes = 1,
    groups: int = 1,
    behind: Sizes | None = None,
) -> TensorType:
    if x.rank != weight.rank or not 3 <= x.rank <= 5:
        raise ValueError(
            f"conv of {x.shape} with weights {weight.shape}; both have one to three spatial axes"
        )
    if groups < 1 or x.shape[1] != weight.shape[1] * groups or weight.shape[0] % groups:
        raise ValueError(f"{x.shape[1]} channels, weights {weight.shape} and {groups} groups do not agree")
    if bias is not None and bias.shape != weight.shape[:1]:
        raise ValueError(f"bias has shape {bias.shape}, weight gives {weight.shape[0]} channels")
    sliding = Sliding.of(x.shape, weight.shape[2:], stride, padding, dilation, behind=behind)
    return product_type(x, weight).with_shape(x.shape[0], weight.shape[0], *sliding.out)


def _spaces(
    x: TensorType,
    weight: TensorType,
    bias: TensorType | None = None,
    *,
    stride: Sizes = 1,
    padding: Sizes = 0,
    dilation: Sizes = 1,
    groups: int = 1,
    behind: Sizes | None = None,
) -> list[Space]:
    sliding = Sliding.of(x.shape, weight.shape[2:], stride, padding, dilation, behind=behind)
    result = f"n g u {sliding.dims('o')}"
    own = {"n": x.shape[0], "g": groups, "u": weight.shape[0] // groups}
    product = Space.over(
        f"n g c {sliding.axes()}, g u c {sliding.dims('k')} -> {result}",
        {"mac": 1},
        own | sliding.extents,
        c=weight.shape[1],
    )
    if bias is None:
        return [product]
    outer = {dim: extent for dim, extent in sliding.extents.items() if dim.startswith("o")}
    return [product, Space.over(f"{result}, g u -> {result}", {"add": 1}, own | outer)]


def _expansion(
    b: Builder,
    x: Value,
    weight: Value,
    bias: Value | None = None,
    *,
    stride: Sizes = 1,
    padding: Sizes = 0,
    dilation: Sizes = 1,
    groups: int = 1,
    behind: Sizes | None = None,
) -> Any:
    x, weight = without_axis_scales(b, x, weight)
    n, outer = x.type.shape[0], weight.type.shape[0]
    kernel = weight.type.shape[2:]
    sliding = Sliding.of(x.type.shape, kernel, stride, padding, dilation, behind=behind)
    columns = b(unfold, x, kernel=kernel, stride=stride, padding=padding, dilation=dilation, behind=behind)
    depth = columns.type.shape[1] // groups
    columns = b(reshape, columns, shape=(n, groups, depth, columns.type.shape[2]))
    made = b(matmul, b(reshape, weight, shape=(groups, outer // groups, depth)), columns)
    made = b(reshape, made, shape=(n, outer, *sliding.out))
    return made if bias is None else b(add, made, b(reshape, bias, shape=(outer, *[1] * len(kernel))))


conv = OpSpec(
    "conv", "convolution", _reference, _shape, _spaces, _expansion, source="torch.nn.functional.conv2d"
)

"""Convolutions, transposed ones, and the sliding windows of unfold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from siliform.models.tracing.lowerer import Lowerer, Rule
from siliform.models.tracing.lowering.movement import permute, reshape

Extents = int | Sequence[int]


def _each(extents: Extents, rank: int) -> tuple[int, ...]:
    if isinstance(extents, int):
        return (extents,) * rank
    return tuple(extents) * rank if len(extents) == 1 else tuple(extents)


def _conv(
    c: Lowerer,
    x: Any,
    weight: Any,
    bias: Any = None,
    stride: Extents = 1,
    padding: Any = 0,
    dilation: Extents = 1,
    groups: int = 1,
) -> Any:
    """Any number of spatial axes; an input without a batch axis gets one of a single sample."""
    rank = len(c.shape(weight)) - 2
    alone = len(c.shape(x)) == rank + 1
    x = reshape(c, x, (1, *c.shape(x))) if alone else x
    steps, spread = _each(stride, rank), _each(dilation, rank)
    if isinstance(padding, str):
        x, around = _named_padding(c, x, padding, c.shape(weight)[2:], spread)
    else:
        around = _each(padding, rank)
    made = c.apply("conv", x, weight, bias, stride=steps, padding=around, dilation=spread, groups=groups)
    return reshape(c, made, c.out.shape)


def _named_padding(
    c: Lowerer, x: Any, name: str, kernel: Sequence[int], dilation: Sequence[int]
) -> tuple[Any, tuple[int, ...]]:
    """ "valid" pads nothing; "same" keeps the extent, the odd element behind."""
    if name == "valid":
        return x, (0,) * len(kernel)
    total = [d * (k - 1) for k, d in zip(kernel, dilation, strict=True)]
    if all(t % 2 == 0 for t in total):
        return x, tuple(t // 2 for t in total)
    before, after = (0, 0, *(t // 2 for t in total)), (0, 0, *(t - t // 2 for t in total))
    return c.apply("pad", x, before=before, after=after, mode="constant", value=0.0), (0,) * len(kernel)


def _transposed(
    c: Lowerer,
    x: Any,
    weight: Any,
    bias: Any = None,
    stride: Extents = 1,
    padding: Extents = 0,
    output_padding: Extents = 0,
    groups: int = 1,
    dilation: Extents = 1,
) -> Any:
    rank = len(c.shape(weight)) - 2
    alone = len(c.shape(x)) == rank + 1
    x = reshape(c, x, (1, *c.shape(x))) if alone else x
    made = c.apply(
        "conv_transpose",
        x,
        weight,
        bias,
        stride=_each(stride, rank),
        padding=_each(padding, rank),
        output_padding=_each(output_padding, rank),
        dilation=_each(dilation, rank),
        groups=groups,
    )
    return reshape(c, made, c.out.shape)


def _general(
    c: Lowerer,
    x: Any,
    weight: Any,
    bias: Any,
    stride: Any,
    padding: Any,
    dilation: Any,
    transposed: bool,
    output_padding: Any,
    groups: int,
    *rest: Any,
) -> Any:
    if transposed:
        return _transposed(c, x, weight, bias, stride, padding, output_padding, groups, dilation)
    return _conv(c, x, weight, bias, stride, padding, dilation, groups)


def _conv_tbc(c: Lowerer, x: Any, weight: Any, bias: Any, pad: int = 0) -> Any:
    """Time first: [T, B, C] and [K, C, N]."""
    turned = c.apply(
        "conv",
        permute(c, x, (1, 2, 0)),
        permute(c, weight, (2, 1, 0)),
        bias,
        stride=(1,),
        padding=(pad,),
        dilation=(1,),
        groups=1,
    )
    return permute(c, turned, (2, 0, 1))


def _im2col(
    c: Lowerer,
    x: Any,
    kernel: Sequence[int],
    dilation: Sequence[int],
    padding: Sequence[int],
    stride: Sequence[int],
) -> Any:
    """[N, C, H, W] -> [N, C kh kw, L]: the windows as columns."""
    x = reshape(c, x, (1, *c.shape(x))) if len(c.shape(x)) == 3 else x
    made = c.apply(
        "unfold",
        x,
        kernel=tuple(kernel),
        stride=tuple(stride),
        padding=tuple(padding),
        dilation=tuple(dilation),
    )
    return reshape(c, made, c.out.shape)


def _col2im(
    c: Lowerer,
    x: Any,
    size: Sequence[int],
    kernel: Sequence[int],
    dilation: Sequence[int],
    padding: Sequence[int],
    stride: Sequence[int],
) -> Any:
    """The columns of `_im2col` added back where their windows overlap."""
    x = reshape(c, x, (1, *c.shape(x))) if len(c.shape(x)) == 2 else x
    made = c.apply(
        "fold",
        x,
        size=tuple(size),
        kernel=tuple(kernel),
        stride=tuple(stride),
        padding=tuple(padding),
        dilation=tuple(dilation),
    )
    return reshape(c, made, c.out.shape)


RULES: Mapping[str, Rule] = MappingProxyType(
    {f"aten.conv{n}d": _conv for n in (1, 2, 3)}
    | {f"aten.conv_transpose{n}d": _transposed for n in (1, 2, 3)}
    | {
        "aten.convolution": _general,
        "aten._convolution": _general,
        "aten.conv_tbc": _conv_tbc,
        "aten.im2col": _im2col,
        "aten.col2im": _col2im,
    }
)

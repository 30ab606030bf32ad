"""Pooling and resampling."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import torch

from siliform.models.tracing.literals import Literal
from siliform.models.tracing.lowerer import Lowerer, Rule
from siliform.models.tracing.lowering.movement import concat, cut, reshape

Extents = int | Sequence[int]


def _each(extents: Extents, rank: int) -> tuple[int, ...]:
    if isinstance(extents, int):
        return (extents,) * rank
    return tuple(extents) * rank if len(extents) == 1 else tuple(extents)


def _sampled(c: Lowerer, x: Any, rank: int) -> Any:
    """`x` with a batch axis."""
    return reshape(c, x, (1, *c.shape(x))) if len(c.shape(x)) == rank + 1 else x


def _max_pool(rank: int) -> Rule:
    def rule(
        c: Lowerer,
        x: Any,
        kernel: Extents,
        stride: Extents = (),
        padding: Extents = 0,
        dilation: Extents = 1,
        ceil_mode: bool = False,
    ) -> Any:
        made = c.apply(
            "max_pool",
            _sampled(c, x, rank),
            kernel=_each(kernel, rank),
            stride=_each(stride or kernel, rank),
            padding=_each(padding, rank),
            dilation=_each(dilation, rank),
            ceil_mode=ceil_mode,
        )
        shape = c.out.shape if isinstance(c.out, torch.Tensor) else c.out[0].shape
        return reshape(c, made, shape)

    return rule


def _max_pool_with_indices(rank: int) -> Rule:
    pool = _max_pool(rank)

    def rule(c: Lowerer, *args: Any, **options: Any) -> Any:
        if any(len(user.args) > 1 and user.args[1] == 1 for user in c.node.users):
            raise c.refusal("its positions used", "pool without return_indices")
        return [pool(c, *args, **options), None]

    return rule


def _avg_pool(rank: int) -> Rule:
    def rule(
        c: Lowerer,
        x: Any,
        kernel: Extents,
        stride: Extents = (),
        padding: Extents = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> Any:
        if divisor_override is not None:
            raise c.refusal(f"divisor_override={divisor_override}")
        made = c.apply(
            "avg_pool",
            _sampled(c, x, rank),
            kernel=_each(kernel, rank),
            stride=_each(stride or kernel, rank),
            padding=_each(padding, rank),
            ceil_mode=ceil_mode,
            count_padding=count_include_pad,
        )
        return reshape(c, made, c.out.shape)

    return rule


def _adaptive_mean(c: Lowerer, x: Any, size: Extents) -> Any:
    rank = len(c.shape(x)) - 2 if isinstance(size, int) else len(size)
    wanted = tuple(c.out.shape[-rank:])
    x = _sampled(c, x, rank)
    if all(extent == 1 for extent in wanted):
        axes = tuple(range(len(c.shape(x)) - rank, len(c.shape(x))))
        return reshape(c, c.apply("reduce_mean", x, axes=axes, keepdims=True), c.out.shape)
    return reshape(c, c.apply("adaptive_avg_pool", x, size=wanted), c.out.shape)


def _adaptive_max(rank: int) -> Rule:
    """Equal bins are a reduction of an axis of their own; unequal ones of one slice each."""

    def rule(c: Lowerer, x: Any, size: Extents) -> Any:
        for axis, extent in enumerate(c.out[0].shape[-rank:], len(c.shape(x)) - rank):
            own = c.shape(x)[axis]
            edges = [(i * own // extent, -(-(i + 1) * own // extent)) for i in range(extent)]
            parts = [
                c.apply("reduce_max", cut(c, x, axis, a, b), axes=(axis,), keepdims=True) for a, b in edges
            ]
            x = concat(c, parts, axis)
        return [x, None]

    return rule


def _resample(mode: str) -> Rule:
    """upsample_*: (x, size, [align_corners,] scales...), where a given scale counts instead of the sizes."""

    def rule(c: Lowerer, x: Any, size: Any, *args: Any, **options: Any) -> Any:
        corners = bool(args[0]) if args and isinstance(args[0], bool) else False
        scales: list[float] = [a for a in args if isinstance(a, float)]
        for several in (a for a in args if isinstance(a, (list, tuple))):
            scales.extend(several)
        wanted = tuple(c.out.shape[2:])
        scale = tuple(float(s) for s in scales) if len(scales) == len(wanted) else None
        return c.apply("interpolate", x, size=wanted, mode=mode, align_corners=corners, scale=scale)

    return rule


def _nearest_exact(c: Lowerer, x: Any, *ignored: Any, **options: Any) -> Any:
    """Rows picked at the centre of each result, one axis after the other."""
    for axis, extent in enumerate(c.out.shape[2:], 2):
        own = c.shape(x)[axis]
        if own != extent:
            rows = ((torch.arange(extent) + 0.5) * (own / extent)).floor().long().clamp(max=own - 1)
            x = c.apply("take", x, Literal.of(rows), axis=axis)
    return x


def _smoothed(op: Any) -> Rule:
    """Antialiased resampling: each result weighs a range of rows, one axis after the other.

    The weights are those that torch gives to the rows of an identity matrix.
    """

    def rule(c: Lowerer, x: Any, size: Any, align_corners: bool, *scales: Any, **options: Any) -> Any:
        for axis, extent in enumerate(c.out.shape[2:], 2):
            own = c.shape(x)[axis]
            if own != extent:
                table = op(torch.eye(own)[None, None], [own, extent], align_corners, None, None)[0, 0].mT
                x = _weighed(c, x, axis, table)
        return x

    return rule


def _weighed(c: Lowerer, x: Any, axis: int, table: torch.Tensor) -> Any:
    """Sums of rows along `axis` with the weights of `table` [results, rows], zeros left out."""
    first = (table != 0).to(torch.uint8).argmax(dim=1)
    taps = int((table != 0).sum(dim=1).max())
    rows = (first[:, None] + torch.arange(taps)).clamp(max=table.shape[1] - 1)
    inside = first[:, None] + torch.arange(taps) < table.shape[1]
    weights = torch.where(inside, table.gather(1, rows), 0.0)
    taken = c.apply("take", x, Literal.of(rows), axis=axis)
    shape = (*weights.shape, *[1] * (len(c.shape(x)) - 1 - axis))
    weighed = c.apply("mul", taken, Literal.of(weights.reshape(shape).to(c.out.dtype)))
    return c.apply("reduce_sum", weighed, axes=(axis + 1,), keepdims=False)


RULES: Mapping[str, Rule] = MappingProxyType(
    {f"aten.max_pool{n}d": _max_pool(n) for n in (1, 2, 3)}
    | {f"aten.max_pool{n}d_with_indices": _max_pool_with_indices(n) for n in (1, 2, 3)}
    | {f"aten.avg_pool{n}d": _avg_pool(n) for n in (1, 2, 3)}
    | {f"aten.adaptive_avg_pool{n}d": _adaptive_mean for n in (1, 2, 3)}
    | {f"aten._adaptive_avg_pool{n}d": _adaptive_mean for n in (2, 3)}
    | {f"aten.adaptive_max_pool{n}d": _adaptive_max(n) for n in (1, 2, 3)}
    | {f"aten.upsample_nearest{n}d": _resample("nearest") for n in (1, 2, 3)}
    | {f"aten._upsample_nearest_exact{n}d": _nearest_exact for n in (1, 2, 3)}
    | {
        "aten._upsample_bilinear2d_aa": _smoothed(torch.ops.aten._upsample_bilinear2d_aa.default),
        "aten._upsample_bicubic2d_aa": _smoothed(torch.ops.aten._upsample_bicubic2d_aa.default),
        "aten.upsample_linear1d": _resample("linear"),
        "aten.upsample_bilinear2d": _resample("bilinear"),
        "aten.upsample_trilinear3d": _resample("trilinear"),
        "aten.upsample_bicubic2d": _resample("bicubic"),
    }
)

"""grid_sample: pixels read at positions that the data decide, as gathers and weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import reduce
from types import MappingProxyType
from typing import Any

import torch

from siliform.models.tracing.lowerer import Lowerer, Rule
from siliform.models.tracing.lowering.movement import expand, reshape


@dataclass(frozen=True)
class _Picture:
    """A picture [n, channels, height * width], and the `points` at which it is read."""

    flat: Any
    n: int
    channels: int
    height: int
    width: int
    points: int
    border: bool = False


def _grid_sample(c: Lowerer, x: Any, grid: Any, mode: int, padding: int, align_corners: bool) -> Any:
    """Mode 0 reads four neighbours and weights them, mode 1 the nearest, mode 2 sixteen.

    Padding 0 is zeros, 1 the border.
    """
    if padding > 1 or len(c.shape(x)) != 4:
        raise c.refusal(f"padding mode {padding} of a tensor with {len(c.shape(x))} axes")
    n, channels, height, width = c.shape(x)
    _, rows, columns, _ = c.shape(grid)
    flat = reshape(c, x, (n, channels, height * width))
    picture = _Picture(flat, n, channels, height, width, rows * columns)
    across = _place(c, picture, grid, 0, width, align_corners)
    down = _place(c, picture, grid, 1, height, align_corners)
    picture = replace(picture, border=padding == 1)
    if padding == 1 and mode != 2:
        across = c.apply("clamp", across, 0.0, float(width - 1))
        down = c.apply("clamp", down, 0.0, float(height - 1))
    if mode == 1:
        read = _pixels(c, picture, c.apply("round", across), c.apply("round", down))
    else:
        taps = _linear_taps if mode == 0 else _cubic_taps
        read = reduce(
            lambda a, b: c.apply("add", a, b), _weighted(c, picture, taps(c, across), taps(c, down))
        )
    return reshape(c, read, c.out.shape)


def _place(c: Lowerer, picture: _Picture, grid: Any, axis: int, extent: int, align_corners: bool) -> Any:
    """From the grid's -1 to 1 to pixels along one axis: [n, points]."""
    raw = reshape(c, c.apply("select", grid, axis=3, index=axis), (picture.n, picture.points))
    raised = c.apply("add", raw, 1.0)
    if align_corners:
        return c.apply("mul", raised, (extent - 1) / 2)
    return c.apply("sub", c.apply("mul", raised, extent / 2), 0.5)


def _linear_taps(c: Lowerer, place: Any) -> list[tuple[Any, Any]]:
    """The two whole places around each, with their shares."""
    low = c.apply("floor", place)
    share = c.apply("sub", place, low)
    return [(low, c.apply("sub", 1.0, share)), (c.apply("add", low, 1.0), share)]


def _cubic_taps(c: Lowerer, place: Any) -> list[tuple[Any, Any]]:
    """The four whole places around each, with the weights of cubic convolution, a = -0.75.

    Source: Keys, "Cubic convolution interpolation for digital image processing", 1981; a as in torch.
    """
    low = c.apply("floor", place)
    ahead = c.apply("sub", place, low)
    behind = c.apply("sub", 1.0, ahead)
    outer = (-3.75, 6.0, -3.0, -0.75)  # (((a t - 5a) t + 8a) t - 4a) with t = offset + 1, by powers of t

    def near(t: Any) -> Any:  # (1.25 t - 2.25) t^2 + 1
        inner = c.apply("sub", c.apply("mul", t, 1.25), 2.25)
        return c.apply("add", c.apply("mul", inner, c.apply("square", t)), 1.0)

    def far(t: Any) -> Any:
        made = c.apply("add", c.apply("mul", c.apply("add", t, 1.0), outer[3]), -outer[0])
        made = c.apply("sub", c.apply("mul", made, c.apply("add", t, 1.0)), outer[1])
        return c.apply("sub", c.apply("mul", made, c.apply("add", t, 1.0)), outer[2])

    return [
        (c.apply("sub", low, 1.0), far(ahead)),
        (low, near(ahead)),
        (c.apply("add", low, 1.0), near(behind)),
        (c.apply("add", low, 2.0), far(behind)),
    ]


def _weighted(c: Lowerer, picture: _Picture, columns: list[Any], rows: list[Any]) -> list[Any]:
    """The neighbours of each position, each times its share."""
    read = []
    for row, row_share in rows:
        for column, column_share in columns:
            share = c.apply("mul", row_share, column_share)
            spread = reshape(c, share, (picture.n, 1, picture.points))
            read.append(c.apply("mul", _pixels(c, picture, column, row), spread))
    return read


def _pixels(c: Lowerer, picture: _Picture, column: Any, row: Any) -> Any:
    """The pixels at whole (column, row), outside the picture zero or its border: [n, channels, points]."""
    held_column = c.apply("clamp", column, 0.0, float(picture.width - 1))
    held_row = c.apply("clamp", row, 0.0, float(picture.height - 1))
    inside = c.apply("logical_and", c.apply("eq", held_column, column), c.apply("eq", held_row, row))
    place = c.apply("add", c.apply("mul", held_row, float(picture.width)), held_column)
    one = (picture.n, 1, picture.points)
    index = expand(
        c, reshape(c, c.cast(place, torch.int64), one), (picture.n, picture.channels, picture.points)
    )
    read = c.apply("gather", picture.flat, index, axis=2)
    return read if picture.border else c.apply("where", reshape(c, inside, one), read, 0.0)


RULES: Mapping[str, Rule] = MappingProxyType(
    {"aten.grid_sampler": _grid_sample, "aten.grid_sampler_2d": _grid_sample}
)

"""Sliding windows over spatial axes: what convolutions, pooling and unfolding share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from siliform.graph_ir.ops.common import per_axis


@dataclass(frozen=True)
class Sliding:
    """A window over the spatial axes of [N, C, *length], one number per axis in every field.

    `padding` is that before an axis, `behind` that behind it. `ceil_mode` lets a last window stick out behind
    the padded input, if it starts before its end.
    """

    length: tuple[int, ...]
    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]
    behind: tuple[int, ...]
    ceil_mode: bool = False

    def __post_init__(self) -> None:
        if (
            min((*self.kernel, *self.stride, *self.dilation), default=1) < 1
            or min((*self.padding, *self.behind), default=0) < 0
        ):
            raise ValueError(
                f"kernel {self.kernel}, stride {self.stride} and dilation {self.dilation} are at least 1, "
                f"padding {self.padding} and {self.behind} at least 0"
            )
        if min(self.out, default=1) < 1:
            raise ValueError(
                f"a window of {self.reach} does not fit the extents {self.length} padded by {self.padding}"
            )

    @classmethod
    def of(
        cls,
        shape: Sequence[int],
        kernel: int | Sequence[int],
        stride: int | Sequence[int] | None = 1,
        padding: int | Sequence[int] = 0,
        dilation: int | Sequence[int] = 1,
        ceil_mode: bool = False,
        behind: int | Sequence[int] | None = None,
    ) -> Sliding:
        """The window over [N, C, ...]; one number stands for all axes, stride None for the kernel, `behind`
        None for the padding before."""
        length = tuple(shape[2:])
        if not length:
            raise ValueError(f"a sliding window over {tuple(shape)}, which has no axis behind its channels")
        steps, last = kernel if stride is None or stride == () else stride, behind
        given = (kernel, steps, padding, dilation, padding if last is None else last)
        names = ("kernel", "stride", "padding", "dilation", "padding behind")
        fields = [per_axis(value, len(length), name) for value, name in zip(given, names, strict=True)]
        return cls(length, fields[0], fields[1], fields[2], fields[3], fields[4], ceil_mode)

    @property
    def reach(self) -> tuple[int, ...]:
        """Elements from a window's first to its last."""
        return tuple(d * (k - 1) + 1 for k, d in zip(self.kernel, self.dilation, strict=True))

    @property
    def out(self) -> tuple[int, ...]:
        """Windows along each axis."""
        found = []
        numbers = zip(self.length, self.padding, self._padded, self.reach, self.stride, strict=True)
        for extent, pad, padded, reach, step in numbers:
            room = padded - reach
            count = (-(-room // step) if self.ceil_mode else room // step) + 1
            found.append(count - 1 if self.ceil_mode and (count - 1) * step >= extent + pad else count)
        return tuple(found)

    @property
    def overhang(self) -> tuple[int, ...]:
        """Elements that the last window needs behind the padded input."""
        ends = ((o - 1) * s + r for o, s, r in zip(self.out, self.stride, self.reach, strict=True))
        return tuple(max(end - padded, 0) for end, padded in zip(ends, self._padded, strict=True))

    @property
    def _padded(self) -> tuple[int, ...]:
        """Extents with their padding."""
        return tuple(map(sum, zip(self.length, self.padding, self.behind, strict=True)))

    def windows(self, x: np.ndarray, fill: float = 0) -> np.ndarray:
        """x [N, C, *length] -> [N, C, *out, *kernel], with `fill` outside."""
        spatial = range(2, 2 + len(self.length))
        widths = [(0, 0), (0, 0)]
        ends = zip(self.padding, self.behind, self.overhang, strict=True)
        widths += [(before, behind + over) for before, behind, over in ends]
        padded = np.pad(x, widths, constant_values=fill) if any(map(any, widths)) else x
        found: Any = np.lib.stride_tricks.sliding_window_view(padded, self.reach, tuple(spatial))  # type: ignore[call-overload]
        starts = tuple(slice(0, (o - 1) * s + 1, s) for o, s in zip(self.out, self.stride, strict=True))
        steps = tuple(slice(None, None, d) for d in self.dilation)
        made: np.ndarray = found[(slice(None), slice(None), *starts, *steps)]
        return made

    def axes(self) -> str:
        """The spatial axes of an access in dims o0, k0, o1, k1, ...: ``"2*o0+1*k0-1<224 ..."``."""
        numbers = zip(self.stride, self.dilation, self.padding, self.length, strict=True)
        return " ".join(f"{s}*o{i}+{d}*k{i}-{p}<{n}" for i, (s, d, p, n) in enumerate(numbers))

    def dims(self, letter: str) -> str:
        """The dims of one letter, one per spatial axis."""
        return " ".join(f"{letter}{i}" for i in range(len(self.length)))

    @property
    def extents(self) -> dict[str, int]:
        """Extent of every dim that `axes` names."""
        found = {f"o{i}": extent for i, extent in enumerate(self.out)}
        return found | {f"k{i}": extent for i, extent in enumerate(self.kernel)}

    @property
    def taps(self) -> int:
        """Elements in one window."""
        return prod(self.kernel)

    def letters(self) -> tuple[str, str]:
        """One einsum letter per output axis and per kernel axis."""
        return "wxyz"[: len(self.length)], "ijkl"[: len(self.length)]

"""How one value of a graph lies on the devices of a group: whole on each, or cut along one axis."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from siliform.graph_ir.types import TensorType
from siliform.simulator.cluster.placement import positions


class NoLayout(Exception):
    """A cut that an op cannot carry on, or an extent that does not fall into parts.

    Caught where layouts spread: what cannot be cut stays whole.
    """


@dataclass(frozen=True)
class Split:
    """A value cut along one axis.

    Attributes
    ----------
    axis : not negative.
    parts : parts that differ; of P devices, P / parts in a row hold the same one.
    sections : extents that lie behind one another along the axis, each cut by itself: those of a fused
        query-key-value projection, or the sequences of a batch that were flattened together. Empty
        where the whole axis is one.
    placement : of `placement.PLACEMENTS`; anything but "blocks" for tokens only.
    """

    axis: int
    parts: int
    sections: tuple[int, ...] = ()
    placement: str = "blocks"

    def at(self, axis: int) -> Split:
        """The same cut of an axis of the same extent elsewhere."""
        return replace(self, axis=axis)

    def over(self, sections: tuple[int, ...]) -> Split:
        """The same cut of sections; a single one is none."""
        return replace(self, sections=() if len(sections) == 1 else sections)

    def check(self, shape: tuple[int, ...]) -> None:
        """NoLayout where the axis does not fall into equal parts."""
        runs = 2 * self.parts if self.placement == "zigzag" else self.parts
        extents = self.sections or (shape[self.axis],)
        if sum(extents) != shape[self.axis] or any(extent % runs for extent in extents):
            raise NoLayout(f"axis {self.axis} of {shape} in {self.parts} parts of {extents}")

    def local(self, type: TensorType) -> TensorType:
        """The type of one part."""
        self.check(type.shape)
        extent = type.shape[self.axis] // self.parts
        return type.with_shape(*type.shape[: self.axis], extent, *type.shape[self.axis + 1 :])

    def indices(self, extent: int, device: int, degree: int) -> np.ndarray:
        """The places along the axis that a device of a group of `degree` holds."""
        part, start, found = device * self.parts // degree, 0, []
        for section in self.sections or (extent,):
            found.append(start + positions(section, self.parts, part, self.placement))
            start += section
        return np.concatenate(found)

    def shard(self, array: np.ndarray, device: int, degree: int) -> np.ndarray:
        """The part of an array that a device holds."""
        return np.take(array, self.indices(array.shape[self.axis], device, degree), axis=self.axis)

    def gathered(self, shards: list[np.ndarray]) -> np.ndarray:
        """The whole array from what all devices hold."""
        degree = len(shards)
        extent = shards[0].shape[self.axis] * self.parts
        first = shards[0]
        made = np.empty((*first.shape[: self.axis], extent, *first.shape[self.axis + 1 :]), first.dtype)
        moved = np.moveaxis(made, self.axis, 0)
        for device, shard in enumerate(shards):
            moved[self.indices(extent, device, degree)] = np.moveaxis(shard, self.axis, 0)
        return made


@dataclass(frozen=True)
class Partial:
    """A value of which every device holds a summand."""


Layout = Split | Partial | None


def local_type(type: TensorType, layout: Layout) -> TensorType:
    """What one device holds of a value."""
    return layout.local(type) if isinstance(layout, Split) else type

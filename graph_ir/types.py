"""The type of a value: a shape and a number format. It holds no data."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from siliform.graph_ir.errors import UserError
from siliform.graph_ir.formats import Format, format_named


@dataclass(frozen=True, slots=True)
class TensorType:
    """Shape and number format of one value.

    `bits` counts the stored elements and, where the format is scaled, its scales.
    """

    shape: tuple[int, ...]
    format: Format

    def __post_init__(self) -> None:
        if any(extent < 0 for extent in self.shape):
            raise UserError(
                asked=f"a tensor of shape {list(self.shape)}",
                found=f"the negative extent {min(self.shape)}",
                where="TensorType",
                next_step="give extents of zero or more",
            )

    @property
    def elements(self) -> int:
        """Number of elements (1 for a scalar)."""
        return prod(self.shape)

    @property
    def rank(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def bits(self) -> int:
        """Stored size in bits, scales included."""
        return self.format.tensor_bits(self.shape)

    @property
    def bytes(self) -> int:
        """Stored size in whole bytes, rounded up once for the tensor."""
        return -(-self.bits // 8)

    def with_shape(self, *shape: int) -> TensorType:
        """The same format in another shape."""
        return TensorType(tuple(shape), self.format)

    def with_format(self, format: Format | str) -> TensorType:
        """The same shape in another format."""
        return TensorType(self.shape, format_named(format) if isinstance(format, str) else format)

    def __str__(self) -> str:
        return f"{self.format.name}[{','.join(map(str, self.shape))}]"


def tensor(format: Format | str, *shape: int) -> TensorType:
    """Shorthand: ``tensor("fp32", 1, 128, 768)``."""
    return TensorType(tuple(shape), format_named(format) if isinstance(format, str) else format)

"""What the op files share: format promotion, broadcasting, axes, and pointwise spaces."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import reduce, wraps
from types import MappingProxyType
from typing import Any

import numpy as np

from siliform.graph_ir.arrays import held_dtype
from siliform.graph_ir.formats import Format, Quantised, Scaled, format_named
from siliform.graph_ir.space import Access, Space
from siliform.graph_ir.types import TensorType

#: Order of the families in promotion: boolean gives way to integer, integer to float.
_CATEGORY: Mapping[str, int] = MappingProxyType({"boolean": 0, "integer": 1, "float": 2})

#: The format whose values a NumPy dtype holds.
_FORMAT_OF: Mapping[str, str] = MappingProxyType({"float32": "fp32", "float64": "fp64"})


def plain(format: Format) -> Format:
    """The format as arithmetic sees it: itself, or fp32 where it is scaled, log2, binary or ternary."""
    return format if format.element is format and format.kind in _CATEGORY else format_named("fp32")


def float_of(format: Format) -> Format:
    """The float format of a result that is never an integer: fp32 unless the operand is a float."""
    known = plain(format)
    return known if known.kind == "float" else format_named("fp32")


def held(format: Format | str) -> np.dtype:
    """The NumPy dtype in which the interpreter holds values of a format."""
    return held_dtype(plain(format_named(format) if isinstance(format, str) else format))


def _wider(a: Format, b: Format) -> Format:
    if a == b:
        return a
    if _CATEGORY[a.kind] != _CATEGORY[b.kind]:
        return a if _CATEGORY[a.kind] > _CATEGORY[b.kind] else b
    if a.kind == "float":
        # Neither of two floats of one width holds the other, such as fp16 and bf16.
        return format_named("fp32") if a.bits == b.bits else max(a, b, key=lambda f: f.bits)
    low, high = sorted((a, b), key=lambda f: f.bits)
    if "uint8" in (low.name, high.name) and high.bits == 8:
        return format_named("int16")
    return high


def promoted(*types: TensorType) -> Format:
    """The common format of pointwise operands, by PyTorch's rule.

    The family of a result is the highest of all operands; its width comes from operands that
    have axes, so that a scalar constant never widens a tensor of its own family.
    Source: PyTorch documentation, "Tensor Attributes", type promotion.
    """
    ranked = [plain(t.format) for t in types if t.rank]
    scalars = [plain(t.format) for t in types if not t.rank]
    if not ranked or not scalars:
        return reduce(_wider, ranked or scalars)
    tensors, constants = reduce(_wider, ranked), reduce(_wider, scalars)
    if _CATEGORY[constants.kind] > _CATEGORY[tensors.kind]:
        return constants
    return tensors


def type_of(array: np.ndarray) -> TensorType:
    """The type of an array as the interpreter holds it."""
    return TensorType(array.shape, format_named(_FORMAT_OF.get(array.dtype.name, array.dtype.name)))


def real(x: Any) -> np.ndarray:
    """The values of a tensor as an array; those of a `Quantised` one with its scales applied."""
    return x.dequantise() if isinstance(x, Quantised) else np.asarray(x)


def promote(*arrays: Any) -> list[np.ndarray]:
    """The arrays in the dtype that their common format is held in."""
    known = [real(a) for a in arrays]
    dtype = held(promoted(*map(type_of, known)))
    return [a.astype(dtype, copy=False) for a in known]


def floating(x: Any) -> np.ndarray:
    """x as a float array: float32, or float64 where it is one already."""
    known = real(x)
    return known if known.dtype.kind == "f" else known.astype(np.float32)


def wide(x: Any) -> np.ndarray:
    """x in float64, in which references accumulate before they round once."""
    return real(x).astype(np.float64)


def narrow(result: Any, like: Any) -> np.ndarray:
    """A wide result rounded to the float dtype of the operand it came from."""
    return np.asarray(result).astype(floating(like).dtype, copy=False)


def in_floats(reference: Callable[..., Any]) -> Callable[..., Any]:
    """A reference of one tensor that computes in floats and keeps the operand's float dtype."""

    @wraps(reference)
    def wrapped(x: np.ndarray, **attributes: Any) -> np.ndarray:
        known = floating(x)
        with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
            return np.asarray(reference(known, **attributes)).astype(known.dtype, copy=False)

    return wrapped


def axis_of(axis: int, rank: int) -> int:
    """The axis counted from the front; ValueError with numbers where there is none."""
    if not -rank <= axis < rank:
        raise ValueError(f"axis {axis} of a tensor with {rank} axes")
    return axis % rank


def axes_of(axes: Sequence[int] | int | None, rank: int) -> tuple[int, ...]:
    """The axes counted from the front, in order; None or an empty list means all of them."""
    if axes is None or axes == () or axes == []:
        return tuple(range(rank))
    listed = [axes] if isinstance(axes, int) else list(axes)
    found = sorted(axis_of(axis, rank) for axis in listed)
    if len(set(found)) != len(found):
        raise ValueError(f"axes {listed} name one of the {rank} axes twice")
    return tuple(found)


def per_axis(value: int | Sequence[int], count: int, name: str) -> tuple[int, ...]:
    """One number per spatial axis, from one for all or one for each; ValueError otherwise."""
    given = (value,) * count if isinstance(value, int) else tuple(value)
    if len(given) == 1:
        given = given * count
    if len(given) != count:
        raise ValueError(f"{name} {list(given)} for {count} spatial axes")
    return given


def pointwise(result: TensorType, operands: Sequence[TensorType | None], body: Mapping[str, int]) -> Space:
    """One scalar body per element of `result`, operands broadcast; absent ones are left out."""
    shapes = [o.shape for o in operands if o is not None]
    if all(shape == result.shape for shape in shapes):
        return Space.elementwise(result.shape, body, len(shapes)) if shapes else filled(result, body)
    dims = [f"i{n}" for n in range(result.rank)]
    extents = dict(zip(dims, result.shape, strict=True))
    reads = tuple(
        Access(
            tuple(
                (dim,)
                for dim, own in zip(dims[result.rank - len(shape) :], shape, strict=True)
                if own == extents[dim]
            )
        )
        for shape in shapes
    )
    return Space(extents, reads, (Access(tuple((dim,) for dim in dims)),), dict(body))


def filled(result: TensorType, body: Mapping[str, int]) -> Space:
    """A result made from nothing: written, with nothing read."""
    return Space({"i": result.elements}, (), (Access((("i",),)),), dict(body))


def moved(elements: int) -> Space:
    """So many elements read and written, with no arithmetic."""
    return Space.over("i -> i", {}, i=elements)


def rearranged(x: Any, change: Callable[[np.ndarray], np.ndarray]) -> Any:
    """`change`, which only moves elements, of a tensor.

    Of a `Quantised` one it moves the levels where one scale holds for all of them; with more scales
    it moves the real values, which are accumulated as floats from there on.
    """
    if not isinstance(x, Quantised):
        return change(np.asarray(x))
    if np.size(x.scale) == 1 and isinstance(x.format, Scaled) and x.format.granularity == "tensor":
        return Quantised(change(x.levels), x.scale, x.format)
    return change(x.dequantise())


def channels_of(x: Any, channels: slice) -> Any:
    """The elements of a tensor at `channels` of its second axis."""
    return rearranged(x, lambda every: every[:, channels])


def rows_of(x: Any, rows: Any) -> Any:
    """The elements of a tensor at `rows` of its first axis, with their scales where it is `Quantised`."""
    if not isinstance(x, Quantised) or not isinstance(x.format, Scaled):
        return np.asarray(x)[rows]
    first_axis = x.format.granularity == "channel" and x.format.size == 0
    own = first_axis or (x.format.granularity == "block" and x.ndim > 1)
    if x.format.granularity == "block" and not own:
        return x.dequantise()[rows]
    return Quantised(x.levels[rows], x.scale[rows] if own else x.scale, x.format)


def refuse_axis_scales(name: str, x: TensorType) -> None:
    """ValueError for a tensor whose scales belong to an axis, which a movement would leave behind."""
    known = x.format
    if isinstance(known, Scaled) and known.granularity != "tensor":
        raise ValueError(f"{name} of {x}, whose scales belong to its axes; dequantize it first")


def moving(
    name: str, reference: Callable[..., Any], shape: Callable[..., Any]
) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """The reference and shape rule of an op of one tensor that only moves elements.

    A tensor in a format with one scale keeps its levels and its scale.
    """

    @wraps(reference)
    def moved_levels(x: Any, **attributes: Any) -> Any:
        if not isinstance(x, Quantised):
            return reference(np.asarray(x), **attributes)
        made = reference(x.levels, **attributes)
        if isinstance(made, tuple):
            return tuple(Quantised(part, x.scale, x.format) for part in made)
        return Quantised(made, x.scale, x.format)

    @wraps(shape)
    def checked(x: TensorType, **attributes: Any) -> Any:
        refuse_axis_scales(name, x)
        return shape(x, **attributes)

    return moved_levels, checked

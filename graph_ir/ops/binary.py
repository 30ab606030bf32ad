"""Pointwise functions of two or three tensors with broadcasting, from one table.

Scalars come as `constant` results: an operand without axes never widens the other's format.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Literal

import numpy as np

from siliform.graph_ir.formats import Format
from siliform.graph_ir.ops.common import float_of, floating, held, plain, pointwise, promote, promoted, real
from siliform.graph_ir.opspec import OpSpec, Variant
from siliform.graph_ir.space import Space
from siliform.graph_ir.types import TensorType, tensor
from siliform.graph_ir.variants import ADD

#: What a function makes of its operands' common format: a float of it, the same, or a boolean.
Result = Literal["float", "same", "bool"]

NO_VARIANTS: Mapping[str, Variant] = MappingProxyType({})


def _together(*operands: TensorType) -> TensorType:
    return TensorType(np.broadcast_shapes(*(o.shape for o in operands)), promoted(*operands))


def _binary(
    name: str,
    function: Callable[[Any, Any], Any],
    body: Mapping[str, int],
    result: Result = "same",
    variants: Mapping[str, Variant] = NO_VARIANTS,
) -> OpSpec:
    def reference(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        left, right = promote(a, b)
        if result == "float":
            left, right = floating(left), floating(right)
        with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
            made = np.asarray(function(left, right))
        return made if result == "bool" else made.astype(left.dtype, copy=False)

    def shape(a: TensorType, b: TensorType) -> TensorType:
        common = _together(a, b)
        if result == "bool":
            return common.with_format("bool")
        return common.with_format(float_of(common.format)) if result == "float" else common

    def spaces(a: TensorType, b: TensorType) -> list[Space]:
        return [pointwise(shape(a, b), [a, b], body)]

    reference.__name__, reference.__doc__ = name, f"{name} of each pair of elements, shapes broadcast."
    return OpSpec(name, "elementwise", reference, shape, spaces, variants=variants, source=f"torch.{name}")


add = _binary("add", np.add, {"add": 1}, variants=ADD)
sub = _binary("sub", np.subtract, {"add": 1})
mul = _binary("mul", np.multiply, {"mul": 1})
div = _binary("div", np.true_divide, {"div": 1}, "float")
pow = _binary("pow", np.power, {"pow": 1})
floor_divide = _binary("floor_divide", np.floor_divide, {"div": 1, "round": 1})
mod = _binary("mod", np.mod, {"div": 1, "round": 1, "mul": 1, "add": 1})
fmod = _binary("fmod", np.fmod, {"div": 1, "round": 1, "mul": 1, "add": 1})
maximum = _binary("maximum", np.maximum, {"compare": 1})
minimum = _binary("minimum", np.minimum, {"compare": 1})
atan2 = _binary("atan2", np.arctan2, {"div": 1, "mul": 1, "add": 1, "compare": 2}, "float")
eq = _binary("eq", np.equal, {"compare": 1}, "bool")
ne = _binary("ne", np.not_equal, {"compare": 1}, "bool")
lt = _binary("lt", np.less, {"compare": 1}, "bool")
le = _binary("le", np.less_equal, {"compare": 1}, "bool")
gt = _binary("gt", np.greater, {"compare": 1}, "bool")
ge = _binary("ge", np.greater_equal, {"compare": 1}, "bool")
logical_and = _binary("logical_and", np.logical_and, {"logic": 1}, "bool")
logical_or = _binary("logical_or", np.logical_or, {"logic": 1}, "bool")
logical_xor = _binary("logical_xor", np.logical_xor, {"logic": 1}, "bool")
bitwise_and = _binary("bitwise_and", np.bitwise_and, {"logic": 1})
bitwise_or = _binary("bitwise_or", np.bitwise_or, {"logic": 1})
bitwise_xor = _binary("bitwise_xor", np.bitwise_xor, {"logic": 1})
shift_left = _binary("shift_left", np.left_shift, {"logic": 1})
shift_right = _binary("shift_right", np.right_shift, {"logic": 1})


def _where(condition: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """a where `condition` holds, else b; shapes broadcast."""
    left, right = promote(a, b)
    return np.where(np.asarray(condition).astype(bool), left, right)


def _where_shape(condition: TensorType, a: TensorType, b: TensorType) -> TensorType:
    shape = np.broadcast_shapes(condition.shape, a.shape, b.shape)
    return TensorType(shape, promoted(a, b))


def _where_spaces(condition: TensorType, a: TensorType, b: TensorType) -> list[Space]:
    return [pointwise(_where_shape(condition, a, b), [condition, a, b], {"compare": 1})]


where = OpSpec("where", "elementwise", _where, _where_shape, _where_spaces, source="torch.where")


def _clamp(x: np.ndarray, low: np.ndarray | None = None, high: np.ndarray | None = None) -> np.ndarray:
    """x between `low` and `high`, either of which may be left out; shapes broadcast."""
    given = [o for o in (x, low, high) if o is not None]
    dtype = promote(*given)[0].dtype
    made = real(x).astype(dtype, copy=False)
    made = made if low is None else np.maximum(made, np.asarray(low).astype(dtype))
    return made if high is None else np.minimum(made, np.asarray(high).astype(dtype))


def _clamp_shape(x: TensorType, low: TensorType | None = None, high: TensorType | None = None) -> TensorType:
    bounds = [o for o in (low, high) if o is not None]
    if not bounds:
        raise ValueError("clamp needs a lower or an upper bound, got neither")
    return _together(x, *bounds)


def _clamp_spaces(
    x: TensorType, low: TensorType | None = None, high: TensorType | None = None
) -> list[Space]:
    bounds = [o for o in (low, high) if o is not None]
    return [pointwise(_clamp_shape(x, low, high), [x, *bounds], {"compare": len(bounds)})]


def _clamp_expansion(b: Any, x: Any, low: Any = None, high: Any = None) -> Any:
    made = x if low is None else b(maximum, x, low)
    return made if high is None else b(minimum, made, high)


clamp = OpSpec(
    "clamp", "elementwise", _clamp, _clamp_shape, _clamp_spaces, _clamp_expansion, source="torch.clamp"
)


def _cast(x: np.ndarray, *, format: str) -> np.ndarray:
    """x in another format: floats to integers towards zero, anything to bool as "is not zero".

    The interpreter rounds the result to `format`; here it takes the dtype that holds it.
    """
    with np.errstate(invalid="ignore", over="ignore"):
        return real(x).astype(held(format))


def _cast_shape(x: TensorType, *, format: str) -> TensorType:
    made: Format = tensor(format).format
    if plain(made) != made:
        raise ValueError(f"a cast to {made.name}, whose scale only `quantize` can find")
    return x.with_format(made)


def _cast_spaces(x: TensorType, *, format: str) -> list[Space]:
    return [pointwise(_cast_shape(x, format=format), [x], {"round": 1})]


cast = OpSpec("cast", "elementwise", _cast, _cast_shape, _cast_spaces, source="torch.Tensor.to")

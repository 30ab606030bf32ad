"""Activations: pointwise functions that networks put between products, some with attributes.

A unit with a table for ``gelu``, ``silu``, ``sigmoid`` or ``tanh`` does them in one look-up; where
there is none, the expansions lead to exponentials and reciprocals.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import pi, sqrt
from typing import Any

import numpy as np

from siliform.graph_ir.graph import Builder, Value
from siliform.graph_ir.ops.binary import NO_VARIANTS, add, maximum, minimum, mul, sub, where
from siliform.graph_ir.ops.binary import gt as greater
from siliform.graph_ir.ops.common import float_of, in_floats, plain, pointwise, promote, promoted, real
from siliform.graph_ir.ops.creation import scalar
from siliform.graph_ir.ops.unary import abs as absolute
from siliform.graph_ir.ops.unary import erf, erf_of, exp, log1p, neg, reciprocal
from siliform.graph_ir.opspec import OpSpec, Variant
from siliform.graph_ir.space import Space
from siliform.graph_ir.types import TensorType
from siliform.graph_ir.variants import GELU, RELU, SIGMOID, SILU


def _activation(
    reference: Callable[..., Any],
    body: Mapping[str, int],
    expansion: Callable[..., Any] | None = None,
    variants: Mapping[str, Variant] = NO_VARIANTS,
) -> OpSpec:
    """The op that a reference of one tensor defines; its name is the function's, underscore left out."""

    def shape(x: TensorType, **attributes: Any) -> TensorType:
        return x.with_format(float_of(x.format))

    def spaces(x: TensorType, **attributes: Any) -> list[Space]:
        return [pointwise(shape(x), [x], body)]

    name = reference.__name__.strip("_")
    source = f"torch.nn.functional.{name}"
    return OpSpec(
        name, "activation", in_floats(reference), shape, spaces, expansion, variants=variants, source=source
    )


def _relu(x: np.ndarray) -> np.ndarray:
    """max(x, 0); integers stay integers."""
    known = real(x)
    return np.maximum(known, known.dtype.type(0))


relu = OpSpec(
    "relu",
    "activation",
    _relu,
    lambda x: x.with_format(plain(x.format)),
    lambda x: [pointwise(x, [x], {"compare": 1})],
    variants=RELU,
    source="torch.nn.functional.relu",
)


def _relu6(x: np.ndarray) -> np.ndarray:
    """x between 0 and 6."""
    return np.clip(x, 0, 6)


def _relu6_expansion(b: Builder, x: Value) -> Any:
    return b(minimum, b(maximum, x, scalar(b, 0.0, x)), scalar(b, 6.0, x))


relu6 = _activation(_relu6, {"compare": 2}, _relu6_expansion)


def _sigmoid(x: np.ndarray) -> np.ndarray:
    """1 / (1 + exp(-x)), without overflow at either end."""
    decay = np.exp(-np.abs(x))
    return np.where(x >= 0, 1, decay) / (1 + decay)


def _sigmoid_expansion(b: Builder, x: Value) -> Any:
    return b(reciprocal, b(add, b(exp, b(neg, x)), scalar(b, 1.0, x)))


sigmoid = _activation(_sigmoid, {"sigmoid": 1}, _sigmoid_expansion, SIGMOID)


def _tanh(x: np.ndarray) -> np.ndarray:
    """(1 - exp(-2x)) / (1 + exp(-2x))."""
    return np.tanh(x)


def _tanh_expansion(b: Builder, x: Value) -> Any:
    two = scalar(b, 2.0, x)
    return b(sub, b(mul, b(sigmoid, b(mul, x, two)), two), scalar(b, 1.0, x))


tanh = _activation(_tanh, {"tanh": 1}, _tanh_expansion)


def _gelu(x: np.ndarray, *, approximate: str = "none") -> np.ndarray:
    """x Φ(x): by the error function ("none") or by tanh of a cubic ("tanh").

    Source: Hendrycks and Gimpel, "Gaussian Error Linear Units", arXiv 1606.08415, section 2.
    """
    if approximate == "tanh":
        return 0.5 * x * (1 + np.tanh(sqrt(2 / pi) * (x + 0.044715 * x * x * x)))
    return 0.5 * x * (1 + erf_of(x / sqrt(2)))


def _gelu_shape(x: TensorType, *, approximate: str = "none") -> TensorType:
    if approximate not in ("none", "tanh"):
        raise ValueError(f"gelu with approximate={approximate!r}; it is 'none' or 'tanh'")
    return x.with_format(float_of(x.format))


def _gelu_spaces(x: TensorType, *, approximate: str = "none") -> list[Space]:
    return [pointwise(_gelu_shape(x, approximate=approximate), [x], {"gelu": 1})]


def _gelu_expansion(b: Builder, x: Value, *, approximate: str = "none") -> Any:
    half = b(mul, x, scalar(b, 0.5, x))
    if approximate == "none":
        inner = b(erf, b(mul, x, scalar(b, 1 / sqrt(2), x)))
    else:
        cubic = b(mul, b(mul, x, x), scalar(b, 0.044715, x))
        inner = b(tanh, b(mul, b(add, x, b(mul, x, cubic)), scalar(b, sqrt(2 / pi), x)))
    return b(mul, half, b(add, inner, scalar(b, 1.0, x)))


gelu = OpSpec(
    "gelu",
    "activation",
    in_floats(_gelu),
    _gelu_shape,
    _gelu_spaces,
    _gelu_expansion,
    variants=GELU,
    source="torch.nn.functional.gelu; Hendrycks and Gimpel, arXiv 1606.08415",
)


def _quick_gelu(x: np.ndarray) -> np.ndarray:
    """x sigmoid(1.702 x). Source: Hendrycks and Gimpel, arXiv 1606.08415, section 2."""
    return x * _sigmoid(1.702 * x)


def _quick_gelu_expansion(b: Builder, x: Value) -> Any:
    return b(mul, x, b(sigmoid, b(mul, x, scalar(b, 1.702, x))))


quick_gelu = _activation(_quick_gelu, {"mul": 2, "sigmoid": 1}, _quick_gelu_expansion)


def _silu(x: np.ndarray) -> np.ndarray:
    """x sigmoid(x)."""
    return x * _sigmoid(x)


def _silu_expansion(b: Builder, x: Value) -> Any:
    return b(mul, x, b(sigmoid, x))


silu = _activation(_silu, {"silu": 1}, _silu_expansion, SILU)


def _softplus(x: np.ndarray, *, beta: float = 1.0, threshold: float = 20.0) -> np.ndarray:
    """log(1 + exp(beta x)) / beta, and x itself where beta x is above `threshold`."""
    scaled = beta * x
    smooth = (np.maximum(scaled, 0) + np.log1p(np.exp(-np.abs(scaled)))) / beta
    return np.where(scaled > threshold, x, smooth)


def _softplus_expansion(b: Builder, x: Value, *, beta: float = 1.0, threshold: float = 20.0) -> Any:
    scaled = b(mul, x, scalar(b, beta, x))
    smooth = b(mul, b(log1p, b(exp, scaled)), scalar(b, 1 / beta, x))
    return b(where, b(greater, scaled, scalar(b, threshold, x)), x, smooth)


softplus = _activation(_softplus, {"mul": 2, "exp": 1, "add": 1, "log": 1, "compare": 1}, _softplus_expansion)


def _log_sigmoid(x: np.ndarray) -> np.ndarray:
    """-log(1 + exp(-x))."""
    return np.minimum(x, 0) - np.log1p(np.exp(-np.abs(x)))


def _log_sigmoid_expansion(b: Builder, x: Value) -> Any:
    return b(neg, b(softplus, b(neg, x)))


log_sigmoid = _activation(_log_sigmoid, {"exp": 1, "add": 2, "log": 1}, _log_sigmoid_expansion)


def _elu(x: np.ndarray, *, alpha: float = 1.0) -> np.ndarray:
    """x where positive, else alpha (exp(x) - 1)."""
    return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))


def _elu_expansion(b: Builder, x: Value, *, alpha: float = 1.0) -> Any:
    grown = b(sub, b(exp, x), scalar(b, 1.0, x))
    return b(where, b(greater, x, scalar(b, 0.0, x)), x, b(mul, grown, scalar(b, alpha, x)))


elu = _activation(_elu, {"compare": 1, "exp": 1, "add": 1, "mul": 1}, _elu_expansion)


def _selu(x: np.ndarray) -> np.ndarray:
    """Scaled elu. Source: Klambauer et al., "Self-Normalizing Neural Networks", 2017, equation 2."""
    return 1.0507009873554804934193349852946 * _elu(x, alpha=1.6732632423543772848170429916717)


selu = _activation(_selu, {"compare": 1, "exp": 1, "add": 1, "mul": 2})


def _leaky_relu(x: np.ndarray, *, slope: float = 0.01) -> np.ndarray:
    """x where positive, else slope x."""
    return np.where(x > 0, x, slope * x)


leaky_relu = _activation(_leaky_relu, {"compare": 1, "mul": 1})


def _hard_tanh(x: np.ndarray, *, low: float = -1.0, high: float = 1.0) -> np.ndarray:
    """x between `low` and `high`."""
    return np.clip(x, low, high)


hard_tanh = _activation(_hard_tanh, {"compare": 2})


def _hard_sigmoid(x: np.ndarray) -> np.ndarray:
    """x/6 + 1/2 between 0 and 1."""
    return np.clip(x / 6 + 0.5, 0, 1)


hard_sigmoid = _activation(_hard_sigmoid, {"mul": 1, "add": 1, "compare": 2})


def _hard_swish(x: np.ndarray) -> np.ndarray:
    """x hard_sigmoid(x)."""
    return x * _hard_sigmoid(x)


def _hard_swish_expansion(b: Builder, x: Value) -> Any:
    return b(mul, x, b(hard_sigmoid, x))


hard_swish = _activation(_hard_swish, {"mul": 2, "add": 1, "compare": 2}, _hard_swish_expansion)


def _mish(x: np.ndarray) -> np.ndarray:
    """x tanh(softplus(x))."""
    return x * np.tanh(_softplus(x))


def _mish_expansion(b: Builder, x: Value) -> Any:
    return b(mul, x, b(tanh, b(softplus, x)))


mish = _activation(_mish, {"exp": 1, "add": 1, "log": 1, "tanh": 1, "mul": 1}, _mish_expansion)


def _softsign(x: np.ndarray) -> np.ndarray:
    """x / (1 + |x|)."""
    return x / (1 + np.abs(x))


def _softsign_expansion(b: Builder, x: Value) -> Any:
    return b(mul, x, b(reciprocal, b(add, b(absolute, x), scalar(b, 1.0, x))))


softsign = _activation(_softsign, {"compare": 1, "add": 1, "div": 1}, _softsign_expansion)


def _prelu(x: np.ndarray, slope: np.ndarray) -> np.ndarray:
    """x where positive, else slope x; slope [] or [C] along axis 1 of x."""
    known, slopes = promote(x, slope)
    if slopes.size > 1:
        slopes = slopes.reshape(-1, *[1] * (known.ndim - 2))
    return np.where(known > 0, known, slopes * known)


def _prelu_shape(x: TensorType, slope: TensorType) -> TensorType:
    if slope.elements != 1 and (x.rank < 2 or slope.shape != x.shape[1:2]):
        raise ValueError(
            f"slope has shape {slope.shape} for x of shape {x.shape}; it is one or one per channel"
        )
    return TensorType(x.shape, promoted(x, slope))


def _prelu_spaces(x: TensorType, slope: TensorType) -> list[Space]:
    body = {"compare": 1, "mul": 1}
    if slope.elements == 1:
        return [Space.over("i, -> i", body, i=x.elements)]
    n, c, rest = x.shape[0], x.shape[1], x.elements // max(x.shape[0] * x.shape[1], 1)
    return [Space.over("n c i, c -> n c i", body, n=n, c=c, i=rest)]


prelu = OpSpec("prelu", "activation", _prelu, _prelu_shape, _prelu_spaces, source="torch.nn.functional.prelu")

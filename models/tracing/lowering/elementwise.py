"""Elementwise operators: one of torch to one of ours, wherever their meaning is the same."""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import torch

from siliform.models.tracing.lowerer import Complex, Lowerer, Rule

#: torch functions of one tensor whose name, promotion and meaning are those of our op.
SAME_UNARY = (
    "exp", "exp2", "expm1", "log", "log2", "log10", "log1p", "sqrt", "rsqrt", "reciprocal", "sin", "cos",
    "tan", "atan", "sinh", "cosh", "erf", "neg", "sign", "square", "floor", "ceil", "trunc", "isnan",
    "isinf", "isfinite", "logical_not", "bitwise_not", "relu", "silu", "sigmoid", "tanh", "relu6",
    "mish", "selu", "log_sigmoid", "softsign",
)  # fmt: skip

#: torch functions of two tensors and the op of ours that means the same.
BINARY: Mapping[str, str] = MappingProxyType(
    {
        "mul": "mul", "maximum": "maximum", "minimum": "minimum", "atan2": "atan2", "fmod": "fmod",
        "remainder": "mod", "floor_divide": "floor_divide", "eq": "eq", "ne": "ne", "lt": "lt", "le": "le",
        "gt": "gt", "ge": "ge", "logical_and": "logical_and", "logical_or": "logical_or",
        "logical_xor": "logical_xor", "bitwise_and": "bitwise_and", "bitwise_or": "bitwise_or",
        "bitwise_xor": "bitwise_xor", "__and__": "bitwise_and", "__or__": "bitwise_or",
        "__xor__": "bitwise_xor", "bitwise_left_shift": "shift_left", "bitwise_right_shift": "shift_right",
        "__lshift__": "shift_left", "__rshift__": "shift_right", "__mul__": "mul", "multiply": "mul",
    }
)  # fmt: skip


def _number(c: Lowerer, operand: Any) -> Any:
    """A Python number as a scalar that keeps its precision beside a float64 tensor."""
    wide = isinstance(operand, float) and isinstance(c.out, torch.Tensor) and c.out.dtype is torch.float64
    return c.scalar(operand, torch.float64) if wide else operand


def _unary(op: str) -> Rule:
    return lambda c, x: c.apply(op, x)


def _binary(op: str) -> Rule:
    return lambda c, x, y: c.apply(op, _number(c, x), _number(c, y))


def _scaled(c: Lowerer, y: Any, alpha: float) -> Any:
    if alpha == 1:
        return y
    if isinstance(y, (bool, int, float)):
        return y * alpha
    return c.apply("mul", y, _number(c, alpha))


def _add(c: Lowerer, x: Any, y: Any, *, alpha: float = 1) -> Any:
    if isinstance(x, Complex) or isinstance(y, Complex):
        return _complex_sum(c, "add", x, y)
    return c.apply("add", _number(c, x), _number(c, _scaled(c, y, alpha)))


def _sub(c: Lowerer, x: Any, y: Any, *, alpha: float = 1) -> Any:
    if isinstance(x, Complex) or isinstance(y, Complex):
        return _complex_sum(c, "sub", x, y)
    return c.apply("sub", _number(c, x), _number(c, _scaled(c, y, alpha)))


def _complex_sum(c: Lowerer, op: str, x: Any, y: Any) -> Any:
    (a, b), (d, e) = _parts(x), _parts(y)
    imaginary = b if e is None else c.apply(op, 0.0 if b is None else b, e)
    return Complex(c.apply(op, a, d), imaginary)


def _parts(operand: Any) -> tuple[Any, Any]:
    return (operand.real, operand.imaginary) if isinstance(operand, Complex) else (operand, None)


def _mul(c: Lowerer, x: Any, y: Any) -> Any:
    if not isinstance(x, Complex) and not isinstance(y, Complex):
        return c.apply("mul", _number(c, x), _number(c, y))
    (a, b), (d, e) = _parts(x), _parts(y)
    if b is None or e is None:
        real_one, pair = (a, y) if b is None else (d, x)
        return Complex(c.apply("mul", pair.real, real_one), c.apply("mul", pair.imaginary, real_one))
    real = c.apply("sub", c.apply("mul", a, d), c.apply("mul", b, e))
    return Complex(real, c.apply("add", c.apply("mul", a, e), c.apply("mul", b, d)))


def _rsub(c: Lowerer, x: Any, y: Any, alpha: float = 1) -> Any:
    return _sub(c, y, _scaled(c, x, alpha))


def _div(c: Lowerer, x: Any, y: Any, *, rounding_mode: str | None = None) -> Any:
    if isinstance(x, Complex) and not isinstance(y, Complex):
        return Complex(c.apply("div", x.real, y), c.apply("div", x.imaginary, y))
    whole = not c.out.dtype.is_floating_point
    if rounding_mode == "floor" and whole:
        return c.apply("floor_divide", x, y)
    quotient = c.apply("div", _number(c, x), _number(c, y))
    if rounding_mode is None:
        return quotient
    return c.apply("floor" if rounding_mode == "floor" else "trunc", quotient)


def _pow(c: Lowerer, x: Any, exponent: Any) -> Any:
    """Small constant exponents as torch itself computes them: by products and roots."""
    known: Mapping[float, str] = {2.0: "square", 0.5: "sqrt", -0.5: "rsqrt", -1.0: "reciprocal"}
    if isinstance(exponent, (int, float)) and c.out.dtype.is_floating_point:
        if float(exponent) in known:
            return c.apply(known[float(exponent)], c.cast(x, c.out.dtype))
        if exponent == 3:
            return c.apply("mul", c.apply("square", x), x)
        if exponent == 1:
            return c.cast(x, c.out.dtype)
    return c.apply("pow", _number(c, x), _number(c, exponent))


def _round(c: Lowerer, x: Any, *, decimals: int = 0) -> Any:
    if decimals == 0:
        return c.apply("round", x)
    scale = float(10**decimals)
    return c.apply("div", c.apply("round", c.apply("mul", x, scale)), scale)


def _abs(c: Lowerer, x: Any) -> Any:
    if not isinstance(x, Complex):
        return c.apply("abs", x)
    power = c.apply("add", c.apply("square", x.real), c.apply("square", x.imaginary))
    return c.apply("sqrt", power)


def _neg(c: Lowerer, x: Any) -> Any:
    if isinstance(x, Complex):
        return Complex(c.apply("neg", x.real), c.apply("neg", x.imaginary))
    return c.apply("neg", x)


def _clamp(c: Lowerer, x: Any, low: Any = None, high: Any = None) -> Any:
    bounds = [None if b is None else c.value(_number(c, b)) for b in (low, high)]
    return c.apply("clamp", x, *bounds)


def _where(c: Lowerer, condition: Any, x: Any = None, y: Any = None) -> Any:
    if x is None:
        raise c.refusal("one argument, whose result has as many rows as the data decide")
    return c.apply("where", condition, _number(c, x), _number(c, y))


def _masked_fill(c: Lowerer, x: Any, mask: Any, number: Any) -> Any:
    filled = c.apply("where", mask, _number(c, number), x)
    return (
        filled
        if c.shape(filled) == tuple(c.out.shape)
        else c.apply("expand", filled, shape=tuple(c.out.shape))
    )


def _gelu(c: Lowerer, x: Any, *, approximate: str = "none") -> Any:
    return c.apply("gelu", x, approximate=approximate)


def _leaky_relu(c: Lowerer, x: Any, negative_slope: float = 0.01) -> Any:
    return c.apply("leaky_relu", x, slope=float(negative_slope))


def _elu(c: Lowerer, x: Any, alpha: float = 1.0, scale: float = 1.0, input_scale: float = 1.0) -> Any:
    if input_scale == 1.0 and scale == 1.0:
        return c.apply("elu", x, alpha=float(alpha))
    below = c.apply("mul", c.apply("expm1", c.apply("mul", x, float(input_scale))), float(alpha))
    return c.apply("mul", c.apply("where", c.apply("gt", x, 0.0), x, below), float(scale))


def _softplus(c: Lowerer, x: Any, beta: float = 1.0, threshold: float = 20.0) -> Any:
    return c.apply("softplus", x, beta=float(beta), threshold=float(threshold))


def _hardtanh(c: Lowerer, x: Any, low: float = -1.0, high: float = 1.0) -> Any:
    return c.apply("hard_tanh", x, low=float(low), high=float(high))


def _addcmul(c: Lowerer, x: Any, a: Any, b: Any, *, value: float = 1) -> Any:
    return c.apply("add", x, _scaled(c, c.apply("mul", a, b), value))


def _addcdiv(c: Lowerer, x: Any, a: Any, b: Any, *, value: float = 1) -> Any:
    return c.apply("add", x, _scaled(c, c.apply("div", a, b), value))


def _lerp(c: Lowerer, start: Any, end: Any, weight: Any) -> Any:
    return c.apply("add", start, c.apply("mul", c.apply("sub", end, start), weight))


def _nan_to_num(c: Lowerer, x: Any, nan: float | None = None, posinf: Any = None, neginf: Any = None) -> Any:
    largest = torch.finfo(c.out.dtype).max
    held = c.apply("where", c.apply("isnan", x), float(nan or 0.0), x)
    low = -largest if neginf is None else float(neginf)
    return c.apply("clamp", held, low, largest if posinf is None else float(posinf))


def _deg2rad(c: Lowerer, x: Any) -> Any:
    return c.apply("mul", x, math.pi / 180.0)


def _leg(c: Lowerer, x: Any) -> Any:
    """sqrt(1 - x^2), the other leg of an angle with cosine (or sine) x."""
    return c.apply("sqrt", c.apply("sub", 1.0, c.apply("square", x)))


def _acos(c: Lowerer, x: Any) -> Any:
    return c.apply("atan2", _leg(c, x), x)


def _asin(c: Lowerer, x: Any) -> Any:
    return c.apply("atan2", x, _leg(c, x))


def _asinh(c: Lowerer, x: Any) -> Any:
    root = c.apply("sqrt", c.apply("add", c.apply("square", x), 1.0))
    return c.apply("log", c.apply("add", x, root))


def _atanh(c: Lowerer, x: Any) -> Any:
    ratio = c.apply("div", c.apply("add", x, 1.0), c.apply("sub", 1.0, x))
    return c.apply("mul", c.apply("log", ratio), 0.5)


RULES: Mapping[str, Rule] = MappingProxyType(
    {f"aten.{name}": _unary(name) for name in SAME_UNARY}
    | {f"aten.{name}": _binary(op) for name, op in BINARY.items()}
    | {
        "aten.add": _add,
        "aten.sub": _sub,
        "aten.subtract": _sub,
        "aten.rsub": _rsub,
        "aten.mul": _mul,
        "aten.multiply": _mul,
        "aten.div": _div,
        "aten.divide": _div,
        "aten.true_divide": _div,
        "aten.pow": _pow,
        "aten.float_power": _pow,
        "aten.round": _round,
        "aten.abs": _abs,
        "aten.neg": _neg,
        "aten.negative": _neg,
        "aten.absolute": _abs,
        "aten.clamp": _clamp,
        "aten.clip": _clamp,
        "aten.clamp_min": lambda c, x, low: _clamp(c, x, low),
        "aten.clamp_max": lambda c, x, high: _clamp(c, x, None, high),
        "aten.max.other": _binary("maximum"),
        "aten.min.other": _binary("minimum"),
        "aten.fmax": _binary("maximum"),
        "aten.fmin": _binary("minimum"),
        "aten.arctan": _unary("atan"),
        "aten.acos": _acos,
        "aten.asin": _asin,
        "aten.asinh": _asinh,
        "aten.atanh": _atanh,
        "aten.where": _where,
        "aten.masked_fill": _masked_fill,
        "aten.gelu": _gelu,
        "aten.leaky_relu": _leaky_relu,
        "aten.hardswish": _unary("hard_swish"),
        "aten.hardsigmoid": _unary("hard_sigmoid"),
        "aten.prelu": _binary("prelu"),
        "aten.elu": _elu,
        "aten.celu": lambda c, x, alpha=1.0: _elu(c, x, alpha, 1.0, 1.0 / alpha),
        "aten.softplus": _softplus,
        "aten.hardtanh": _hardtanh,
        "aten.addcmul": _addcmul,
        "aten.addcdiv": _addcdiv,
        "aten.lerp": _lerp,
        "aten.nan_to_num": _nan_to_num,
        "aten.deg2rad": _deg2rad,
    }
)

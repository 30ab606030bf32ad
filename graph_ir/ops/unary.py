"""Pointwise functions of one tensor that have no attributes, from one table."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, Literal

import numpy as np

from siliform.graph_ir.ops.common import float_of, floating, plain, pointwise, real
from siliform.graph_ir.opspec import OpSpec
from siliform.graph_ir.space import Space
from siliform.graph_ir.types import TensorType

#: What a function makes of its operand's format: a float of it, the same, or a boolean.
Result = Literal["float", "same", "bool"]

#: Distance of the nodes around which the error function is expanded, and the node beyond which it is 1
#: in a double: erfc(6) is 2e-17.
_STEP, _LAST = 1 / 32, 6

#: Terms of the expansion. The first one left out is below 1e-17 at every distance up to _STEP / 2.
_TERMS = 9


def _expansions_of_erf() -> np.ndarray:
    """Taylor coefficients of erf [terms, nodes]: its derivatives are Hermite polynomials times a Gaussian.

    Source: Abramowitz and Stegun, Handbook of Mathematical Functions, 7.1.19.
    """
    nodes = np.arange(0, _LAST + _STEP, _STEP)
    before, hermite = np.zeros_like(nodes), np.ones_like(nodes)
    found = [np.array([math.erf(node) for node in nodes])]
    slope = 2 / math.sqrt(math.pi) * np.exp(-nodes * nodes)
    for n in range(1, _TERMS):
        found.append(slope * hermite * (-1) ** (n - 1) / math.factorial(n))
        before, hermite = hermite, 2 * nodes * hermite - 2 * (n - 1) * before
    made = np.stack(found)
    made.setflags(write=False)
    return made


_ERF = _expansions_of_erf()


def erf_of(x: np.ndarray) -> np.ndarray:
    """The error function to within two units of a double's last place; NumPy has none."""
    known = np.asarray(x, dtype=np.float64)
    distance = np.where(known == known, np.minimum(np.abs(known), _LAST), 0)
    node = np.rint(distance / _STEP).astype(np.int64)
    distance -= node * _STEP
    made = _ERF[-1][node]
    for coefficients in _ERF[-2::-1]:
        made = made * distance + coefficients[node]
    return np.where(known == known, np.copysign(made, known), known)


def _unary(
    name: str,
    function: Callable[[Any], Any],
    body: Mapping[str, int],
    result: Result = "float",
    expansion: Callable[..., Any] | None = None,
) -> OpSpec:
    def reference(x: np.ndarray) -> np.ndarray:
        known = floating(x) if result == "float" else real(x)
        with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
            made = np.asarray(function(known))
        return made if result == "bool" else made.astype(known.dtype, copy=False)

    def shape(x: TensorType) -> TensorType:
        if result == "bool":
            return x.with_format("bool")
        return x.with_format(float_of(x.format) if result == "float" else plain(x.format))

    def spaces(x: TensorType) -> list[Space]:
        return [pointwise(shape(x), [x], body)]

    reference.__name__, reference.__doc__ = name, f"{name} of each element, shape kept."
    return OpSpec(name, "elementwise", reference, shape, spaces, expansion, source=f"torch.{name}")


exp = _unary("exp", np.exp, {"exp": 1})
exp2 = _unary("exp2", np.exp2, {"mul": 1, "exp": 1})
expm1 = _unary("expm1", np.expm1, {"exp": 1, "add": 1})
log = _unary("log", np.log, {"log": 1})
log2 = _unary("log2", np.log2, {"log": 1, "mul": 1})
log10 = _unary("log10", np.log10, {"log": 1, "mul": 1})
log1p = _unary("log1p", np.log1p, {"add": 1, "log": 1})
sqrt = _unary("sqrt", np.sqrt, {"rsqrt": 1})
rsqrt = _unary("rsqrt", lambda x: 1.0 / np.sqrt(x), {"rsqrt": 1})
reciprocal = _unary("reciprocal", lambda x: 1.0 / x, {"reciprocal": 1})
sin = _unary("sin", np.sin, {"sin": 1})
cos = _unary("cos", np.cos, {"sin": 1})
tan = _unary("tan", np.tan, {"sin": 2, "div": 1})
atan = _unary("atan", np.arctan, {"div": 1, "mul": 1, "add": 1, "compare": 1})
sinh = _unary("sinh", np.sinh, {"exp": 1, "reciprocal": 1, "add": 1, "mul": 1})
cosh = _unary("cosh", np.cosh, {"exp": 1, "reciprocal": 1, "add": 1, "mul": 1})
erf = _unary("erf", erf_of, {"erf": 1})
abs = _unary("abs", np.abs, {"compare": 1}, "same")
neg = _unary("neg", np.negative, {"add": 1}, "same")
sign = _unary("sign", np.sign, {"compare": 1}, "same")
square = _unary("square", np.square, {"mul": 1}, "same")
floor = _unary("floor", lambda x: np.floor(x) if x.dtype.kind == "f" else x, {"round": 1}, "same")
ceil = _unary("ceil", lambda x: np.ceil(x) if x.dtype.kind == "f" else x, {"round": 1}, "same")
trunc = _unary("trunc", lambda x: np.trunc(x) if x.dtype.kind == "f" else x, {"round": 1}, "same")
round = _unary("round", lambda x: np.rint(x) if x.dtype.kind == "f" else x, {"round": 1}, "same")
isnan = _unary("isnan", np.isnan, {"compare": 1}, "bool")
isinf = _unary("isinf", np.isinf, {"compare": 1}, "bool")
isfinite = _unary("isfinite", np.isfinite, {"compare": 1}, "bool")
logical_not = _unary("logical_not", np.logical_not, {"logic": 1}, "bool")
bitwise_not = _unary("bitwise_not", np.bitwise_not, {"logic": 1}, "same")

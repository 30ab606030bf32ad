"""Sample cases of the pointwise ops: activations, unary, binary and ternary functions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from tests.conformance.op_data import booleans, floats, from_torch, integers, positive
from tests.conformance.op_suite import Case

Work = Mapping[str, int]

#: name: (PyTorch function, work per element, attributes). Inputs are normal fp32 numbers.
ACTIVATIONS: dict[str, tuple[Callable[..., Any], Work, dict[str, Any]]] = {
    "relu": (F.relu, {"compare": 1}, {}),
    "relu6": (lambda x: F.relu6(x), {"compare": 2}, {}),
    "sigmoid": (torch.sigmoid, {"sigmoid": 1}, {}),
    "tanh": (torch.tanh, {"tanh": 1}, {}),
    "gelu": (F.gelu, {"gelu": 1}, {}),
    "quick_gelu": (lambda x: x * torch.sigmoid(1.702 * x), {"mul": 2, "sigmoid": 1}, {}),
    "silu": (F.silu, {"silu": 1}, {}),
    "softplus": (
        lambda x: F.softplus(x, 2.0, 1.5),
        {"mul": 2, "exp": 1, "add": 1, "log": 1, "compare": 1},
        {"beta": 2.0, "threshold": 1.5},
    ),
    "log_sigmoid": (F.logsigmoid, {"exp": 1, "add": 2, "log": 1}, {}),
    "elu": (lambda x: F.elu(x, 0.7), {"compare": 1, "exp": 1, "add": 1, "mul": 1}, {"alpha": 0.7}),
    "selu": (F.selu, {"compare": 1, "exp": 1, "add": 1, "mul": 2}, {}),
    "leaky_relu": (lambda x: F.leaky_relu(x, 0.2), {"compare": 1, "mul": 1}, {"slope": 0.2}),
    "hard_tanh": (lambda x: F.hardtanh(x, -0.5, 0.7), {"compare": 2}, {"low": -0.5, "high": 0.7}),
    "hard_sigmoid": (F.hardsigmoid, {"mul": 1, "add": 1, "compare": 2}, {}),
    "hard_swish": (F.hardswish, {"mul": 2, "add": 1, "compare": 2}, {}),
    "mish": (F.mish, {"exp": 1, "add": 1, "log": 1, "tanh": 1, "mul": 1}, {}),
    "softsign": (F.softsign, {"compare": 1, "add": 1, "div": 1}, {}),
}

#: name: (PyTorch function, work per element, inputs: "any", "positive" or "integer").
UNARY: dict[str, tuple[Callable[..., Any], Work, str]] = {
    "exp": (torch.exp, {"exp": 1}, "any"),
    "exp2": (torch.exp2, {"mul": 1, "exp": 1}, "any"),
    "expm1": (torch.expm1, {"exp": 1, "add": 1}, "any"),
    "log": (torch.log, {"log": 1}, "positive"),
    "log2": (torch.log2, {"log": 1, "mul": 1}, "positive"),
    "log10": (torch.log10, {"log": 1, "mul": 1}, "positive"),
    "log1p": (torch.log1p, {"add": 1, "log": 1}, "positive"),
    "sqrt": (torch.sqrt, {"rsqrt": 1}, "positive"),
    "rsqrt": (torch.rsqrt, {"rsqrt": 1}, "positive"),
    "reciprocal": (torch.reciprocal, {"reciprocal": 1}, "positive"),
    "sin": (torch.sin, {"sin": 1}, "any"),
    "cos": (torch.cos, {"sin": 1}, "any"),
    "tan": (torch.tan, {"sin": 2, "div": 1}, "positive"),
    "atan": (torch.atan, {"div": 1, "mul": 1, "add": 1, "compare": 1}, "any"),
    "sinh": (torch.sinh, {"exp": 1, "reciprocal": 1, "add": 1, "mul": 1}, "any"),
    "cosh": (torch.cosh, {"exp": 1, "reciprocal": 1, "add": 1, "mul": 1}, "any"),
    "erf": (torch.erf, {"erf": 1}, "any"),
    "abs": (torch.abs, {"compare": 1}, "any"),
    "neg": (torch.neg, {"add": 1}, "any"),
    "sign": (torch.sign, {"compare": 1}, "any"),
    "square": (torch.square, {"mul": 1}, "any"),
    "floor": (torch.floor, {"round": 1}, "any"),
    "ceil": (torch.ceil, {"round": 1}, "any"),
    "trunc": (torch.trunc, {"round": 1}, "any"),
    "round": (torch.round, {"round": 1}, "halves"),
    "isnan": (torch.isnan, {"compare": 1}, "special"),
    "isinf": (torch.isinf, {"compare": 1}, "special"),
    "isfinite": (torch.isfinite, {"compare": 1}, "special"),
    "logical_not": (torch.logical_not, {"logic": 1}, "integer"),
    "bitwise_not": (torch.bitwise_not, {"logic": 1}, "integer"),
}

#: name: (PyTorch function, work per result, inputs: "any", "positive", "integer" or "bits").
BINARY: dict[str, tuple[Callable[..., Any], Work, str]] = {
    "add": (torch.add, {"add": 1}, "any"),
    "sub": (torch.sub, {"add": 1}, "any"),
    "mul": (torch.mul, {"mul": 1}, "any"),
    "div": (torch.div, {"div": 1}, "positive"),
    "pow": (torch.pow, {"pow": 1}, "positive"),
    "floor_divide": (torch.floor_divide, {"div": 1, "round": 1}, "positive"),
    "mod": (torch.remainder, {"div": 1, "round": 1, "mul": 1, "add": 1}, "positive"),
    "fmod": (torch.fmod, {"div": 1, "round": 1, "mul": 1, "add": 1}, "positive"),
    "maximum": (torch.maximum, {"compare": 1}, "any"),
    "minimum": (torch.minimum, {"compare": 1}, "any"),
    "atan2": (torch.atan2, {"div": 1, "mul": 1, "add": 1, "compare": 2}, "any"),
    "eq": (torch.eq, {"compare": 1}, "integer"),
    "ne": (torch.ne, {"compare": 1}, "integer"),
    "lt": (torch.lt, {"compare": 1}, "any"),
    "le": (torch.le, {"compare": 1}, "integer"),
    "gt": (torch.gt, {"compare": 1}, "any"),
    "ge": (torch.ge, {"compare": 1}, "integer"),
    "logical_and": (torch.logical_and, {"logic": 1}, "boolean"),
    "logical_or": (torch.logical_or, {"logic": 1}, "boolean"),
    "logical_xor": (torch.logical_xor, {"logic": 1}, "boolean"),
    "bitwise_and": (torch.bitwise_and, {"logic": 1}, "integer"),
    "bitwise_or": (torch.bitwise_or, {"logic": 1}, "integer"),
    "bitwise_xor": (torch.bitwise_xor, {"logic": 1}, "integer"),
    "shift_left": (torch.bitwise_left_shift, {"logic": 1}, "small"),
    "shift_right": (torch.bitwise_right_shift, {"logic": 1}, "small"),
}


def _inputs(kind: str, *shape: int, seed: int = 0) -> np.ndarray:
    if kind == "special":
        known = floats(*shape, seed=seed)
        known.reshape(-1)[:3] = np.nan, np.inf, -np.inf
        return known
    makers: dict[str, Callable[..., np.ndarray]] = {
        "any": floats,
        "positive": positive,
        "integer": integers,
        "boolean": booleans,
        "small": lambda *s, seed: integers(*s, low=0, high=7, seed=seed),
        "halves": lambda *s, seed: (integers(*s, seed=seed) / 2).astype(np.float32),
    }
    return makers[kind](*shape, seed=seed)


def _times(count: int, work: Work) -> dict[str, int]:
    return {scalar_op: count * each for scalar_op, each in work.items()}


def _unary_cases(function: Callable[..., Any], work: Work, kind: str) -> list[Case]:
    oracle = from_torch(function)
    return [
        Case((_inputs(kind, 3, 5, 7),), work=_times(105, work), oracle=oracle),
        Case((_inputs(kind, 3),), work=_times(3, work), oracle=oracle),
    ]


def _binary_cases(function: Callable[..., Any], work: Work, kind: str) -> list[Case]:
    oracle = from_torch(function)
    shapes = [((3, 5), (3, 5), 15), ((2, 3, 5), (5,), 30), ((2, 1, 5), (3, 1), 30), ((3, 5), (), 15)]
    return [
        Case((_inputs(kind, *a), _inputs(kind, *b, seed=1)), work=_times(count, work), oracle=oracle)
        for a, b, count in shapes
    ]


def _mixed_cases() -> dict[str, list[Case]]:
    """Promotion between integers and floats, and scalars that must not widen."""
    integer, half = integers(3, 5), np.asarray(0.5, dtype=np.float32)
    small = integers(3, 5).astype(np.int32)
    return {
        "add": [
            Case((integer, floats(5)), oracle=from_torch(torch.add)),
            Case((integer, half), oracle=from_torch(torch.add)),
            Case((small, np.asarray(2, dtype=np.int64)), oracle=from_torch(torch.add)),
            Case((booleans(3, 5), integer), oracle=from_torch(torch.add)),
        ],
        "div": [Case((integer, positive(5)), oracle=from_torch(torch.div))],
        "floor_divide": [Case((integer, np.asarray(4)), oracle=from_torch(torch.floor_divide))],
        "mod": [Case((integer, np.asarray(-4)), oracle=from_torch(torch.remainder))],
        "exp": [Case((integers(3, 5),), oracle=from_torch(torch.exp))],
        "abs": [Case((integers(3, 5),), oracle=from_torch(torch.abs))],
        "relu": [Case((small,), oracle=from_torch(F.relu))],
        "floor": [Case((integers(3, 5),), oracle=from_torch(torch.floor))],
        "gelu": [
            Case(
                (floats(3, 5),),
                {"approximate": "tanh"},
                {"gelu": 15},
                from_torch(lambda x: F.gelu(x, approximate="tanh")),
            )
        ],
        "sigmoid": [Case((floats(3, 5) * 100,), oracle=from_torch(torch.sigmoid))],
    }


def _prelu_cases() -> list[Case]:
    oracle = from_torch(F.prelu)
    return [
        Case((floats(2, 3, 5), floats(3)), work={"compare": 30, "mul": 30}, oracle=oracle),
        Case((floats(2, 3, 5), floats(1)), work={"compare": 30, "mul": 30}, oracle=oracle),
    ]


def _ternary_cases() -> dict[str, list[Case]]:
    where = from_torch(torch.where)
    low, high = np.asarray(-0.5, dtype=np.float32), np.asarray(0.25, dtype=np.float32)
    return {
        "where": [
            Case((booleans(3, 5), floats(3, 5), floats(5)), work={"compare": 15}, oracle=where),
            Case((booleans(2, 1, 5), floats(3, 1), low), work={"compare": 30}, oracle=where),
        ],
        "clamp": [
            Case((floats(3, 5), low, high), work={"compare": 30}, oracle=from_torch(torch.clamp)),
            Case((floats(3, 5), low, None), work={"compare": 15}, oracle=from_torch(torch.clamp)),
            Case(
                (floats(3, 5), None, floats(5)),
                work={"compare": 15},
                oracle=from_torch(lambda x, a, b: torch.clamp(x, max=b)),
            ),
        ],
        "cast": [
            Case((floats(3, 5) * 9,), {"format": "int32"}, {"round": 15}, from_torch(lambda x: x.int())),
            Case((integers(3, 5),), {"format": "fp32"}, {"round": 15}, from_torch(lambda x: x.float())),
            Case((integers(3, 5),), {"format": "bool"}, {"round": 15}, from_torch(lambda x: x.bool())),
        ],
    }


def cases() -> dict[str, list[Case]]:
    """Cases by op name."""
    found: dict[str, list[Case]] = {"prelu": _prelu_cases()}
    for name, (function, work, attributes) in ACTIVATIONS.items():
        found[name] = [
            Case((floats(*shape),), attributes, _times(count, work), from_torch(function))
            for shape, count in (((3, 5, 7), 105), ((11,), 11))
        ]
    for name, (function, work, kind) in UNARY.items():
        found[name] = _unary_cases(function, work, kind)
    for name, (function, work, kind) in BINARY.items():
        found[name] = _binary_cases(function, work, kind)
    found |= _ternary_cases()
    for name, more in _mixed_cases().items():
        found[name] = [*found[name], *more]
    return found

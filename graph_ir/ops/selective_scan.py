"""selective_scan: the state-space scan of Mamba, discretised as its paper does.

Per step and state: h = exp(delta A) h + (delta u) B, then y = sum over states of C h, plus D u.
Source: Gu and Dao, "Mamba", arXiv 2312.00752, algorithm 2.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from siliform.graph_ir.graph import Builder, Value
from siliform.graph_ir.ops.binary import add, mul
from siliform.graph_ir.ops.common import float_of, narrow, promoted, wide
from siliform.graph_ir.ops.reductions import reduce_sum
from siliform.graph_ir.ops.scan import linear_recurrence
from siliform.graph_ir.ops.unary import exp
from siliform.graph_ir.ops.views import permute, reshape, unsqueeze
from siliform.graph_ir.opspec import OpSpec
from siliform.graph_ir.space import Space
from siliform.graph_ir.types import TensorType


def _reference(
    u: np.ndarray,
    delta: np.ndarray,
    a: np.ndarray,
    b: np.ndarray,
    c: np.ndarray,
    d: np.ndarray | None = None,
    initial: np.ndarray | None = None,
) -> np.ndarray:
    """u and delta [B, D, L], a [D, S], b and c [B, S, L], d [D], initial [B, D, S] -> y [B, D, L]."""
    drive, step = wide(u), wide(delta)
    state = np.zeros((*drive.shape[:2], np.shape(a)[1])) if initial is None else wide(initial)
    made = np.empty_like(drive)
    decay_rate, inward, outward = wide(a), wide(b), wide(c)
    for t in range(drive.shape[2]):
        now = step[:, :, t, None]
        pushed = now * drive[:, :, t, None] * inward[:, None, :, t]
        state = np.exp(now * decay_rate) * state + pushed
        made[:, :, t] = np.einsum("bds,bs->bd", state, outward[:, :, t])
    return narrow(made if d is None else made + wide(d)[:, None] * drive, u)


def _shape(
    u: TensorType,
    delta: TensorType,
    a: TensorType,
    b: TensorType,
    c: TensorType,
    d: TensorType | None = None,
    initial: TensorType | None = None,
) -> TensorType:
    if u.rank != 3 or a.rank != 2:
        raise ValueError(f"selective_scan of u {u.shape} with a {a.shape}; they are [B, D, L] and [D, S]")
    (batch, width, length), states = u.shape, a.shape[1]
    inward = (batch, states, length)
    wanted = {"delta": (delta, u.shape), "a": (a, (width, states)), "b": (b, inward), "c": (c, inward)}
    if d is not None:
        wanted["d"] = (d, (width,))
    if initial is not None:
        wanted["initial"] = (initial, (batch, width, states))
    for name, (given, shape) in wanted.items():
        if given.shape != shape:
            raise ValueError(
                f"{name} has shape {given.shape}; with u {u.shape} and a {a.shape} it is {shape}"
            )
    return TensorType(u.shape, float_of(promoted(u, delta, b, c)))


def _spaces(
    u: TensorType,
    delta: TensorType,
    a: TensorType,
    b: TensorType,
    c: TensorType,
    d: TensorType | None = None,
    initial: TensorType | None = None,
) -> list[Space]:
    (n, w, t), s = u.shape, a.shape[1]
    states = "" if initial is None else ", n w s"
    scan = Space.over(
        f"n w t, n w t, w s, n s t, n s t{states} -> n w t",
        {"exp": 1, "mul": 4, "add": 2},
        n=n,
        w=w,
        t=t,
        s=s,
    )
    made = [Space.over("n w t, n w t -> n w t", {"mul": 1}, n=n, w=w, t=t), scan]
    if d is not None:
        made.append(Space.over("n w t, n w t, w -> n w t", {"mul": 1, "add": 1}, n=n, w=w, t=t))
    return made


def _expansion(
    build: Builder,
    u: Value,
    delta: Value,
    a: Value,
    b: Value,
    c: Value,
    d: Value | None = None,
    initial: Value | None = None,
) -> Any:
    def states_last(x: Value) -> Value:
        """[B, S, L] -> [B, 1, L, S], beside [B, D, L, S]."""
        made: Value = build(unsqueeze, build(permute, x, axes=(0, 2, 1)), axis=1)
        return made

    rate = build(unsqueeze, a, axis=1)
    decay = build(exp, build(mul, build(unsqueeze, delta, axis=-1), rate))
    pushed = build(mul, build(unsqueeze, build(mul, delta, u), axis=-1), states_last(b))
    state = build(linear_recurrence, decay, pushed, initial, axis=2)
    made = build(reduce_sum, build(mul, state, states_last(c)), axes=(-1,))
    if d is None:
        return made
    return build(add, made, build(mul, u, build(reshape, d, shape=(d.type.elements, 1))))


selective_scan = OpSpec(
    "selective_scan", "scan", _reference, _shape, _spaces, _expansion, source="Gu and Dao, arXiv 2312.00752"
)

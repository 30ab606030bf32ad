"""Sample cases of movement, creation, quantisation and fusion."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from siliform.graph_ir.formats import format_named, quantise
from siliform.graph_ir.graph import Builder, Graph
from siliform.graph_ir.ops import op_named
from siliform.graph_ir.types import tensor
from tests.conformance.op_data import floats, from_torch, integers
from tests.conformance.op_suite import Case


def _one(operand: np.ndarray, attributes: dict[str, Any], function: Callable[..., Any]) -> Case:
    return Case((operand,), attributes, None, from_torch(function))


def _views() -> dict[str, list[Case]]:
    x = floats(3, 5, 4)
    return {
        "reshape": [
            _one(x, {"shape": (15, 4)}, lambda t: t.reshape(15, 4)),
            _one(x, {"shape": (3, -1, 2)}, lambda t: t.reshape(3, -1, 2)),
        ],
        "permute": [_one(x, {"axes": (2, 0, -2)}, lambda t: t.permute(2, 0, -2))],
        "expand": [
            _one(floats(3, 1, 4), {"shape": (2, 3, 5, 4)}, lambda t: t.expand(2, 3, 5, 4)),
            _one(floats(3, 1), {"shape": (-1, 7)}, lambda t: t.expand(-1, 7)),
        ],
        "squeeze": [_one(floats(1, 3, 1, 5), {"axes": (0, -2)}, lambda t: t.squeeze((0, -2)))],
        "unsqueeze": [
            _one(x, {"axis": 1}, lambda t: t.unsqueeze(1)),
            _one(x, {"axis": -1}, lambda t: t.unsqueeze(-1)),
        ],
        "slice": [
            _one(x, {"axis": 1, "start": 1, "end": 5, "step": 2}, lambda t: t[:, 1:5:2]),
            _one(x, {"axis": -1, "start": -3, "end": -1}, lambda t: t[..., -3:-1]),
            _one(x, {"axis": 0, "start": 1, "end": 10**12}, lambda t: t[1:]),
        ],
        "select": [
            _one(x, {"axis": 1, "index": 3}, lambda t: t[:, 3]),
            _one(x, {"axis": -1, "index": -1}, lambda t: t[..., -1]),
        ],
        "split": [_one(x, {"sizes": (2, 0, 3), "axis": 1}, lambda t: torch.split(t, (2, 0, 3), 1))],
        "windows": [
            _one(x, {"axis": 1, "size": 3, "step": 2}, lambda t: t.unfold(1, 3, 2)),
            _one(x, {"axis": -1, "size": 2}, lambda t: t.unfold(-1, 2, 1)),
        ],
        "diagonal": [
            _one(x, {"offset": 1, "axis0": 0, "axis1": 2}, lambda t: t.diagonal(1, 0, 2)),
            _one(x, {"offset": -1}, lambda t: t.diagonal(-1)),
        ],
        "dropout": [_one(x, {"p": 0.3}, lambda t: F.dropout(t, 0.3, training=False))],
    }


def _copies() -> dict[str, list[Case]]:
    x, y = floats(3, 5, 4), floats(3, 2, 4)
    pads = {"before": (0, 1, 2), "after": (0, 3, 0)}
    cut = {"before": (0, -1, 2), "after": (1, 0, -2), "value": 0.5}
    reflect = {"before": (0, 0, 2), "after": (0, 0, 3), "mode": "reflect"}
    return {
        "contiguous": [_one(x, {}, lambda t: t.contiguous()), _one(floats(), {}, lambda t: t.clone())],
        "concat": [
            Case((x, y), {"axis": 1}, None, from_torch(lambda a, b: torch.cat((a, b), 1))),
            Case((integers(3), floats(2)), {}, None, from_torch(lambda a, b: torch.cat((a, b)))),
        ],
        "stack": [Case((x, x + 1), {"axis": -1}, None, from_torch(lambda a, b: torch.stack((a, b), -1)))],
        "pad": [
            _one(x, pads, lambda t: F.pad(t, (2, 0, 1, 3))),
            _one(x, cut, lambda t: F.pad(t, (2, -2, -1, 0, 0, 1), value=0.5)),
            _one(x, reflect, lambda t: F.pad(t, (2, 3), "reflect")),
            _one(x, reflect | {"mode": "replicate"}, lambda t: F.pad(t, (2, 3), "replicate")),
            _one(x, reflect | {"mode": "circular"}, lambda t: F.pad(t, (2, 3), "circular")),
        ],
        "roll": [_one(x, {"shifts": (2, -1), "axes": (1, 2)}, lambda t: t.roll((2, -1), (1, 2)))],
        "flip": [_one(x, {"axes": (0, -1)}, lambda t: t.flip(0, -1))],
        "tile": [_one(x, {"repeats": (2, 1, 3, 1)}, lambda t: t.repeat(2, 1, 3, 1))],
        "repeat": [_one(x, {"count": 3, "axis": 1}, lambda t: t.repeat_interleave(3, 1))],
        "append": [Case((x, y), {"axis": 1}, None, from_torch(lambda a, b: torch.cat((a, b), 1)))],
        "slice_scatter": [
            Case(
                (x, y),
                {"axis": 1, "start": 1, "end": 4, "step": 2},
                None,
                from_torch(lambda a, b: torch.slice_scatter(a, b, 1, 1, 4, 2)),
            )
        ],
        "one_hot": [
            Case(
                (integers(3, 5, low=0, high=7),),
                {"classes": 7},
                {"compare": 105},
                from_torch(lambda t: F.one_hot(t, 7)),
            )
        ],
        "tril": [Case((x,), {"diagonal": -1}, {"compare": 60}, from_torch(lambda t: t.tril(-1)))],
        "triu": [Case((x,), {"diagonal": 1}, {"compare": 60}, from_torch(lambda t: t.triu(1)))],
    }


def _put(x: Any, values: Any, i: Any, j: Any) -> Any:
    return x.index_put((i, j), values, accumulate=True)


def _indexing() -> dict[str, list[Case]]:
    x, ids = floats(5, 7, 3), integers(2, 3, low=0, high=5)
    i, j = integers(4, low=0, high=5), integers(4, low=0, high=7, seed=1)
    chosen, source = integers(5, 4, 3, low=0, high=7), floats(5, 4, 3)
    once = np.argsort(floats(5, 7, 3), axis=1)[:, :4]
    apart = from_torch(lambda t, a, b: t[a, :, b])
    far = integers(4, low=0, high=3)
    return {
        "take": [
            Case((x, i), {"axis": 0}, None, from_torch(lambda t, k: torch.index_select(t, 0, k))),
            Case((x, ids), {"axis": 1}, None, from_torch(lambda t, k: t[:, k])),
        ],
        "embedding": [Case((ids, floats(5, 7)), {}, None, from_torch(F.embedding))],
        "gather": [Case((x, chosen), {"axis": 1}, None, from_torch(lambda t, k: torch.gather(t, 1, k)))],
        "scatter": [
            Case((x, once, source), {"axis": 1}, None, from_torch(lambda t, k, s: t.scatter(1, k, s)))
        ],
        "scatter_add": [
            Case(
                (x, chosen, source),
                {"axis": 1},
                {"add": 60},
                from_torch(lambda t, k, s: t.scatter_add(1, k, s)),
            )
        ],
        "index_get": [
            Case((x, i, j), {"axes": (0, 1)}, None, from_torch(lambda t, a, b: t[a, b])),
            Case((x, i, far), {"axes": (0, 2)}, None, apart),
            Case((x, ids), {"axes": (1,)}, None, from_torch(lambda t, a: t[:, a])),
        ],
        "index_put": [
            Case(
                (x, floats(4, 3), i, j), {"axes": (0, 1), "accumulate": True}, {"add": 12}, from_torch(_put)
            ),
            Case(
                (x, floats(7, 3), np.array([2])),
                {"axes": (0,)},
                None,
                from_torch(lambda t, v, a: t.index_put((a,), v)),
            ),
        ],
    }


def _columns() -> dict[str, list[Case]]:
    return {
        "unfold": [
            _one(
                floats(2, 3, 6, 7),
                {"kernel": (3, 2), "stride": 2, "padding": 1, "dilation": (1, 2)},
                lambda t: F.unfold(t, (3, 2), (1, 2), 1, 2),
            )
        ],
        "fold": [
            Case(
                (floats(2, 18, 12),),
                {"size": (6, 7), "kernel": (3, 2), "stride": 2, "padding": (1, 1)},
                {"add": 2 * 18 * 12},
                from_torch(lambda t: F.fold(t, (6, 7), (3, 2), 1, (1, 1), 2)),
            ),
        ],
    }


def _creation() -> dict[str, list[Case]]:
    return {
        "constant": [Case((), {"value": 0.25}, None, lambda: np.float32(0.25))],
        "full": [Case((), {"shape": (3, 5), "value": 2.0}, None, lambda: np.full((3, 5), 2.0, np.float32))],
        "arange": [
            Case((), {"end": 7}, {"add": 7}, lambda: np.arange(7)),
            Case((), {"start": 2, "end": 9, "step": 3}, {"add": 3}, lambda: np.array([2, 5, 8])),
        ],
        "random_uniform": [Case((), {"shape": (3, 5)}, {"random": 15, "mul": 15, "add": 15})],
        "random_normal": [
            Case(
                (),
                {"shape": (3, 5)},
                {"random": 16, "log": 8, "rsqrt": 8, "sin": 16, "mul": 16 + 15, "add": 15},
            )
        ],
    }


def _body() -> Graph:
    b = Builder("linear with bias and gelu")
    x, weight, bias = (b.input(n, tensor("fp32", *s)) for n, s in (("x", (3, 5)), ("w", (7, 5)), ("b", (7,))))
    return b.finish(b(op_named("gelu"), b(op_named("add"), b(op_named("linear"), x, weight), bias)))


def _step() -> Graph:
    """What is carried [3, 4] is multiplied with a matrix of every step and with one of this step."""
    b = Builder("a step")
    h, x, w = (b.input(n, tensor("fp32", *s)) for n, s in (("h", (3, 4)), ("x", (4, 4)), ("w", (4, 5))))
    h = b(op_named("add"), b(op_named("matmul"), h, x), h)
    return b.finish(h, b(op_named("matmul"), h, w))


def _loop_by_hand(h: np.ndarray, x: np.ndarray, w: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    made = []
    for one in x:
        h = h @ one + h
        made.append(h @ w)
    return h, np.stack(made)


def _others() -> dict[str, list[Case]]:
    x = floats(3, 5)
    per_tensor = format_named("int8@tensor")

    def rounded(values: np.ndarray) -> np.ndarray:
        scale = np.abs(values).max() / 127
        return (np.rint(values / scale) * scale).astype(np.float32)

    return {
        "fused": [
            Case(
                (x, floats(7, 5), floats(7)),
                {"body": _body()},
                {"mac": 105, "add": 21, "gelu": 21},
                from_torch(lambda a, w, b: F.gelu(F.linear(a, w, b))),
            )
        ],
        "loop": [
            Case(
                (x[:, :4], floats(6, 4, 4), floats(4, 5)),
                {"step": _step(), "steps": 6, "carried": 1, "stepped": 1},
                {"mac": 6 * (48 + 60), "add": 6 * 12},
                _loop_by_hand,
            )
        ],
        "quantize": [Case((x,), {"format": "int8@tensor"}, {"compare": 15, "mul": 15, "round": 15}, rounded)],
        "dequantize": [Case((quantise(x, per_tensor),), {}, {"mul": 15}, lambda q: rounded(x))],
    }


def cases() -> dict[str, list[Case]]:
    """Cases by op name."""
    return {**_views(), **_copies(), **_indexing(), **_columns(), **_creation(), **_others()}

"""Sample cases of the products: matmul, linear, experts, convolutions and attention."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from tests.conformance.op_data import booleans, floats, from_torch
from tests.conformance.op_suite import Case


def _matmul() -> list[Case]:
    oracle = from_torch(torch.matmul)
    codes = np.arange(-7, 8, dtype=np.int8).reshape(3, 5)
    return [
        Case((floats(3, 5), floats(5, 7)), work={"mac": 3 * 5 * 7}, oracle=oracle),
        Case((floats(2, 3, 5), floats(2, 5, 7)), work={"mac": 2 * 3 * 5 * 7}, oracle=oracle),
        Case((floats(2, 1, 3, 5), floats(3, 5, 7)), work={"mac": 2 * 3 * 3 * 5 * 7}, oracle=oracle),
        Case((codes, codes.T), work={"mac": 45}, oracle=lambda a, b: a.astype(np.int64) @ b.astype(np.int64)),
    ]


def _linear() -> list[Case]:
    oracle = from_torch(F.linear)
    return [
        Case((floats(2, 3, 5), floats(7, 5)), work={"mac": 210}, oracle=oracle),
        Case((floats(3, 5), floats(7, 5), floats(7)), work={"mac": 105, "add": 21}, oracle=oracle),
    ]


def _grouped_matmul() -> list[Case]:
    offsets = np.array([2, 2, 6, 11])
    index = np.array([3, 0, 3, 1, 1, 0, 3, 3, 0, 1, 3])

    def by_offsets(x: np.ndarray, weight: np.ndarray, ends: np.ndarray) -> np.ndarray:
        starts = [0, *ends[:-1]]
        return np.concatenate([x[a:b] @ w.T for a, b, w in zip(starts, ends, weight, strict=True)])

    def by_index(x: np.ndarray, weight: np.ndarray, expert: np.ndarray) -> np.ndarray:
        return np.stack([weight[e] @ row for e, row in zip(expert, x, strict=True)])

    work = {"mac": 11 * 5 * 7}
    return [
        Case((floats(11, 5), floats(4, 7, 5), offsets), {}, work, by_offsets),
        Case((floats(11, 5), floats(4, 7, 5), index), {"routing": "index"}, work, by_index),
        Case(
            (floats(3, 5), floats(8, 7, 5), np.array([5, 1, 5])), {"routing": "index"}, {"mac": 105}, by_index
        ),
    ]


def _conv_case(
    x: tuple[int, ...], weight: tuple[int, ...], points: int, *, bias: bool = False, **attributes: Any
) -> Case:
    function: Callable[..., Any] = (F.conv1d, F.conv2d, F.conv3d)[len(x) - 3]
    operands = (floats(*x), floats(*weight), *([floats(weight[0])] if bias else []))
    outputs = points // (weight[1] * int(np.prod(weight[2:])))
    work = {"mac": points} | ({"add": outputs} if bias else {})
    return Case(operands, attributes, work, from_torch(lambda *o: function(*o, **attributes)))


def _conv() -> list[Case]:
    return [
        _conv_case((2, 3, 9), (5, 3, 4), 2 * 5 * 6 * 12),
        _conv_case((2, 3, 9), (5, 3, 4), 2 * 5 * 3 * 12, stride=3, padding=1, bias=True),
        _conv_case((1, 3, 9, 7), (4, 3, 3, 2), 4 * 4 * 4 * 18, stride=2, padding=(0, 1)),
        _conv_case((1, 4, 9, 8), (6, 2, 3, 2), 6 * 5 * 7 * 12, dilation=(2, 1), groups=2, bias=True),
        _conv_case((2, 5, 6, 7), (5, 1, 3, 3), 2 * 5 * 6 * 7 * 9, padding=1, groups=5),
        _conv_case((1, 3, 6, 7), (6, 1, 3, 3), 6 * 4 * 5 * 9, groups=3),
        _conv_case((1, 2, 4, 5, 6), (3, 2, 2, 3, 2), 3 * 27 * 24, stride=(1, 2, 2), padding=(0, 1, 0)),
        _conv_case((2, 3, 8, 8), (5, 3, 4, 4), 2 * 5 * 2 * 2 * 48, stride=4),
        _one_sided_case((2, 3, 9), (3, 1, 4), 2 * 3 * 9 * 4, padding=3, behind=0, groups=3),
        _one_sided_case(
            (1, 2, 5, 6), (3, 2, 2, 3), 3 * 5 * 4 * 12, padding=(0, 1), behind=(1, 2), stride=(1, 2)
        ),
    ]


def _one_sided_case(
    x: tuple[int, ...], weight: tuple[int, ...], macs: int, *, padding: Any, behind: Any, **given: Any
) -> Case:
    """As torch computes it of an input that is padded by hand."""
    axes = len(x) - 2
    before, after = (p if isinstance(p, tuple) else (p,) * axes for p in (padding, behind))
    around = [each for pair in zip(reversed(before), reversed(after), strict=True) for each in pair]
    function: Callable[..., Any] = (F.conv1d, F.conv2d)[axes - 1]
    oracle = from_torch(lambda a, b: function(F.pad(a, around), b, **given))
    return Case(
        (floats(*x), floats(*weight)), {"padding": padding, "behind": behind, **given}, {"mac": macs}, oracle
    )


def _transposed_case(
    x: tuple[int, ...], weight: tuple[int, ...], *, bias: bool = False, **attributes: Any
) -> Case:
    function: Callable[..., Any] = (F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d)[len(x) - 3]
    outer = weight[1] * attributes.get("groups", 1)
    operands = (floats(*x), floats(*weight), *([floats(outer)] if bias else []))
    # Each element of x meets every tap and every output channel of its group.
    points = int(np.prod(x)) * int(np.prod(weight[1:]))
    oracle = from_torch(lambda *o: function(*o, **attributes))
    work = {"mac": points}
    if bias:
        work["add"] = int(np.prod(oracle(*operands).shape))
    return Case(operands, attributes, work, oracle)


def _conv_transpose() -> list[Case]:
    return [
        _transposed_case((2, 3, 5), (3, 4, 3)),
        _transposed_case((1, 4, 3, 5), (4, 3, 3, 2), stride=2, padding=1, output_padding=1, groups=2),
        _transposed_case((1, 2, 3, 4), (2, 3, 2, 2), stride=2, bias=True),
        _transposed_case((1, 2, 3, 4), (2, 3, 3, 2), stride=(3, 1), dilation=(1, 2), padding=(1, 0)),
        _transposed_case((1, 2, 2, 3, 2), (2, 1, 2, 2, 3), stride=2),
    ]


def _own(query: int, queries: int, keys: int) -> int:
    return query + keys - queries


#: Whether a query sees a key, one rule per pattern, written out once more for counting.
SEES: dict[str, Callable[[int, int, dict[str, Any]], bool]] = {
    "full": lambda own, key, a: True,
    "causal": lambda own, key, a: key <= own and (not a.get("window") or own - key < a["window"]),
    "window": lambda own, key, a: abs(own - key) <= a["window"] // 2,
}


def brute_mask(queries: int, keys: int, attributes: dict[str, Any]) -> np.ndarray:
    """Which pairs are computed, pair by pair."""
    sees = SEES[attributes.get("pattern", "full")]
    return np.array(
        [[sees(_own(q, queries, keys), k, attributes) for k in range(keys)] for q in range(queries)]
    )


def block_mask(queries: int, keys: int, block: int, seen: int) -> np.ndarray:
    """Each query's own block of keys and its neighbours, `seen` in all, moved inwards at the ends."""
    blocks = -(-keys // block)
    made = np.zeros((queries, keys), dtype=bool)
    for q in range(queries):
        centre = _own(q, queries, keys) // block
        first = max(0, min(centre - seen // 2, blocks - seen))
        made[q, first * block : (first + seen) * block] = True
    return made


def attention_work(
    q: tuple[int, ...], v: tuple[int, ...], pairs: int, scaled: bool, mask: str
) -> dict[str, int]:
    """Scalar operations of an attention in which `pairs` pairs are computed per head."""
    heads = int(np.prod(q[:-2]))
    every = pairs * heads
    rows = heads * q[-2]
    work = {"mac": every * (q[-1] + v[-1]), "compare": every, "add": 2 * every, "exp": every, "mul": every}
    work["reciprocal"] = rows
    work["mul"] += rows * q[-1] if scaled else 0
    work["add"] += every if mask == "added" else 0
    work["compare"] += every if mask == "boolean" else 0
    return work


def _attention_case(
    q: tuple[int, ...],
    k: tuple[int, ...],
    v: tuple[int, ...],
    mask: np.ndarray | None = None,
    seen: np.ndarray | None = None,
    pairs: int | None = None,
    **attributes: Any,
) -> Case:
    allowed = brute_mask(q[-2], k[-2], attributes) if seen is None else seen
    kind = "" if mask is None else "boolean" if mask.dtype.kind == "b" else "added"
    scale = attributes.get("scale")

    def sdpa(query: Any, key: Any, value: Any, given: Any = None) -> Any:
        both = torch.zeros(allowed.shape).masked_fill(~torch.from_numpy(allowed), float("-inf"))
        if given is not None and given.dtype == torch.bool:
            both = both.masked_fill(~given, float("-inf"))
        elif given is not None:
            both = both + given
        return F.scaled_dot_product_attention(query, key, value, both, scale=scale, enable_gqa=True)

    computed = int(allowed.sum()) if pairs is None else pairs
    work = attention_work(q, v, computed, scale != 1.0, kind)
    operands = (floats(*q), floats(*k, seed=1), floats(*v, seed=2), *([] if mask is None else [mask]))
    return Case(operands, attributes, work, from_torch(sdpa))


def _weighted_case(
    weights: str, bias: float = 0.0, power: int = 1, mask: np.ndarray | None = None, **more: Any
) -> Case:
    """Attention whose weights are not softmax's, 4 query heads of 7 tokens on 2 key heads of 11."""
    q, k, v = floats(2, 4, 7, 5), floats(2, 2, 11, 5, seed=1), floats(2, 2, 11, 3, seed=2)
    allowed = brute_mask(7, 11, more)

    def reference(query: Any, key: Any, value: Any, given: Any = None) -> Any:
        key, value = (x.repeat_interleave(2, dim=1) for x in (key, value))
        scores = query @ key.transpose(-1, -2) * 5**-0.5 + bias
        seen = torch.from_numpy(allowed) if given is None else torch.from_numpy(allowed) & given
        scores = scores.masked_fill(~seen, float("-inf"))
        if weights == "sigmoid":
            return scores.sigmoid() @ value
        grown = F.softplus(scores) ** power
        return grown / grown.sum(-1, keepdim=True) @ value

    every, rows = int(allowed.sum()) * 8, 8 * 7
    work = {
        "mac": every * 8,
        "mul": rows * 5,
        "add": every * bool(bias),
        "compare": every * (mask is not None),
    }
    if weights == "sigmoid":
        work["sigmoid"] = every
    else:
        work |= {"exp": every, "log": every, "reciprocal": rows}
        work["mul"] += every * power  # powers by repeated products, and by the reciprocal of the sum
        work["add"] += 2 * every
    work = {name: count for name, count in work.items() if count}
    attributes = {"weights": weights, "bias": bias, "power": power, **more}
    return Case((q, k, v, *([] if mask is None else [mask])), attributes, work, from_torch(reference))


def _attention() -> list[Case]:
    q, k, v = (2, 4, 7, 5), (2, 4, 7, 5), (2, 4, 7, 3)
    long_k, long_v = (2, 4, 11, 5), (2, 4, 11, 3)
    few_k, few_v = (2, 2, 11, 5), (2, 2, 11, 3)
    some = booleans(2, 1, 7, 11)
    some[..., 0] = True
    added = floats(4, 7, 7, seed=3)
    declared = booleans(7, 11)
    declared[:, 3] = True
    return [
        _attention_case(q, k, v),
        _attention_case(q, k, v, scale=1.0),
        _attention_case(q, k, v, scale=0.3, pattern="causal"),
        _attention_case(q, long_k, long_v, pattern="causal"),
        _attention_case((1, 4, 1, 5), (1, 2, 11, 5), (1, 2, 11, 3), pattern="causal"),
        _attention_case(q, few_k, few_v, pattern="causal", window=3),
        _attention_case(q, few_k, few_v, pattern="window", window=4),
        _attention_case(q, k, v, pattern="window", window=5),
        _attention_case(q, long_k, long_v, some),
        _attention_case(q, k, v, added),
        _attention_case(q, few_k, few_v, some, pattern="causal"),
        _attention_case((4, 7, 5), (2, 11, 5), (2, 11, 3)),
        _attention_case(
            q, long_k, long_v, seen=block_mask(7, 11, 3, 2), pattern="block", block=3, density=0.5
        ),
        _attention_case(q, k, v, seen=block_mask(7, 7, 2, 1), pattern="block", block=2, density=0.25),
        _attention_case(
            q,
            long_k,
            long_v,
            declared,
            np.ones((7, 11), bool),
            round(0.6 * 77),
            pattern="declared",
            density=0.6,
        ),
        _weighted_case("sigmoid", bias=-2.25),
        _weighted_case("sigmoid", pattern="causal"),
        _weighted_case("sigmoid", bias=0.5, mask=some),
        _weighted_case("softplus"),
        _weighted_case("softplus", power=3, pattern="causal", window=3),
        _weighted_case("softplus", bias=-1.0, power=2, mask=some),
    ]


def cases() -> dict[str, list[Case]]:
    """Cases by op name."""
    return {
        "matmul": _matmul(),
        "linear": _linear(),
        "grouped_matmul": _grouped_matmul(),
        "conv": _conv(),
        "conv_transpose": _conv_transpose(),
        "attention": _attention(),
    }

"""attention: scaled dot products, softmax over keys, and the weighted sum of values.

Which keys a query sees is part of the op, so that work is counted exactly and not by a density:

========  ==========================================================================================
full      every key
causal    keys up to the query's own; the last query sees the last key, which is the decode form
          with a cache. With `window` > 0, only the last `window` of these (a causal sliding window)
window    keys at most ``window // 2`` before or behind the query's own (a symmetric sliding window)
block     keys in blocks of `block`: each query the ``max(1, round(density * blocks))`` blocks around
          its own, moved inwards at both ends
declared  as `mask` says; a share `density` of all pairs, which the user states about the data
========  ==========================================================================================

In every pattern but "full" and "declared" the keys that a query sees are one range. A query's own key
stands at its index plus (keys - queries). An operand `mask` is applied on top of the pattern.

How scores become weights is part of it as well, since none of these forms needs all scores at once: softmax,
or what `attention_weights` tells of.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod, sqrt
from typing import Any

import numpy as np

from siliform.graph_ir.arithmetic import contract
from siliform.graph_ir.formats import Quantised, format_named
from siliform.graph_ir.ops.attention_weights import Weighting
from siliform.graph_ir.ops.common import float_of, promoted, rearranged, wide
from siliform.graph_ir.opspec import OpSpec
from siliform.graph_ir.space import Access, Space
from siliform.graph_ir.types import TensorType

PATTERNS = ("full", "causal", "window", "block", "declared")


@dataclass(frozen=True)
class Pattern:
    """Which of `keys` keys each of `queries` queries sees; ValueError where that makes no sense."""

    name: str
    window: int
    block: int
    density: float
    queries: int
    keys: int

    def __post_init__(self) -> None:
        if self.name not in PATTERNS:
            raise ValueError(f"attention pattern {self.name!r}; the patterns are {', '.join(PATTERNS)}")
        if self.name not in ("full", "declared") and self.queries > self.keys:
            raise ValueError(f"{self.name} attention of {self.queries} queries to {self.keys} keys")
        if self.window < 0 or (self.name == "window" and self.window < 1):
            raise ValueError(f"{self.name} attention with a window of {self.window} keys")
        if self.name == "block" and self.block < 1:
            raise ValueError(f"block attention with blocks of {self.block} keys")
        if not 0 <= self.density <= 1:
            raise ValueError(f"attention with a density of {self.density}; it lies between 0 and 1")

    @property
    def is_range(self) -> bool:
        """Whether a query sees one range of keys that follows from the attributes."""
        return self.name in ("causal", "window", "block")

    @property
    def _shift(self) -> int:
        return self.keys - self.queries

    @property
    def blocks_seen(self) -> tuple[int, int]:
        """Blocks of keys, and how many of them each query sees, where the pattern is "block"."""
        blocks = -(-self.keys // self.block)
        return blocks, max(1, min(blocks, round(self.density * blocks)))

    def ranges(self) -> tuple[np.ndarray, np.ndarray]:
        """First key and end of the keys that each query sees, [queries] each."""
        own = np.arange(self.queries) + self._shift
        if self.name == "causal":
            low = own - self.window + 1 if self.window else np.zeros_like(own)
            return np.maximum(low, 0), own + 1
        if self.name == "window":
            half = self.window // 2
            return np.maximum(own - half, 0), np.minimum(own + half + 1, self.keys)
        blocks, seen = self.blocks_seen
        first = np.clip(own // self.block - seen // 2, 0, blocks - seen)
        return first * self.block, np.minimum((first + seen) * self.block, self.keys)

    def allowed(self) -> np.ndarray | None:
        """True where a query sees a key, [queries, keys]; None where all is seen or only a mask tells."""
        if not self.is_range:
            return None
        low, end = self.ranges()
        key = np.arange(self.keys)
        return (key >= low[:, None]) & (key < end[:, None])

    def kept(self) -> int:
        """Pairs of query and key that are computed, in closed form."""
        if self.name == "full":
            return self.queries * self.keys
        if self.name == "declared":
            return round(self.density * self.queries * self.keys)
        if self.name == "block":
            low, end = self._block_ranges()
            return int(np.sum(end - low))
        behind = self.window - 1 if self.name == "causal" else self.window // 2
        ahead = 0 if self.name == "causal" else self.window // 2
        before = 0 if self.name == "causal" and not self.window else self._keys_up_to(-behind - 1)
        return self._keys_up_to(ahead) - before

    def _keys_up_to(self, offset: int) -> int:
        """Sum over queries of the keys at positions up to the query's own plus `offset`."""

        def ramp(last: int) -> int:
            """Sum over positions t <= last of the keys up to t: a triangle, then a plateau."""
            inside = min(max(last + 1, 0), self.keys)
            return inside * (inside + 1) // 2 + max(last + 1 - self.keys, 0) * self.keys

        return ramp(self.keys - 1 + offset) - ramp(self._shift - 1 + offset)

    def _block_ranges(self) -> tuple[np.ndarray, np.ndarray]:
        """As `ranges`, once per block of queries and weighted with how many queries it holds."""
        blocks, seen = self.blocks_seen
        index = np.arange(blocks)
        first = np.clip(index - seen // 2, 0, blocks - seen)
        own_low = np.maximum(index * self.block, self._shift)
        held = np.maximum(np.minimum((index + 1) * self.block, self.keys) - own_low, 0)
        return held * first * self.block, held * np.minimum((first + seen) * self.block, self.keys)


def _reference(
    q: np.ndarray,
    k: np.ndarray,
    v: np.ndarray,
    mask: np.ndarray | None = None,
    *,
    pattern: str = "full",
    window: int = 0,
    block: int = 0,
    density: float = 1.0,
    scale: float | None = None,
    weights: str = "softmax",
    bias: float = 0.0,
    power: int = 1,
) -> np.ndarray:
    """q [..., H, Sq, c], k [..., G, Skv, c], v [..., G, Skv, d] -> [..., H, Sq, d].

    H is a multiple of G. `mask` broadcasts to [..., H, Sq, Skv]: boolean, True where a query may see
    a key, or added to the scores. `scale` is 1/sqrt(c) by default. A query without any key gives 0.
    `weights` are softmax, sigmoid or softplus of the scores plus `bias`, the last to a `power`.
    """
    weighting = Weighting(weights, bias, power)
    seen = Pattern(pattern, window, block, density, q.shape[-2], k.shape[-2])
    if pattern == "declared" and mask is None and density != 1:
        raise ValueError(f"attention of density {density} without the mask that says which pairs")
    heads, groups = q.shape[-3], k.shape[-3]
    grouped = (*q.shape[:-3], groups, heads // groups, *q.shape[-2:])
    raw = contract("...grqc,...gsc->...grqs", rearranged(q, lambda x: x.reshape(grouped)), k)
    factor = 1 / sqrt(q.shape[-1]) if scale is None else scale
    scores = (wide(raw) * factor).reshape(*q.shape[:-1], k.shape[-2])
    scores = _masked(scores, seen.allowed())
    scores = _masked(scores, mask)
    grown = scores.reshape(*grouped[:-1], k.shape[-2])
    made = _average(weighting, grown, v)
    return made.reshape(*q.shape[:-1], v.shape[-1]).astype(_result_dtype(q, k, v), copy=False)


def _average(weighting: Weighting, scores: np.ndarray, v: Any) -> np.ndarray:
    """v weighted by scores [..., keys]; 0 where all weights of a row are 0.

    Where v is quantised, so are the weights before they are divided: into v's element format (binary01
    where v is binary), on whose greatest value 1 is, or for softplus the greatest of each row. Levels are
    summed exactly, and the result is divided in fp32 by what the sum of the quantised weights is.
    """
    equation = "...grqs,...gsd->...grqd"
    grown, total = weighting.grown(scores)
    if not isinstance(v, Quantised):
        return contract(equation, np.divide(grown, total, out=np.zeros_like(grown), where=total > 0), v)
    item = format_named("binary01") if v.format.kind == "binary" else v.format.element
    levels = item.round(grown / weighting.greatest(grown) * item.max)
    held = levels.astype(np.int64 if item.is_integer_like else np.float64)
    sums = contract(equation, Quantised(held, np.asarray(1.0), format_named(f"{item.name}@tensor")), v)
    if not weighting.normalised:
        return (sums / np.float32(item.max)).astype(sums.dtype)
    count = held.sum(axis=-1, keepdims=True).astype(np.float32)
    return np.divide(sums, count, out=np.zeros_like(sums), where=count > 0)


def _result_dtype(*operands: Any) -> np.dtype:
    """float64 where a float64 array takes part, else float32."""
    doubles = any(isinstance(o, np.ndarray) and o.dtype == np.dtype(np.float64) for o in operands)
    return np.dtype(np.float64 if doubles else np.float32)


def _masked(scores: np.ndarray, mask: np.ndarray | None) -> np.ndarray:
    if mask is None:
        return scores
    known = np.asarray(mask)
    return np.where(known, scores, -np.inf) if known.dtype.kind == "b" else scores + known


def _shape(
    q: TensorType, k: TensorType, v: TensorType, mask: TensorType | None = None, **attributes: Any
) -> TensorType:
    if min(q.rank, k.rank, v.rank) < 3 or not q.shape[:-3] == k.shape[:-3] == v.shape[:-3]:
        raise ValueError(
            f"attention of q {q.shape}, k {k.shape} and v {v.shape}; they are [..., heads, length, width]"
        )
    if q.shape[-1] != k.shape[-1] or k.shape[-3:-1] != v.shape[-3:-1]:
        raise ValueError(
            f"attention of q {q.shape} with k {k.shape} and v {v.shape}: widths or lengths differ"
        )
    if not k.shape[-3] or q.shape[-3] % k.shape[-3]:
        raise ValueError(f"{q.shape[-3]} query heads are no multiple of {k.shape[-3]} key heads")
    _pattern(q, k, attributes)
    Weighting.of(attributes)
    scores = (*q.shape[:-1], k.shape[-2])
    if mask is not None and np.broadcast_shapes(mask.shape, scores) != scores:
        raise ValueError(f"a mask of shape {mask.shape} for scores of shape {scores}")
    return TensorType((*q.shape[:-1], v.shape[-1]), float_of(promoted(q, k, v)))


def _pattern(q: TensorType, k: TensorType, attributes: dict[str, Any]) -> Pattern:
    return Pattern(
        attributes.get("pattern", "full"),
        attributes.get("window", 0),
        attributes.get("block", 0),
        attributes.get("density", 1.0),
        q.shape[-2],
        k.shape[-2],
    )


def _spaces(
    q: TensorType, k: TensorType, v: TensorType, mask: TensorType | None = None, **attributes: Any
) -> list[Space]:
    batch, heads, groups = prod(q.shape[:-3]), q.shape[-3], k.shape[-3]
    seen = _pattern(q, k, attributes)
    rows = {"b": batch, "g": groups, "r": heads // groups, "q": q.shape[-2]}
    pairs = rows | {"s": k.shape[-2]}
    kept = None if seen.name == "full" else seen.kept() * batch * heads
    source = "declared" if seen.name == "declared" else "exact"

    def over(accesses: str, body: dict[str, int], width: int = 0, **more: int) -> Space:
        points = None if kept is None else kept * max(width, 1)
        return Space.over(accesses, body, pairs | more, kept=points, density_source=source)

    score, row = "b g r q s", "b g r q"
    made = [over(f"b g r q c, b g s c -> {score}", {"mac": 1}, q.shape[-1], c=q.shape[-1])]
    if attributes.get("scale") != 1.0:
        made.insert(0, Space.over(f"{row} c -> {row} c", {"mul": 1}, rows, c=q.shape[-1]))
    if mask is not None:
        made.append(_mask_space(mask, pairs, kept, source))
    made += _weight_spaces(Weighting.of(attributes), over, (score, row), quantised=_quantised(v))
    weighted = over(f"{score}, b g s d -> {row} d", {"mac": 1}, v.shape[-1], d=v.shape[-1])
    if not Weighting.of(attributes).normalised:
        return [*made, weighted]
    made.append(Space.over(f"{row} -> {row}", {"reciprocal": 1}, rows))
    if not _quantised(v):
        return [*made, over(f"{score}, {row} -> {score}", {"mul": 1}), weighted]
    # Quantised weights are divided by their sum behind the product.
    return [*made, weighted, Space.over(f"{row} d, {row} -> {row} d", {"mul": 1}, rows, d=v.shape[-1])]


def _quantised(v: TensorType) -> bool:
    return v.format.element is not v.format


def _weight_spaces(
    weighting: Weighting, over: Callable[..., Space], places: tuple[str, str], quantised: bool
) -> list[Space]:
    """Scores into weights, rounded before they are summed where v is quantised, and their sum."""
    score, row = places

    def of(accesses: str, body: dict[str, int]) -> Space:
        return over(accesses.replace("row", row).replace("score", score), body)

    made = [of(accesses, body) for accesses, body in weighting.per_score()]
    if quantised and weighting.kind == "softplus":
        made.append(of("score -> row", {"compare": 1}))
    if quantised:
        made.append(of("score -> score", {"mul": 1, "round": 1}))
    if weighting.normalised:
        made.append(of("score -> row", {"add": 1}))
    return made


def _mask_space(mask: TensorType, pairs: dict[str, int], kept: int | None, source: str) -> Space:
    """The mask onto the scores: added, or where it is boolean, selecting."""
    scores = Access(tuple((dim,) for dim in pairs))
    own = (1,) * (3 - mask.rank) + mask.shape
    axes = [("b",)] if prod(own[:-3]) > 1 else []
    axes += [("g",), ("r",)] if own[-3] > 1 else []
    axes += [(dim,) for dim, extent in zip("qs", own[-2:], strict=True) if extent == pairs[dim]]
    body = {"compare": 1} if mask.format.kind == "boolean" else {"add": 1}
    return Space(pairs, (scores, Access(tuple(axes))), (scores,), body, kept, source)


def _expansion(b: Any, q: Any, k: Any, v: Any, mask: Any = None, **attributes: Any) -> Any:
    from siliform.graph_ir.ops.attention_expansion import expanded

    pattern, weighting = _pattern(q.type, k.type, attributes), Weighting.of(attributes)
    return expanded(b, q, k, v, mask, pattern, attributes.get("scale"), weighting)


attention = OpSpec(
    "attention",
    "attention",
    _reference,
    _shape,
    _spaces,
    _expansion,
    source="torch.nn.functional.scaled_dot_product_attention; Vaswani et al., arXiv 1706.03762",
)

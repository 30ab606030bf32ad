"""Scaled dot-product attention, kept whole: its mask named where the program alone decides it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import torch

from siliform.graph_ir.graph import Value
from siliform.models.tracing.literals import Literal
from siliform.models.tracing.lowerer import Lowerer, Rule
from siliform.models.tracing.lowering.movement import cut, expand, reshape
from siliform.models.tracing.masks import FORBIDS, Seen

#: Ops that join two boolean masks: a pair is seen where both allow it.
_JOINS = ("bitwise_and", "logical_and", "mul")


def _attention(
    c: Lowerer,
    q: Any,
    k: Any,
    v: Any,
    attn_mask: Any = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    *,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Any:
    queries, keys = c.shape(q)[-2], c.shape(k)[-2]
    seen = Seen()
    if is_causal:  # torch aligns to the first key: query i sees keys 0 to i
        if queries < keys:
            k, v = cut(c, k, -2, 0, queries), cut(c, v, -2, 0, queries)
        if queries <= keys:
            seen = Seen("causal")
        else:
            attn_mask = Literal.of(torch.ones(queries, keys, dtype=torch.bool).tril())
    mask = None
    if attn_mask is not None:
        seen, mask = _divided(c, attn_mask, queries, keys)
    k, v = _ungrouped(c, k, v)
    q, k, v = _headed(c, q, k, v)
    number = None if scale is None else float(scale)
    made = c.apply("attention", q, k, v, mask, pattern=seen.pattern, window=seen.window, scale=number)
    return reshape(c, made, c.out.shape)


def _divided(c: Lowerer, mask: Any, queries: int, keys: int) -> tuple[Seen, Any]:
    """The part of a mask that is a pattern, and what remains of it as an operand."""
    if not isinstance(mask, Literal):
        known, rest = _known_part(c, mask)
        if known is None:
            return Seen(), mask
        seen = c.seen(known, queries, keys)
        return (seen, rest) if seen.exact else (Seen(), mask)
    seen = c.seen(mask, queries, keys)
    return (seen, None) if seen.exact else (Seen(), mask)


def _known_part(c: Lowerer, mask: Value) -> tuple[Literal | None, Value | None]:
    """A mask joined from a part that is known and one that is not, taken apart.

    Broadcasts and copies are looked through. Either part is None where there is none.
    """
    origin = c.origins.get(mask.name)
    while origin is not None and origin.op in ("expand", "contiguous") and origin.inputs[0] is not None:
        mask = origin.inputs[0]
        origin = c.origins.get(mask.name)
    for known, other in _joined(c, mask):
        literal = c.literal_of(known)
        if literal is not None:
            inner, rest = _known_part(c, other)
            return (literal, rest) if inner is None else (_both(literal, inner), rest)
    return None, mask


def _joined(c: Lowerer, mask: Value) -> list[tuple[Value, Value]]:
    """The candidates for (known, other) of a mask that is a join of two: both ``a and b``, or
    ``where(a, b, minus infinity)``."""
    origin = c.origins.get(mask.name)
    if origin is None:
        return []
    if origin.op in _JOINS and mask.type.format.kind == "boolean":
        left, right = origin.inputs
        return [] if left is None or right is None else [(left, right), (right, left)]
    if origin.op == "where":
        condition, bias, floor = origin.inputs
        number = None if floor is None else c.literal_of(floor)
        if condition is None or bias is None or number is None or bias.type.format.kind != "float":
            return []
        lowest = number.uniform
        return [(condition, bias)] if lowest is not None and lowest <= FORBIDS else []
    return []


def _both(a: Literal, b: Literal) -> Literal:
    shape = tuple(torch.broadcast_shapes(a.shape, b.shape))
    return Literal(shape, torch.bool, torch.logical_and, (a, b))


@dataclass(frozen=True)
class _Repeated:
    source: Value
    times: int


def _ungrouped(c: Lowerer, k: Any, v: Any) -> tuple[Any, Any]:
    """Keys and values before each head was copied for the query heads that share it.

    The op itself lets heads share keys, so the copies, which no hardware has to make, are left out.
    """
    before = _repeated(c, k), _repeated(c, v)
    if before[0] is None or before[1] is None or before[0].times != before[1].times:
        return k, v
    return before[0].source, before[1].source


def _repeated(c: Lowerer, value: Any) -> _Repeated | None:
    """``[B, G, S, c]`` behind ``[B, G r, S, c]``: a repeat of axis -3, or its spelling by a broadcast."""
    origin = c.origins.get(value.name) if isinstance(value, Value) else None
    if origin is None or origin.inputs[0] is None:
        return None
    source = origin.inputs[0]
    if origin.op == "repeat" and origin.attributes["axis"] == value.type.rank - 3:
        return _Repeated(source, origin.attributes["count"])
    if origin.op != "reshape":
        return None
    inner = c.origins.get(source.name)
    if inner is not None and inner.op == "contiguous" and inner.inputs[0] is not None:
        source = inner.inputs[0]
        inner = c.origins.get(source.name)
    if inner is None or inner.op != "expand" or inner.inputs[0] is None:
        return None
    return _broadcast_heads(c, inner.inputs[0], source, value)


def _broadcast_heads(c: Lowerer, narrow: Value, wide: Value, value: Value) -> _Repeated | None:
    *lead, heads, keys, width = value.type.shape
    if narrow.type.rank != len(lead) + 4:
        return None
    groups, times = wide.type.shape[-4], wide.type.shape[-3]
    expected = (*lead, groups, times, keys, width)
    if wide.type.shape != expected or narrow.type.shape != (*lead, groups, 1, keys, width):
        return None
    return (
        _Repeated(reshape(c, narrow, (*lead, groups, keys, width)), times)
        if groups * times == heads
        else None
    )


def _headed(c: Lowerer, q: Any, k: Any, v: Any) -> tuple[Any, Any, Any]:
    """At least three axes, and the same leading ones."""
    if len(c.shape(q)) == 2:
        q, k, v = (reshape(c, x, (1, *c.shape(x))) for x in (q, k, v))
    lead = tuple(torch.broadcast_shapes(*(c.shape(x)[:-3] for x in (q, k, v))))
    q, k, v = (expand(c, x, (*lead, *c.shape(x)[-3:])) for x in (q, k, v))
    heads = max(c.shape(k)[-3], c.shape(v)[-3])
    k, v = (expand(c, x, (*lead, heads, *c.shape(x)[-2:])) for x in (k, v))
    if c.shape(q)[-3] < heads:
        q = expand(c, q, (*lead, heads, *c.shape(q)[-2:]))
    return q, k, v


def _flash(c: Lowerer, q: Any, k: Any, v: Any, *args: Any, **options: Any) -> Any:
    """The same attention under the name of one of its kernels, which returns more than the result."""
    causal = next((a for a in args if isinstance(a, bool)), options.get("is_causal", False))
    mask = options.get("attn_mask")
    fakes = c.node.meta["val"]
    made = _attention_of(c, q, k, v, mask, causal, options.get("scale"))
    return [made, *[None] * (len(fakes) - 1)]


def _attention_of(c: Lowerer, q: Any, k: Any, v: Any, mask: Any, causal: bool, scale: float | None) -> Any:
    queries, keys = c.shape(q)[-2], c.shape(k)[-2]
    if causal and queries != keys:
        raise c.refusal(
            f"{queries} queries and {keys} keys, causal", "call scaled_dot_product_attention instead"
        )
    seen, rest = (
        (Seen("causal" if causal else "full"), None) if mask is None else _divided(c, mask, queries, keys)
    )
    q, k, v = _headed(c, q, k, v)
    return c.apply("attention", q, k, v, rest, pattern=seen.pattern, window=seen.window, scale=scale)


RULES: Mapping[str, Rule] = MappingProxyType(
    {
        "aten.scaled_dot_product_attention": _attention,
        "aten._scaled_dot_product_flash_attention_for_cpu": _flash,
    }
)

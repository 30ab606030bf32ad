"""Attention recognition: the products, softmax and masks of attention become one `attention` node.

Three things, in one walk over the graph:

- ``matmul(softmax(mask(scale(matmul(q, kᵀ)))), v)`` becomes an `attention` node, when nothing else
  reads the scores; so does the same with a sigmoid, of which numbers added to all scores are the bias;
- keys and values that a model repeated for grouped heads are taken before the repetition, so that
  their bytes are counted once per KV head;
- a mask that is a constant is read: all true is "full", a triangle "causal", a band causal with a
  window or "window"; any other stays an operand, with its exact density ("declared"). Beside a bias
  or padding that is no constant, such a mask is read as well, and only the rest stays an operand.

A product or softmax with `numerics` of its own stays as it is, since `attention` has no such form.
Scores come out of one rounding instead of several, so results agree within the op's tolerance and
not bit for bit. A query whose every key is masked gives 0 where the spelt-out form averages all values.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from siliform.graph_ir.graph import FreshNames, Graph, Node, Value
from siliform.graph_ir.opspec import OpSpec
from siliform.graph_ir.passes.masks import LEAVES_OUT, Content, content
from siliform.graph_ir.passes.scores import Mask, Reader, Scores


def attention(graph: Graph) -> Graph:
    """`graph` with attention recognised. Nodes that it makes needless are left to `dead_code`."""
    names = {node.op.name for node in graph.nodes}
    if names.isdisjoint(("softmax", "sigmoid", "attention")):
        return graph
    recogniser = _Recogniser(graph)
    for node in graph.nodes:
        recogniser.take(node)
    return graph.with_nodes(recogniser.nodes)


@dataclass(frozen=True)
class _Call:
    """Operands and attributes of an attention node in the making."""

    q: Value
    k: Value
    v: Value
    mask: Value | None
    attributes: dict[str, Any]


class _Recogniser:
    def __init__(self, graph: Graph) -> None:
        from siliform.graph_ir.ops import OPS

        self.ops = OPS
        self.attention: OpSpec = OPS["attention"]
        self.reader = Reader(graph)
        self.fresh = FreshNames(graph.values)
        self.nodes: list[Node] = []
        self.at: Node | None = None
        self.contents: dict[tuple[str, int, int], Content | None] = {}

    def take(self, node: Node) -> None:
        """Append `node`, or what it is recognised as."""
        self.at = node
        call = self._existing(node) if node.op is self.attention else self._recognised(node)
        if call is None:
            self.nodes.append(node)
        else:
            self._finish(node, self._without_repetition(self._with_pattern(call)))

    def _existing(self, node: Node) -> _Call | None:
        q, k, v, mask = node.inputs
        if q is None or k is None or v is None or "numerics" in node.attributes:
            return None
        return _Call(q, k, v, mask, dict(node.attributes))

    def _recognised(self, node: Node) -> _Call | None:
        if node.op.name != "matmul" or "numerics" in node.attributes:
            return None
        soft = self.reader.probabilities(node.inputs[0])
        scores = self.reader.scores(soft.inputs[0]) if soft is not None else None
        if soft is None or scores is None:
            return None
        attributes: dict[str, Any] = {"weights": soft.op.name}
        if soft.op.name == "sigmoid":
            scores, attributes["bias"] = self._without_bias(scores)
        q, keys = scores.product.operands
        v, frame = node.operands[1], _frame(scores)
        if frame is None or not _is_per_head(q, keys, v, scores, node, frame):
            return None
        k = self._transposed(keys)
        if keys.type.shape[:-2] == q.type.shape[:-2]:
            q, k, v = (self._reshaped(x, (*frame, *x.type.shape[-2:])) for x in (q, k, v))
        mask = self._mask(scores.masks, frame)
        return _Call(q, k, v, mask, self.attention.complete({"scale": scores.scale, **attributes}))

    def _without_bias(self, scores: Scores) -> tuple[Scores, float]:
        """Scores without the numbers that are added to all of them, and the sum of these numbers."""
        bias, left = 0.0, []
        for mask in scores.masks:
            number = self.reader.constants.scalar(mask.value) if mask.action == "add" else None
            if number is None:
                left.append(mask)
            else:
                bias += number
        return replace(scores, masks=tuple(left)), bias

    def _with_pattern(self, call: _Call) -> _Call:
        if call.mask is None or call.attributes["pattern"] != "full":
            return call
        lengths = call.q.type.shape[-2], call.k.type.shape[-2]
        found, rest = self._content(call.mask, *lengths), call.mask
        if found is None:
            found, rest = self._split(call.mask, *lengths)
        if found is None:
            return call
        attributes = {**call.attributes, "pattern": found.pattern, "window": found.window}
        if found.pattern == "declared":
            attributes["density"] = found.density
        is_whole = rest is call.mask and not found.needed
        return replace(call, mask=None if is_whole else rest, attributes=attributes)

    def _split(self, mask: Value, queries: int, keys: int) -> tuple[Content | None, Value]:
        """What a constant part of a mask says, and the rest: a bias or padding beside a causal mask."""
        node = self.reader.producer(self.reader.through(mask, "expand", "contiguous", "dropout"))
        pairs: tuple[tuple[Value, Value], ...] = ()
        if node is not None and node.op.name in ("add", "logical_and"):
            pairs = (node.operands, node.operands[::-1])  # type: ignore[assignment]
        elif node is not None and node.op.name == "where":
            outside = self.reader.constants.scalar(node.operands[2])
            pairs = ((node.operands[0], node.operands[1]),) if outside and outside <= LEAVES_OUT else ()
        for known, rest in pairs:
            found = self._content(known, queries, keys)
            if found is not None and found.pattern in ("causal", "window") and not found.needed:
                return found, rest
        return None, mask

    def _content(self, mask: Value, queries: int, keys: int) -> Content | None:
        key = mask.name, queries, keys
        if key not in self.contents:
            array = self.reader.constants(mask)
            self.contents[key] = None if array is None else content(np.asarray(array), queries, keys)
        return self.contents[key]

    def _without_repetition(self, call: _Call) -> _Call:
        found = [_grouped(self.reader, x) for x in (call.k, call.v)]
        if any(f is None for f in found):
            return call
        k, v = (self._reshaped(*f) if f is not None else call.k for f in found)
        return replace(call, k=k, v=v) if k.type.shape[:-2] == v.type.shape[:-2] else call

    def _finish(self, node: Node, call: _Call) -> None:
        operands = (call.q, call.k, call.v, call.mask)
        (type,) = self.attention.types(*(v.type if v else None for v in operands), **call.attributes)
        shaped = node.output.type.shape == type.shape
        same = shaped and node.output.type.format == type.format
        result = node.output if same else Value(self.fresh(f"{node.name}.attention"), type)
        self.nodes.append(
            Node(self.attention, operands, (result,), call.attributes, node.module, node.source)
        )
        if not shaped:
            plain = node.output if type.format == node.output.type.format else None
            result = self._add("reshape", result, into=plain, shape=node.output.type.shape)
        if result is not node.output:
            self._add("cast", result, into=node.output, format=node.output.type.format.name)

    def _transposed(self, keys: Value) -> Value:
        """keys [..., c, S] as [..., S, c], without a permute where one is undone by it."""
        swap = (*range(keys.type.rank - 2), keys.type.rank - 1, keys.type.rank - 2)
        node = self.reader.producer(keys)
        if node is None or node.op.name != "permute":
            return self._add("permute", keys, axes=swap)
        own = [axis % keys.type.rank for axis in node.attributes["axes"]]
        axes = tuple(own[i] for i in swap)
        source = node.operands[0]
        return source if axes == tuple(range(len(axes))) else self._add("permute", source, axes=axes)

    def _reshaped(self, x: Value, shape: tuple[int, ...]) -> Value:
        return x if x.type.shape == shape else self._add("reshape", x, shape=shape)

    def _mask(self, masks: Sequence[Mask], frame: tuple[int, ...]) -> Value | None:
        """One operand that does what all masks do."""
        added: Value | None = None
        kept: Value | None = None
        for mask in masks:
            value = self._reshaped(mask.value, _shape_under(mask, frame) or ())
            if mask.action == "add":
                added = value if added is None else self._add("add", added, value)
                continue
            if value.type.format.name != "bool":
                value = self._add("cast", value, format="bool")
            value = value if mask.action == "keep" else self._add("logical_not", value)
            kept = value if kept is None else self._add("logical_and", kept, value)
        if added is None or kept is None:
            return kept if added is None else added
        outside = self._add("constant", value=float("-inf"), format=added.type.format.name)
        return self._add("where", kept, added, outside)

    def _add(self, op: str, *operands: Value, into: Value | None = None, **attributes: Any) -> Value:
        """One more node, where the node at hand stands; its result is `into` or a new value."""
        assert self.at is not None
        spec = self.ops[op]
        filled = spec.complete(attributes)
        (type,) = spec.types(*(v.type for v in operands), **filled)
        made = into or Value(self.fresh(f"{self.at.name}.{op}"), type)
        node = Node(spec, tuple(operands), (made,), filled, self.at.module, self.at.source)
        self.nodes.append(node)
        self.reader.learn(node)
        return made


def _frame(scores: Scores) -> tuple[int, ...] | None:
    """Leading axes [..., H] under which every mask can act, or None where there are none such.

    Models regroup leading axes between the product and its masks: windows beside batches in Swin,
    heads merged into the batch in BART.
    """
    found = {m.scores_shape[:-2] for m in scores.masks} or {scores.product.output.type.shape[:-2]}
    for frame in sorted(found, key=len, reverse=True):
        if frame and all(_shape_under(m, frame) is not None for m in scores.masks):
            return frame
    return None


def _is_per_head(q: Value, keys: Value, v: Value, scores: Scores, node: Node, frame: tuple[int, ...]) -> bool:
    """Whether both products run head by head, or all heads share one key head by broadcasting."""
    lead = scores.product.output.type.shape[:-2]
    if q.type.shape[:-2] != lead:
        return False
    if keys.type.shape[:-2] == lead:
        return v.type.shape[:-2] == node.operands[0].type.shape[:-2]
    shared = (*lead[:-1], 1)
    return (
        frame == lead == node.output.type.shape[:-2] and keys.type.shape[:-2] == v.type.shape[:-2] == shared
    )


def _shape_under(mask: Mask, frame: tuple[int, ...]) -> tuple[int, ...] | None:
    """The shape in which a mask acts under other leading axes, or None where it cannot."""
    own, lead = mask.value.type.shape, mask.scores_shape[:-2]
    if lead == frame:
        return own
    if own[:-2] == lead:
        return (*frame, *own[-2:])
    common = 0
    while common < min(len(lead), len(frame)) and lead[-1 - common] == frame[-1 - common]:
        common += 1
    cut = max(len(own) - common - 2, 0)
    return own[cut:] if all(extent == 1 for extent in own[:cut]) else None


def _grouped(reader: Reader, x: Value) -> tuple[Value, tuple[int, ...]] | None:
    """What a model repeated per head to make `x` [..., H, S, c], and its shape [..., G, S, c].

    None where `x` is no such repetition. Heads of one group lie side by side.
    """
    behind = reader.through(x, "contiguous")
    node = reader.producer(behind)
    if node is None or x.type.rank < 3:
        return None
    source, shape = node.inputs[0], x.type.shape
    if source is None:
        return None
    own = source.type.shape
    if node.op.name == "repeat" and node.attributes["axis"] % x.type.rank == x.type.rank - 3:
        return source, own
    if node.op.name == "expand" and own == (*shape[:-3], 1, *shape[-2:]):
        return source, own
    if node.op.name != "reshape" or source.type.rank != x.type.rank + 1:
        return None
    inner = reader.producer(reader.through(source, "contiguous"))
    if inner is None or inner.op.name != "expand" or inner.operands[0].type.rank != source.type.rank:
        return None
    single = (*own[:-3], 1, *own[-2:])
    if inner.operands[0].type.shape != single or (*own[:-4], own[-4] * own[-3], *own[-2:]) != shape:
        return None
    first = reader.through(inner.operands[0], "unsqueeze")
    groups = (*own[:-3], *own[-2:])
    return (
        (first, groups) if first is not None and first.type.shape == groups else (inner.operands[0], groups)
    )

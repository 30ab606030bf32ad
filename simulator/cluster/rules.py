"""How a cut goes through an op: from one operand or result to all others, and to the attributes.

A rule takes a node, whether the cut value is an operand or a result, its place and the cut, and returns
the layouts of all operands and results. It raises `NoLayout` where the op cannot be computed part by part.
What a rule says is checked twice: shapes when the local node is built, numbers when tests run all
devices beside the uncut graph.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import prod
from types import MappingProxyType
from typing import Any

import numpy as np

from siliform.graph_ir.graph import Node
from siliform.simulator.cluster.layout import Layout, NoLayout, Partial, Split, local_type

Side = str  # "in" or "out"
Rule = Callable[[Node, Side, int, Split, int], "Layouts"]


@dataclass(frozen=True)
class Layouts:
    """Layouts of one node: an entry per operand (None also for one left out) and per result."""

    operands: tuple[Layout, ...]
    results: tuple[Layout, ...]


def spread(node: Node, side: Side, place: int, split: Split, degree: int) -> Layouts:
    """The layouts of a node, one of whose values is cut as `split`, for `degree` devices.

    Raises
    ------
    NoLayout : where the op cannot be computed on parts, or an extent does not divide.
    """
    rule = _RULES.get(node.op.name)
    if rule is None and node.op.kind in ("activation", "elementwise"):
        rule = _pointwise
    if rule is None:
        raise NoLayout(f"no rule for {node.op.name}")
    found = rule(node, side, place, split, degree)
    for value, layout in zip((*node.inputs, *node.outputs), (*found.operands, *found.results), strict=True):
        if value is not None and isinstance(layout, Split):
            layout.check(value.type.shape)
    given = (found.operands if side == "in" else found.results)[place]
    if given != split:
        raise NoLayout(f"{node.op.name} would need {given} where {split} is")
    return found


def local_attributes(node: Node, layouts: Layouts) -> dict[str, Any]:
    """The attributes of the node on parts: shapes and sizes become local ones."""
    attributes = dict(node.attributes)
    if node.op.name in ("reshape", "expand"):
        attributes["shape"] = local_type(node.output.type, layouts.results[0]).shape
    if node.op.name == "split":
        kinds = zip(node.outputs, layouts.results, strict=True)
        axis = node.attributes["axis"]
        attributes["sizes"] = tuple(local_type(value.type, layout).shape[axis] for value, layout in kinds)
    return attributes


def _shape(node: Node, side: Side, place: int) -> tuple[int, ...]:
    value = (node.inputs if side == "in" else node.outputs)[place]
    assert value is not None
    return value.type.shape


def _pointwise(node: Node, side: Side, place: int, split: Split, degree: int) -> Layouts:
    """Axes aligned from the right; an extent of one is whole."""
    out = node.output.type.shape
    if node.op.name == "prelu" or np.broadcast_shapes(*(v.type.shape for v in node.operands)) != out:
        raise NoLayout(f"{node.op.name} does not go element by element")
    behind = split.axis - len(_shape(node, side, place))
    extent = out[behind]
    if extent != _shape(node, side, place)[split.axis] or extent == 1:
        raise NoLayout(f"{node.op.name} broadcasts the cut axis")

    def of(shape: tuple[int, ...]) -> Layout:
        here = len(shape) + behind
        return split.at(here) if here >= 0 and shape[here] == extent else None

    return Layouts(tuple(of(value.type.shape) if value else None for value in node.inputs), (of(out),))


def _rotary(node: Node, side: Side, place: int, split: Split, degree: int) -> Layouts:
    if split.axis == len(_shape(node, side, place)) - 1:
        raise NoLayout("rotary pairs numbers along the last axis")
    return _pointwise(node, side, place, split, degree)


def _rowwise(node: Node, side: Side, place: int, split: Split, degree: int) -> Layouts:
    """Norms and softmax: any axis that they do not run along; their parameters are whole."""
    rank = node.output.type.rank
    if node.op.name in ("layer_norm", "rms_norm"):
        inside = set(range(rank - node.attributes["dims"], rank))
    else:
        inside = {node.attributes["axis"] % rank}
    if split.axis in inside or (side == "in" and place):
        raise NoLayout(f"{node.op.name} runs along the cut axis")
    return Layouts((split, *[None] * (len(node.inputs) - 1)), (split,))


def _linear(node: Node, side: Side, place: int, split: Split, degree: int) -> Layouts:
    """Weights by rows where results are cut, by columns where inputs are: then results are summands."""
    rank = node.output.type.rank
    bias = len(node.inputs) > 2 and node.inputs[2] is not None
    rest = len(node.inputs) - 2
    last = rank - 1

    def layouts(x: Layout, weight: Layout, b: Layout, out: Layout) -> Layouts:
        return Layouts((x, weight, b if bias else None, *[None] * (rest - 1))[: len(node.inputs)], (out,))

    columns = (side, place, split.axis) in (("out", 0, last), ("in", 1, 0), ("in", 2, 0))
    if columns:
        return layouts(None, split.at(0), split.at(0), split.at(last))
    if (side, place) == ("in", 1) or split.axis == last:
        return layouts(split.at(last), split.at(1), None, Partial())
    return layouts(split, None, None, split)


def _matmul(node: Node, side: Side, place: int, split: Split, degree: int) -> Layouts:
    """A batch axis, rows of a, or columns of b; the summed axis is left to linears."""
    a, b = (value.type.shape for value in node.operands)
    rank = node.output.type.rank
    behind = split.axis - len(_shape(node, side, place))
    if min(len(a), len(b)) < 2 or (side == "in" and behind == (-1, -2)[place]):
        raise NoLayout("matmul along the summed axis")
    if behind < -2:
        of_a, of_b = (
            split.at(len(shape) + behind) if len(shape) + behind >= 0 and shape[behind] > 1 else None
            for shape in (a, b)
        )
        return Layouts((of_a, of_b), (split.at(rank + behind),))
    if (side == "in" and place == 0) or (side == "out" and behind == -2):
        return Layouts((split.at(len(a) - 2), None), (split.at(rank - 2),))
    return Layouts((None, split.at(len(b) - 1)), (split.at(rank - 1),))


def _embedding(node: Node, side: Side, place: int, split: Split, degree: int) -> Layouts:
    """By tokens, or by the width of the table."""
    last = node.output.type.rank - 1
    if (side, place) == ("in", 1) or (side == "out" and split.axis == last):
        if side == "in" and split.axis == 0:
            raise NoLayout("rows of a table are found anywhere")
        return Layouts((None, split.at(1)), (split.at(last),))
    return Layouts((split, None), (split,))


def _attention(node: Node, side: Side, place: int, split: Split, degree: int) -> Layouts:
    """By heads, key-value heads in as many parts as there are of them; or by a batch axis."""
    behind = split.axis - len(_shape(node, side, place))
    if behind > -3:
        raise NoLayout("attention along tokens needs an exchange")
    q, k, *_ = (value.type.shape for value in node.operands)
    parts = degree
    heads, kv_heads = q[-3], k[-3]
    kv_parts = parts if behind < -3 or kv_heads % parts == 0 else kv_heads
    if behind == -3 and (heads % parts or parts % kv_parts):
        raise NoLayout(f"{heads} heads on {kv_heads} do not fall into {parts} parts")
    found: list[Layout] = []
    for i, value in enumerate(node.inputs):
        here = value.type.rank + behind if value else -1
        cut = value is not None and here >= 0 and value.type.shape[here] > 1
        found.append(Split(here, kv_parts if i in (1, 2) else parts) if cut else None)
    return Layouts(tuple(found), (Split(node.output.type.rank + behind, parts),))


def _permute(node: Node, side: Side, place: int, split: Split, degree: int) -> Layouts:
    axes = [axis % len(node.attributes["axes"]) for axis in node.attributes["axes"]]
    before = split.axis if side == "in" else axes[split.axis]
    return Layouts((split.at(before),), (split.at(axes.index(before)),))


def _split(node: Node, side: Side, place: int, split: Split, degree: int) -> Layouts:
    """Along the axis that the op splits, its sizes are the sections."""
    rank = node.outputs[0].type.rank
    axis, sizes = node.attributes["axis"] % rank, tuple(node.attributes["sizes"])
    if split.axis != axis:
        return Layouts((split,), (split,) * len(sizes))
    return Layouts((split.over(sizes),), (split.over(()),) * len(sizes))


def _concat(node: Node, side: Side, place: int, split: Split, degree: int) -> Layouts:
    rank = node.output.type.rank
    axis = node.attributes["axis"] % rank
    if split.axis != axis:
        return Layouts((split,) * len(node.inputs), (split,))
    sizes = tuple(value.type.shape[axis] for value in node.operands)
    return Layouts((split.over(()),) * len(sizes), (split.over(sizes),))


def _append(node: Node, side: Side, place: int, split: Split, degree: int) -> Layouts:
    if split.axis == node.attributes["axis"] % node.output.type.rank:
        raise NoLayout("a cache that grows along the cut axis")
    return Layouts((split, split), (split,))


def _reduction(node: Node, side: Side, place: int, split: Split, degree: int) -> Layouts:
    rank, kept = node.operands[0].type.rank, node.attributes["keepdims"]
    axes = node.attributes["axes"]
    listed = range(rank) if axes is None else (axes,) if isinstance(axes, int) else axes
    gone = {axis % rank for axis in listed}
    outer = [axis for axis in range(rank) if kept or axis not in gone]
    before = split.axis if side == "in" else outer[split.axis]
    if before in gone:
        raise NoLayout(f"{node.op.name} along the cut axis")
    return Layouts((split.at(before),), (split.at(outer.index(before)),))


def _one_axis(node: Node, side: Side, place: int, split: Split, degree: int) -> Layouts:
    """slice, select: any axis but theirs."""
    axis = node.attributes["axis"] % node.operands[0].type.rank
    drops = node.op.name == "select"
    before = split.axis + (drops and side == "out" and split.axis >= axis)
    if before == axis:
        raise NoLayout(f"{node.op.name} along the cut axis")
    return Layouts((split.at(before),), (split.at(before - (drops and before > axis)),))


def _reshape(node: Node, side: Side, place: int, split: Split, degree: int) -> Layouts:
    shapes = (node.operands[0].type.shape, node.output.type.shape)
    here, there = shapes if side == "in" else shapes[::-1]
    other = through_reshape(here, there, split)
    return Layouts((split,), (other,)) if side == "in" else Layouts((other,), (split,))


def through_reshape(here: tuple[int, ...], there: tuple[int, ...], split: Split) -> Split:
    """The cut of the other shape: axes that make up the same elements belong together."""
    for mine, theirs in _groups(here, there):
        if split.axis not in mine:
            continue
        wide = [axis for axis in theirs if there[axis] > 1]
        if len([axis for axis in mine if here[axis] > 1]) == 1 == len(wide):
            return split.at(wide[0])
        outer = prod(here[axis] for axis in mine if axis < split.axis)
        run = prod(here[axis] for axis in mine if axis >= split.axis)
        sections = split.sections or (run // prod(here[axis] for axis in mine if axis > split.axis),)
        if len(set(sections)) > 1 or (outer > 1 and len(sections) > 1):
            raise NoLayout(f"sections {sections} of {here} as {there}")
        count, length = outer * len(sections), run // len(sections)
        return _cut_of(there, theirs, count, length, split, inner=length // sections[0])
    raise NoLayout(f"axis {split.axis} of {here} as {there}")


def _cut_of(
    there: tuple[int, ...], axes: list[int], count: int, length: int, split: Split, inner: int
) -> Split:
    """The axis that begins a run of `length` elements, `count` of which make up the group."""
    for axis in axes:
        before = prod(there[a] for a in axes if a < axis)
        rest = prod(there[a] for a in axes if a > axis)
        if not before <= count < before * there[axis]:
            continue  # a run ends before this axis begins, or begins further in
        if count % before or there[axis] % (count // before):
            break
        if split.placement != "blocks" and inner != rest:
            raise NoLayout("tokens that are not in blocks keep an axis of their own")
        sections = count // before
        return split.at(axis).over((there[axis] // sections,) * sections)
    raise NoLayout(f"runs of {length} in {there}")


def _groups(here: tuple[int, ...], there: tuple[int, ...]) -> list[tuple[list[int], list[int]]]:
    """Shortest stretches of axes of both shapes that have as many elements."""
    groups: list[tuple[list[int], list[int]]] = []
    i = j = 0
    while i < len(here) or j < len(there):
        mine: list[int] = []
        theirs: list[int] = []
        a = b = 1
        while not (mine or theirs) or a != b:
            if (a <= b and i < len(here)) or j == len(there):
                a, i = a * here[i], i + 1
                mine.append(i - 1)
            else:
                b, j = b * there[j], j + 1
                theirs.append(j - 1)
        groups.append((mine, theirs))
    return groups


_RULES: Mapping[str, Rule] = MappingProxyType(
    {
        "rotary": _rotary,
        "layer_norm": _rowwise,
        "rms_norm": _rowwise,
        "softmax": _rowwise,
        "log_softmax": _rowwise,
        "linear": _linear,
        "matmul": _matmul,
        "embedding": _embedding,
        "attention": _attention,
        "reshape": _reshape,
        "squeeze": _reshape,
        "unsqueeze": _reshape,
        "permute": _permute,
        "split": _split,
        "concat": _concat,
        "append": _append,
        "slice": _one_axis,
        "select": _one_axis,
        "reduce_sum": _reduction,
        "reduce_mean": _reduction,
        "reduce_max": _reduction,
        "reduce_min": _reduction,
        "contiguous": _pointwise,
        "dropout": _pointwise,
    }
)

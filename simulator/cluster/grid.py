"""All devices of a sharded graph on NumPy, beside each other: the check of everything that cuts graphs.

Every device holds its own parts and runs the very segments that are costed, with the interpreter; sums,
gathers and exchanges happen between. What comes out must be what the uncut graph gives.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from siliform.graph_ir.graph import Graph, Value
from siliform.graph_ir.interpret import interpret
from siliform.simulator.cluster.attention import attend_on, run_ring
from siliform.simulator.cluster.edges import cache_edges
from siliform.simulator.cluster.layout import Split
from siliform.simulator.cluster.pieces import Piece
from siliform.simulator.cluster.plan import Sharded
from siliform.simulator.cluster.steps import Exchange, Gather, Segment, Sum

#: Of one device: values by name.
Held = dict[str, np.ndarray]


def run_grid(
    sharded: Sharded, graph: Graph, inputs: Sequence[Any], states: Sequence[Any], data: Mapping[str, Any]
) -> tuple[np.ndarray, ...]:
    """Run the devices of all groups; the results of the whole graph, put together, in order.

    Parameters
    ----------
    sharded : what `plan.shard` makes of `graph`.
    inputs, states, data : of the whole graph, as the interpreter takes them.
    """
    return _Grid(sharded, graph, inputs, states, data).results()


class _Grid:
    """Devices by (place in the context group, place in the tensor group)."""

    def __init__(
        self,
        sharded: Sharded,
        graph: Graph,
        inputs: Sequence[Any],
        states: Sequence[Any],
        data: Mapping[str, Any],
    ) -> None:
        self.sharded, self.graph = sharded, graph
        self.context, self.tensor = sharded.plan.context.degree, sharded.plan.tensor.degree
        given = {**graph.data, **data}
        given |= {v.name: np.asarray(array) for v, array in zip(graph.inputs, inputs, strict=True)}
        given |= {v.name: np.asarray(array) for v, array in zip(graph.states, states, strict=True)}
        self.whole = {name: np.asarray(array) for name, array in given.items()}
        self.held: dict[tuple[int, int], Held] = {
            (c, t): {} for c in range(self.context) for t in range(self.tensor)
        }
        for device in self.held:
            self._deal(device)

    def _deal(self, device: tuple[int, int]) -> None:
        """What a device is given: of inputs its tokens, of weights and caches its parts."""
        c, t = device
        local, held = self.sharded.local, self.held[device]
        for value in local.graph.given:
            name, split = local.shards.get(value.name, (value.name, None))
            array = self.whole[name] if split is None else split.shard(self.whole[name], t, self.tensor)
            tokens = self.sharded.layouts.values.get(value.name)
            held[value.name] = array if tokens is None else tokens.shard(array, c, self.context)

    def results(self) -> tuple[np.ndarray, ...]:
        for step in self.sharded.steps:
            if isinstance(step, Segment):
                self._segment(step)
            elif isinstance(step, Sum):
                self._sum(step)
            elif isinstance(step, Gather):
                self._gather(step)
            else:
                self._exchange(step)
        return tuple(self._result(value) for value in self.sharded.local.graph.outputs)

    def _segment(self, step: Segment) -> None:
        graph = step.graph
        for (c, _), held in self.held.items():
            for name, (source, split) in step.cuts.items():
                held[name] = split.shard(held[source], c, self.context)
            found = interpret(
                graph,
                *(held[v.name] for v in graph.inputs),
                states=[held[v.name] for v in graph.states],
                data={v.name: held[v.name] for v in (*graph.parameters, *graph.constants)},
            )
            held |= zip((v.name for v in graph.outputs), found, strict=True)

    def _sum(self, step: Sum) -> None:
        name = step.value.name
        for c in range(self.context):
            total = np.sum([self.held[c, t][name] for t in range(self.tensor)], axis=0)
            for t in range(self.tensor):
                self.held[c, t][name] = total

    def _gather(self, step: Gather) -> None:
        for t in range(self.tensor):
            whole = self._gathered(step.value.name, step.split, t)
            for c in range(self.context):
                self.held[c, t][step.whole.name] = whole

    def _gathered(self, name: str, split: Split, t: int) -> np.ndarray:
        return split.gathered([self.held[c, t][name] for c in range(self.context)])

    def _exchange(self, step: Exchange) -> None:
        for t in range(self.tensor):
            if step.caches is not None:
                self._decode(step, t)
            else:
                self._prefill(step, t)

    def _prefill(self, step: Exchange, t: int) -> None:
        layouts = self.sharded.layouts.nodes[step.node.name]
        splits = [layout for layout in (*layouts.operands, *layouts.results) if isinstance(layout, Split)]
        operands = zip(step.node.operands, splits, strict=False)
        q, k, v = (_batched(self._gathered(value.name, split, t)) for value, split in operands)
        plan, whole = self.sharded.plan.context, step.attention
        if plan.kind == "ring":
            made = run_ring(whole, plan.degree, plan.placement, q, k, v)
        else:
            part = whole.of_heads(plan.degree)
            made = np.concatenate([_of_heads(part, c, plan.degree, q, k, v) for c in range(plan.degree)], 1)
        made = made.reshape(step.node.output.type.shape)
        for c in range(self.context):
            self.held[c, t][step.node.output.name] = splits[-1].shard(made, c, self.context)

    def _decode(self, step: Exchange, t: int) -> None:
        """Each device its part of the caches, the last one also the new rows; then all parts merged."""
        assert step.caches is not None
        parts = []
        whole, held = step.attention, self.held[0, t]
        q = _batched(held[step.node.operands[0].name])
        caches = [(held[n.operands[0].name], held[n.operands[1].name]) for n in step.caches]
        keys, values = (_batched(np.concatenate(pair, axis=-2)) for pair in caches)
        for first, last in pairwise(cache_edges(whole.keys, self.context)):
            piece = Piece(((0, 0),), whole.queries, last - first, "full")
            parts.append(attend_on(whole, [piece], q, keys[..., first:last, :], values[..., first:last, :]))
        stacked = [np.stack(arrays) for arrays in zip(*parts, strict=True)]
        made, _ = interpret(whole.merge(whole.queries, len(parts)), *stacked)
        for c in range(self.context):
            self.held[c, t][step.node.output.name] = made.reshape(step.node.output.type.shape)
            for node, (cache, row) in zip(step.caches, caches, strict=True):
                self.held[c, t][node.output.name] = np.concatenate([cache, row], axis=-2)

    def _result(self, value: Value) -> np.ndarray:
        tokens = self.sharded.layouts.values.get(value.name)
        columns = []
        for t in range(self.tensor):
            columns.append(
                self.held[0, t][value.name] if tokens is None else self._gathered(value.name, tokens, t)
            )
        cut = self.sharded.local.cut_results.get(value.name)
        return columns[0] if cut is None else cut.gathered(columns)


def _batched(array: np.ndarray) -> np.ndarray:
    """[..., heads, length, width] with one batch axis."""
    return array.reshape(-1, *array.shape[-3:])


def _of_heads(part: Any, device: int, degree: int, q: np.ndarray, k: np.ndarray, v: np.ndarray) -> np.ndarray:
    """What one device computes that has all tokens of its heads."""
    first = device * k.shape[1] // degree
    own = slice(first, first + part.kv_heads)
    made: np.ndarray = interpret(
        part.whole(), q[:, device * part.heads : (device + 1) * part.heads], k[:, own], v[:, own]
    )[0]
    return made

"""Pipeline stages: which layers of a graph stand in which, by balanced work.

Layers are found by the numbers in module paths (``model.layers.7.mlp``); what stands before the first
belongs to the first, what stands behind the last to the last. Stages are runs of layers whose largest cost is
least: by multiply-accumulates plus the elements of weights, which are what a layer takes where
compute, and where memory, decides.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache

from siliform.graph_ir.errors import UserError
from siliform.graph_ir.graph import Graph

_NUMBERED = re.compile(r"^(?:.*?\.)?\d+(?=\.|$)")


def stages_of(graph: Graph, stages: int) -> Mapping[str, int]:
    """The stage of each node by name; empty for one stage.

    Raises
    ------
    UserError : fewer layers than stages.
    """
    if stages == 1:
        return {}
    layers = _layers(graph)
    count = max(layers.values(), default=-1) + 1
    if count < stages:
        raise UserError(
            asked=f"{graph.name} in {stages} stages",
            found=f"{count} numbered layers in its module paths",
            where="--parallel",
            next_step=f"use at most {max(count, 1)} stages",
        )
    costs = [0] * count
    weights = {value.name for value in graph.parameters}
    for node in graph.nodes:
        read = sum(v.type.elements for v in node.operands if v.name in weights)
        costs[layers[node.name]] += node.macs + read
    edges = balanced(costs, stages)
    found: dict[str, int] = {}
    for node in graph.nodes:
        before = [found[graph.producers[v.name].name] for v in node.operands if v.name in graph.producers]
        own = sum(layers[node.name] >= edge for edge in edges[1:-1])
        found[node.name] = max([own, *before])  # a stage reads nothing of a later one
    return found


def _layers(graph: Graph) -> dict[str, int]:
    """The number of each node's layer, counted from 0 in the order in which layers begin.

    A node without one stands where its operands are; one that no layer precedes stands in the first.
    """
    order: dict[str, int] = {}
    found: dict[str, int] = {}
    for node in graph.nodes:
        match = _NUMBERED.match(node.module)
        if match is not None:
            found[node.name] = order.setdefault(match[0], len(order))
        else:
            before = [found[graph.producers[v.name].name] for v in node.operands if v.name in graph.producers]
            found[node.name] = max(before, default=0)
    return found


def balanced(costs: Sequence[int], stages: int) -> list[int]:
    """Edges 0, ..., len(costs) of runs whose largest sum is least, each run with one cost or more."""
    sums = [0]
    for cost in costs:
        sums.append(sums[-1] + cost)

    @cache
    def best(first: int, left: int) -> tuple[int, tuple[int, ...]]:
        if left == 1:
            return sums[-1] - sums[first], (len(costs),)
        options = []
        for end in range(first + 1, len(costs) - left + 2):
            rest, edges = best(end, left - 1)
            options.append((max(sums[end] - sums[first], rest), (end, *edges)))
        return min(options)

    return [0, *best(0, stages)[1]]

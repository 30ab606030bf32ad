"""The passes that every traced graph goes through."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from siliform.graph_ir.graph import Graph, Node
from siliform.graph_ir.passes.attention import attention
from siliform.graph_ir.passes.cache_append import cache_append
from siliform.graph_ir.passes.composites import composites
from siliform.graph_ir.passes.constant_folding import constant_folding
from siliform.graph_ir.passes.conv_padding import conv_padding
from siliform.graph_ir.passes.dead_code import dead_code


def standard_passes(graph: Graph) -> Graph:
    """Caches in place, constants folded, attention, composites and padding recognised, dead nodes gone.

    Constants are folded again behind attention, which combines masks. Fusion is a choice of the
    mapper and a pass of its own, `fuse`. Steps of loops go through the same passes.
    """
    if any(node.op.name == "loop" for node in graph.nodes):
        graph = graph.with_nodes([_with_step(node) for node in graph.nodes])
    recognised = (attention, constant_folding, composites, conv_padding)
    for a_pass in (cache_append, constant_folding, *recognised, dead_code):
        graph = a_pass(graph)
    return graph


def _with_step(node: Node) -> Node:
    if node.op.name != "loop":
        return node
    changed: Mapping[str, Any] = {**node.attributes, "step": standard_passes(node.attributes["step"])}
    return replace(node, attributes=changed)

"""The passes that every traced graph goes through."""

from __future__ import annotations

from siliform.graph_ir.graph import Graph
from siliform.graph_ir.passes.attention import attention
from siliform.graph_ir.passes.cache_append import cache_append
from siliform.graph_ir.passes.composites import composites
from siliform.graph_ir.passes.constant_folding import constant_folding
from siliform.graph_ir.passes.dead_code import dead_code


def standard_passes(graph: Graph) -> Graph:
    """Caches in place, constants folded, attention and other composites recognised, dead nodes gone.

    Constants are folded again behind attention, which combines masks. Fusion is a choice of the
    mapper and a pass of its own, `fuse`.
    """
    for a_pass in (cache_append, constant_folding, attention, constant_folding, composites, dead_code):
        graph = a_pass(graph)
    return graph

"""Passes: each a function from a legal graph to a legal graph that means the same.

They keep every node's module and source line, and run in time linear in the size of the graph.
"""

from siliform.graph_ir.passes.attention import attention
from siliform.graph_ir.passes.cache_append import cache_append
from siliform.graph_ir.passes.composites import composites
from siliform.graph_ir.passes.constant_folding import constant_folding
from siliform.graph_ir.passes.dead_code import dead_code
from siliform.graph_ir.passes.fusion import fuse
from siliform.graph_ir.passes.standard import standard_passes

__all__ = [
    "attention",
    "cache_append",
    "composites",
    "constant_folding",
    "dead_code",
    "fuse",
    "standard_passes",
]

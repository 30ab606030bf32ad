"""One block of MemoryFormer at 2048 tokens against a Transformer block of its width, from traced graphs.

The paper counts 2 s² d for attention, its mask ignored, 6 K s d for all look-ups of a block and 12 s d² for
the linear layers of the other. The sum over the graph's own look-ups is 3 K s d for queries, keys and values
and 2.25 K s d for the two of the FFN, whose inner width is (τ + 2) K = 1.25 d.
"""

from __future__ import annotations

from benchmarks.published import Row
from siliform.graph_ir.formats import format_named
from siliform.graph_ir.graph import Graph
from siliform.graph_ir.types import TensorType
from siliform.models.build import build_graph

SOURCE = "arXiv 2411.12992, table 1"
TOLERANCE = 0.01
LAYER = "K 2^τ h entries in fp16"
#: Of each size: G FLOP of its block and of the Transformer's as printed.
PRINTED = {"tiny": ("4.7", "10.7"), "small": ("7.4", "20.9"), "base": (None, None)}


def rows() -> list[Row]:
    made = []
    for size, (memory, linear) in PRINTED.items():
        graph, other = build_graph(f"memoryformer-{size}"), build_graph(f"memoryformer-{size}-baseline")
        tokens, width, chunks = _sizes(graph)
        what = f"d = {width}, τ = 8, K = {chunks}"
        printed_rule = graph.macs_dense + 6 * chunks * tokens * width
        for published, ours, rule in (
            (memory, printed_rule, "1 FLOP = 1 MAC: 2 s² d + 6 K s d"),
            (None, graph.macs_dense + looked_up(graph), "attention, and each look-up's K s h, as traced"),
        ):
            made.append(
                Row(SOURCE, f"MemoryFormer block, {what}", "G FLOP", published, ours / 1e9, TOLERANCE, rule)
            )
        rule = "1 FLOP = 1 MAC: 2 s² d + 12 s d²"
        made.append(
            Row(
                SOURCE,
                f"Transformer block, d = {width}",
                "G FLOP",
                linear,
                other.macs_dense / 1e9,
                TOLERANCE,
                rule,
            )
        )
    held = layer_bytes(build_graph("memoryformer-tiny")) / 1e6
    made.append(Row(SOURCE, "memory layer, d = h = 512, τ = 8, K = 64", "MB", "16.8", held, TOLERANCE, LAYER))
    return made


def looked_up(graph: Graph) -> int:
    """Additions of weighted rows in every look-up: tokens, tables and width of a row."""
    nodes = [node for node in graph.nodes if node.op.name == "hash_lookup"]
    return sum(node.spaces[-1].points for node in nodes)


def layer_bytes(graph: Graph) -> int:
    """A layer from d to d: a third of the table of queries, keys and values, whose rows are 3 d long."""
    tables = next(node for node in graph.nodes if node.op.name == "hash_lookup").operands[1].type
    chunks, height, width = tables.shape
    return TensorType((chunks, height, width // 3), format_named("fp16")).bytes


def _sizes(graph: Graph) -> tuple[int, int, int]:
    x, tables = (v.type for v in next(n for n in graph.nodes if n.op.name == "hash_lookup").operands)
    return x.shape[1], x.shape[2], tables.shape[0]

"""EcoFormer on PVT v2 at 224 x 224 pixels: hash attention in stages 1 to 3, softmax attention in stage 4,
against softmax attention in all stages, both without spatial reduction; from the traced graphs.

The paper's rule takes the multiplications and additions of linear layers, convolutions with their biases and
layer norms (2 of each an element) to be as many. Of softmax attention it counts both products and the scale,
of hash attention what each line of it needs; squares of distances, exponentials, GELU and residual sums are
left out. A multiplication is 3.7 pJ and an addition 0.9 pJ (Horowitz, ISSCC 2014, fp32).
"""

from __future__ import annotations

from math import prod

from benchmarks.published import Row
from siliform.graph_ir.graph import Graph, Node
from siliform.models.build import build_graph

SOURCE = "arXiv 2209.09004, project README"
MULTIPLY_PJ, ADD_PJ = 3.7, 0.9  # Horowitz, ISSCC 2014, fp32 in 45 nm
TOLERANCE = 0.01
RULE = "1 mul + 1 add a MAC, 3.7 and 0.9 pJ; hash attention by its lines"
TRACED = "every mul and add of the traced graph: squared distances, softmax and residual sums too"
B3_ADDITIONS = "the printed energy and multiplications leave 6.72 G additions"

#: Of each level: multiplications in G, additions in G, energy in G pJ, as printed.
PRINTED = (
    ("0.54", "0.56", "2.5"),
    ("2.03", "2.09", "9.4"),
    ("3.85", "3.97", "17.8"),
    ("6.54", "6.75", "30.25"),
    ("9.57", "9.82", "44.25"),
)


def rows() -> list[Row]:
    made, energies = [], []
    for level, printed in enumerate(PRINTED):
        graph = build_graph(f"pvtv2-b{level}-ecoformer")
        counted = operations(graph)
        figures = (*counted, energy_pj(*counted))
        energies.append(figures[-1])
        what = f"PVTv2-B{level}, EcoFormer in stages 1-3"
        for unit, text, ours in zip(("G mul", "G add", "G pJ"), printed, figures, strict=True):
            note = B3_ADDITIONS if (level, unit) == (3, "G add") else ""
            made.append(_row(what, unit, text, ours / 1e9, note=note))
        for unit, ours in zip(("G mul", "G add"), traced(graph), strict=True):
            made.append(_row(what, unit, None, ours / 1e9, rule=TRACED))
    for level, energy in enumerate(energies):
        softmax = energy_pj(*operations(build_graph(f"pvtv2-b{level}-full-attention")))
        what = f"PVTv2-B{level}, energy against softmax attention"
        made.append(_row(what, "% saved", "73" if level == 0 else None, 100 * (1 - energy / softmax)))
    return made


def _row(what: str, unit: str, published: str | None, ours: float, rule: str = RULE, note: str = "") -> Row:
    return Row(SOURCE, what, unit, published, ours, TOLERANCE, rule, note)


def traced(graph: Graph) -> tuple[int, int]:
    """Multiplications and additions of a graph, those of every node."""
    spaces = [space for node in graph.nodes for space in node.spaces]
    return (
        graph.macs + sum(space.count("mul") for space in spaces),
        graph.macs + sum(space.count("add") for space in spaces),
    )


def energy_pj(multiplications: int, additions: int) -> float:
    return MULTIPLY_PJ * multiplications + ADD_PJ * additions


def operations(graph: Graph) -> tuple[int, int]:
    """Multiplications and additions of a graph by the paper's rule."""
    counted = [_of_node(node) for node in graph.nodes]
    return sum(mul for mul, _ in counted), sum(add for _, add in counted)


def _of_node(node: Node) -> tuple[int, int]:
    kind = node.op.name
    if kind == "attention":
        return _softmax_attention(node)
    if kind == "hash_codes":
        return _hash_codes(node)
    if kind == "hash_attention":
        return _hash_attention(node)
    counted = node.macs
    if kind == "conv" and len([v for v in node.inputs if v is not None]) == 3:
        counted += node.output.type.elements
    if kind == "layer_norm":
        counted = 2 * node.output.type.elements
    return counted, counted


def _softmax_attention(node: Node) -> tuple[int, int]:
    """Both products, and the scale of H N² scores."""
    scores = (
        node.operands[0].type.elements // node.operands[0].type.shape[-1] * node.operands[1].type.shape[-2]
    )
    return node.macs + scores, node.macs


def _hash_codes(node: Node) -> tuple[int, int]:
    """Distances to m anchors: 2 H N m c additions and 2 H N m multiplications; then H N m bits of each."""
    x, anchors, _, _, weight = (value.type for value in node.operands)
    tokens, (m, c) = x.elements // x.shape[-1], anchors.shape[-2:]
    codes = tokens * m * weight.shape[-2]
    return 2 * tokens * m + codes, 2 * tokens * m * c + codes


def _hash_attention(node: Node) -> tuple[int, int]:
    """Sums of codes, denominators, sums of values by code, and what is read of them."""
    q, _, v = (value.type for value in node.operands)
    tokens, bits, c = prod(q.shape[:-1]), q.shape[-1], v.shape[-1]
    multiplications = tokens * bits + tokens + tokens * c
    additions = 2 * tokens * bits + 2 * tokens * bits * c + tokens * c
    return multiplications, additions

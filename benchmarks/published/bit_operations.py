"""Operations of networks in few bits, as the tables of binary transformers count them."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction

from siliform.graph_ir.formats import format_named
from siliform.graph_ir.graph import Graph
from siliform.simulator.work import product_formats_of

#: Bit operations that count as one of full precision (Liu et al., Bi-Real Net, arXiv 1808.00278).
WORD_BITS = 64


def macs_by_formats(graph: Graph) -> Counter[tuple[str, str]]:
    """Multiply-accumulates by the element formats of the two operands; both products of an attention."""
    counted: Counter[tuple[str, str]] = Counter()
    for node in graph.nodes:
        products = [space.macs for space in node.spaces if space.macs]
        for place, macs in enumerate(products):
            counted[product_formats_of(node, first=place == 0)] += macs
    return counted


def cost(first: str, second: str) -> Fraction:
    """Of a multiply-accumulate of two formats, one of full precision being 1: a product of bits over 64.

    One with a float of 16 bits or more counts in full.
    """
    formats = format_named(first), format_named(second)
    if any(format.kind == "float" and format.bits >= 16 for format in formats):
        return Fraction(1)
    return Fraction(formats[0].bits * formats[1].bits, WORD_BITS)


def product_flops(graph: Graph) -> Fraction:
    """Operations of products, two for a multiply-accumulate, narrow ones by their bits."""
    parts = (2 * macs * cost(*pair) for pair, macs in macs_by_formats(graph).items())
    return sum(parts, start=Fraction(0))


def scalar_flops(graph: Graph) -> int:
    """Operations beside products: norms, softmax, activations, residual sums, biases, rounding; one each."""
    return sum(
        space.count(name)
        for node in graph.nodes
        for space in node.spaces
        for name in space.body
        if name != "mac"
    )

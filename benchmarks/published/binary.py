"""Networks in one and two bits: BERT-base at 128 tokens, and BART-base, by their widths of weights, tables
of embeddings and activations; from traced graphs.

A multiply-accumulate of full precision is 2 operations; one of w by a bits is w a / 64 of that. What is no
product is counted as it is before formats are assigned, one for each scalar operation of norms, softmax,
activations, residual sums and biases. The products of attention are of two activations: a by a bits. Sizes
are in MiB, which the papers write as M.
"""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.published import Row
from benchmarks.published.bit_operations import product_flops, scalar_flops
from siliform.graph_ir.formats import Scaled
from siliform.graph_ir.graph import Graph
from siliform.graph_ir.passes.assign_formats import Policy, Rule, assign_formats, parse_bits
from siliform.models.build import build_graph, spec_named

BIT = "arXiv 2205.13016, table 1"
BIPFT = "arXiv 2312.08937, abstract"
TBT = "arXiv 2306.01841, table 1, and its README"
FLOPS = "2 a MAC, narrow ones by w a / 64; scalar operations 1"
SIZE = "narrow parameters by their bits, the others in fp32, scales left out"
ONE_BIT = "every parameter in 1 bit, and the fp32 scales of rows"
STORED = "as traced: narrow parameters by their bits, fp32 scales, the others in fp32"
MIB = 2**20


@dataclass(frozen=True)
class Printed:
    """A line of a table: bits as ``--bits`` takes them, operations in G and size in M as printed."""

    network: str
    bits: str
    flops: str | None
    size: str | None
    source: str = BIT
    size_rule: str = SIZE
    flops_note: str = ""
    size_note: str = ""


LINES = (
    Printed("BERT", "traced", "22.5", "418"),
    Printed("TernaryBERT", "w2e2a8", None, "28", "arXiv 2012.15701, its table of quantised BERTs"),
    Printed(
        "BinaryBERT",
        "w1e1a4",
        "1.5",
        "16.5",
        flops_note="the products alone are 1.51 G",
        size_note="what else it keeps wide is not told; positions, biases and norms are 1.9 M",
    ),
    Printed("BiT", "w1e1a8", None, None),
    Printed("BiT", "w1e1a2", "0.8", "13.4", size_rule=ONE_BIT),
    Printed("BiT", "w1e1a1", "0.4", "13.4", size_rule=ONE_BIT),
)
WIDE_CELL, DIGIT_CELL = 0.01, 0.12  # a figure of one digit may be off by half of it


def rows() -> list[Row]:
    return [*_bert(), *_bipft(), *_bart()]


def _bert() -> list[Row]:
    wide, made = build_graph("bert-base-bit"), []
    for line in LINES:
        narrow = assign_formats(wide, parse_bits(line.bits))
        what = f"{line.network}, {_widths(line.bits)}"
        flops = float(product_flops(narrow) + scalar_flops(wide)) / 1e9
        tolerance = DIGIT_CELL if (line.flops or "").startswith("0.") else WIDE_CELL
        made.append(Row(line.source, what, "G FLOP", line.flops, flops, tolerance, FLOPS, line.flops_note))
        if line.size is not None:
            held = _one_bit_each(narrow) if line.size_rule == ONE_BIT else _without_scales(narrow)
            made.append(
                Row(line.source, what, "M", line.size, held / MIB, WIDE_CELL, line.size_rule, line.size_note)
            )
    stored = assign_formats(wide, parse_bits("w1e1a1")).weight_bytes / MIB
    made.append(Row(BIT, "BiT, 1-1-1", "M", None, stored, WIDE_CELL, STORED))
    return made


def _bipft() -> list[Row]:
    """Both figures are BERT-base's over those of its one-bit form; the estimators are counted beside them."""
    wide, spec = build_graph("bert-base-bit"), spec_named("bert-base-bipft")
    narrow, whole = assign_formats(wide, parse_bits("w1e1a1")), build_graph(spec)
    beside = scalar_flops(build_graph(spec.with_configuration(bits=None)))
    full = float(product_flops(wide) + scalar_flops(wide))
    ratios = (
        ("operations", "56", full / float(product_flops(narrow) + scalar_flops(wide)), FLOPS),
        ("operations, estimators too", None, full / float(product_flops(whole) + beside), FLOPS),
        ("memory", "28", wide.weight_bytes / _without_scales(narrow), SIZE),
        ("memory, estimators and scales too", None, wide.weight_bytes / whole.weight_bytes, STORED),
    )
    return [
        Row(BIPFT, f"BiPFT, {what}", "x fewer", published, ours, WIDE_CELL, rule)
        for what, published, ours, rule in ratios
    ]


def _bart() -> list[Row]:
    wide, made = build_graph("bart-base"), []
    linear = product_flops(_only_linear(wide))
    for bits, size, share in (
        ("traced", "532.0", "1"),
        ("w8e8a8", "138.1", "1"),
        ("w2e2a8", "39.6", "0.25"),
        ("w1e1a8", "23.2", "0.125"),
        ("w2e2a2", "39.6", "0.0625"),
        ("w1e1a1", "23.2", "0.0156"),
    ):
        # Tables of positions are not among those that are narrowed.
        positions = Rule("embedding", "*embed_positions*")
        narrow = assign_formats(wide, Policy((positions, *parse_bits(bits).rules)))
        what = f"BART-base, {_widths(bits)}"
        held = _without_scales(narrow) / MIB
        made.append(Row(TBT, what, "M", size, held, WIDE_CELL, SIZE))
        ours = float(product_flops(_only_linear(narrow)) / linear)
        made.append(Row(TBT, what, "x", share, ours, 0, "w a / 64, of linear layers"))
        whole = float(product_flops(narrow) / product_flops(wide))
        if whole != ours:
            made.append(Row(TBT, what, "x", None, whole, 0, "w a / 64, and a a / 64 of attention"))
    return made


def _widths(bits: str) -> str:
    """``w1e1a2`` as the papers write it, 1-1-2."""
    return "32-32-32" if bits == "traced" else bits[1:].replace("e", "-").replace("a", "-")


def _only_linear(graph: Graph) -> Graph:
    return graph.with_nodes([node for node in graph.nodes if node.op.name == "linear"])


def _scale_bytes(graph: Graph) -> int:
    types = [value.type for value in graph.parameters if isinstance(value.type.format, Scaled)]
    return sum(type.format.tensor_bits(type.shape) - type.elements * type.format.bits for type in types) // 8


def _without_scales(graph: Graph) -> int:
    return graph.weight_bytes - _scale_bytes(graph)


def _one_bit_each(graph: Graph) -> float:
    return graph.parameter_count / 8 + _scale_bytes(graph)

"""The speed of light: what crosses the chip's edge crosses it once, and no part beats its own peak."""

from __future__ import annotations

import pytest

import siliform as sf
from siliform.graph_ir.graph import Builder, Graph
from siliform.graph_ir.ops import OPS
from siliform.graph_ir.types import tensor

TOKENS, VOCABULARY, WIDTH = 4, 1000, 64
TABLE_BYTES = 2 * VOCABULARY * WIDTH


def tied_table() -> Graph:
    """A few rows of a table looked up, and the whole of it multiplied with: a tied language model."""
    b = Builder("tied")
    ids = b.input("ids", tensor("int64", TOKENS))
    table = b.parameter("table", tensor("fp16", VOCABULARY, WIDTH))
    return b.finish(b(OPS["linear"], b(OPS["embedding"], ids, table), table))


def test_a_table_tied_to_the_output_layer_crosses_once_and_whole() -> None:
    report = sf.estimate(tied_table(), sf.accelerator("nvidia-a100"), bits="traced", law="bound")
    looked_up, multiplied = report.parts
    rows_bytes = 2 * TOKENS * WIDTH
    assert looked_up.dram_bytes == rows_bytes + 8 * TOKENS
    assert multiplied.dram_bytes == TABLE_BYTES - rows_bytes + 2 * TOKENS * VOCABULARY


@pytest.mark.parametrize("design", ["edge-32x32", "edge-16x16-gemmini", "server-128x128", "nvidia-a100"])
def test_no_part_uses_more_than_its_peak(design: str, block: Graph) -> None:
    for graph in (block, tied_table()):
        report = sf.estimate(graph, sf.accelerator(design), law="bound")
        assert all(0 <= part.utilization <= 1 for part in report.parts)
        assert report.utilization <= 1

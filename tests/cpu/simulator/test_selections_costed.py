"""Bytes of rows chosen by index, by hand: what is stored narrow moves narrow."""

from __future__ import annotations

import pytest

import siliform as sf
from siliform.graph_ir.graph import Builder, Graph
from siliform.graph_ir.ops import OPS
from siliform.graph_ir.types import tensor
from siliform.simulator.work import work_of
from siliform.simulator.workload import workload

ROWS, WIDTH, CHOSEN, QUERIES = 65536, 128, 8192, 64


def chosen_rows() -> Graph:
    """Queries [64, 128] times 8192 of 65536 rows, as a top-k choice would have them."""
    b = Builder("chosen")
    x, q = b.input("x", tensor("fp32", ROWS, WIDTH)), b.input("q", tensor("fp32", QUERIES, WIDTH))
    rows = b(OPS["take"], x, b.input("index", tensor("int64", CHOSEN)), axis=0)
    return b.finish(b(OPS["matmul"], q, b(OPS["permute"], rows, axes=(1, 0))))


@pytest.mark.parametrize(("bits", "row_bits", "scales"), [("fp32", 32, 0), ("int8", 8, 4), ("w4a4", 4, 4)])
def test_the_bytes_of_a_choice(bits: str, row_bits: int, scales: int) -> None:
    """It reads rows that it chooses, their indices of 8 bytes, and writes the rows; a scale is 4 bytes."""
    design = sf.accelerator("edge-32x32", **{"scratchpad.bytes": "256 KiB"})
    report = sf.estimate(chosen_rows(), design, bits=bits)
    (part,) = (p for p in report.parts if p.op == "take")
    rows = CHOSEN * WIDTH * row_bits // 8
    # Of the one scale of the tensor only the share of the rows that are chosen counts: half a byte.
    assert part.dram_bytes == pytest.approx(2 * rows + 8 * CHOSEN + scales, abs=scales / 2)


@pytest.mark.parametrize(("name", "row_bits"), [("fp32", 32), ("int8@tensor", 8), ("binary@tensor", 1)])
def test_what_the_gather_unit_moves(name: str, row_bits: int) -> None:
    b = Builder("take")
    x, index = b.input("x", tensor(name, ROWS, WIDTH)), b.input("index", tensor("int64", CHOSEN))
    graph = b.finish(b(OPS["take"], x, index, axis=0))
    (item,) = graph.derived(workload).items
    assert work_of(item).moved_bytes == 2 * CHOSEN * WIDTH * row_bits // 8 + 8 * CHOSEN

"""The mapper's compiled engine writes the laws of matrix units again, for speed: they must be the same."""

from __future__ import annotations

import numpy as np
import pytest

from siliform.arch.units.array import DATAFLOWS, OVERLAPS, tiled_array_cycles
from siliform.arch.units.binary import BinaryUnit
from siliform.simulator.mapping.gemm import ArrayResources, GemmProblem, mapping_with_tiles


@pytest.mark.parametrize("dataflow", DATAFLOWS)
@pytest.mark.parametrize("overlap", OVERLAPS)
def test_compiled_and_written_law_agree(dataflow: str, overlap: str) -> None:
    generator = np.random.default_rng(11)
    for _ in range(100):
        m, n, k = (int(x) for x in generator.integers(1, 200, 3))
        batch = int(generator.integers(1, 4))
        tiles = [int(generator.integers(1, extent + 1)) for extent in (m, n, k)]
        rows, columns = (int(x) for x in generator.integers(1, 40, 2))
        resources = ArrayResources(rows, columns, dataflow, overlap, 1 << 26, 64.0)
        mapping = mapping_with_tiles(GemmProblem(m, n, k, batch=batch), resources, *tiles)
        tile = (mapping.tile_m, mapping.tile_n, mapping.tile_k)
        law = tiled_array_cycles(
            m, n, k, *tile, rows, columns, dataflow=dataflow, overlap=overlap, batch=batch
        )
        assert mapping.compute_cycles == law, (m, n, k, batch, tile, rows, columns)


def test_so_do_they_for_cells_that_take_words() -> None:
    generator = np.random.default_rng(12)
    for formats in (("binary", "binary"), ("ternary", "ternary")) * 50:
        m, n, k = (int(x) for x in generator.integers(1, 200, 3))
        rows, columns, half = (int(x) for x in generator.integers(1, 20, 3))
        unit = BinaryUnit(name="binary", rows=rows, columns=columns, width=2 * half)
        folding = unit.folding(formats)
        resources = ArrayResources(
            rows,
            columns,
            folding.dataflow,
            folding.overlap,
            1 << 26,
            64.0,
            overhead_cycles=folding.overhead_cycles,
            depth=folding.depth_words,
        )
        problem = GemmProblem(m, n, k, batch=3, a_bits=1, b_bits=1).in_words(folding.word_elements)
        mapping = mapping_with_tiles(problem, resources, m, n, problem.k)
        assert mapping.compute_cycles == unit.product_cycles(m, n, k, formats, batch=3)
        assert problem.macs == 3 * m * n * k

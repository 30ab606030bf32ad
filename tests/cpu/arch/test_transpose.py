"""The transposer's law by hand, its closed form against the queue of tiles, and what it refuses."""

from __future__ import annotations

import numpy as np
import pytest

from siliform.arch.units.transpose import Transposer, tile_queue_cycles, transpose_cycles
from siliform.graph_ir.graph import Builder, Node
from siliform.graph_ir.ops.views import permute
from siliform.graph_ir.types import tensor

UNIT = Transposer(name="transposer", side=4)


def node(shape: tuple[int, ...], axes: tuple[int, ...], format: str = "int8") -> Node:
    """A permutation of a tensor."""
    builder = Builder("one")
    made = builder(permute, builder.input("x", tensor(format, *shape)), axes=axes)
    return builder.finish(made).nodes[0]


def tiles_of(rows: int, columns: int, side: int) -> list[tuple[int, int]]:
    """The tiles of one matrix, band by band."""
    heights = [min(side, rows - top) for top in range(0, rows, side)]
    widths = [min(side, columns - left) for left in range(0, columns, side)]
    return [(height, width) for height in heights for width in widths]


def test_one_tile_fills_and_then_empties() -> None:
    assert transpose_cycles(4, 4, 4) == 4 + 4 - 1
    assert transpose_cycles(1, 4, 4) == 1 + 4 - 1
    assert transpose_cycles(3, 1, 4) == 3 + 1 - 1
    assert transpose_cycles(0, 4, 4) == transpose_cycles(4, 0, 4) == transpose_cycles(4, 4, 4, 0) == 0


def test_whole_tiles_keep_both_ends_busy() -> None:
    assert transpose_cycles(8, 12, 4) == 6 * 4 + 4 - 1
    assert transpose_cycles(8, 12, 4, 5) == 30 * 4 + 4 - 1


def test_the_closed_form_is_the_queue_of_tiles() -> None:
    for side in (2, 3, 4):
        for rows in range(1, 10):
            for columns in range(1, 10):
                for batch in (1, 2, 3):
                    queue = tile_queue_cycles(tiles_of(rows, columns, side) * batch)
                    assert transpose_cycles(rows, columns, side, batch) == queue


def test_more_work_never_takes_less() -> None:
    counts = np.arange(1, 40)
    for side in (2, 4, 8):
        for cycles in (
            transpose_cycles(counts, 13, side),
            transpose_cycles(13, counts, side),
            transpose_cycles(5, 13, side, counts),
        ):
            assert (np.diff(cycles) >= 0).all()


def test_the_unit_swaps_the_last_two_axes() -> None:
    swap = node((3, 8, 12), (0, 2, 1))
    assert UNIT.node_refusal(swap) is None
    assert UNIT.node_cycles(swap) == transpose_cycles(8, 12, 4, 3)
    assert UNIT.row_elements(swap) == 96
    assert UNIT.node_refusal(node((8, 12), (-1, -2))) is None


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (node((3, 8, 12), (1, 0, 2)), "transposer swaps the last two axes only, not to (1, 0, 2)"),
        (node((8, 12), (1, 0), "int16"), "transposer holds elements of 8 bits, not 16"),
    ],
    ids=["axes", "bits"],
)
def test_refusals_say_why(given: Node, reason: str) -> None:
    assert UNIT.node_refusal(given) == reason

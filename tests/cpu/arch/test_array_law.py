"""The array law against published numbers, against machines that step cycle by cycle, and against itself."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from siliform.arch.law import ceil_div
from siliform.arch.units.array import (
    DATAFLOWS,
    SystolicArray,
    array_cycles,
    no_drain_cycles,
    roles,
    tiled_array_cycles,
)

# GEMMs of a BERT-base layer at 128 tokens as (M, N, K), and how often each occurs in a layer.
BERT = {
    "proj": ((128, 768, 768), 4),
    "QK": ((128, 128, 64), 12),
    "AV": ((128, 64, 128), 12),
    "FFN1": ((128, 3072, 768), 1),
    "FFN2": ((128, 768, 3072), 1),
}
# Cycles on a 32 x 32 array from closed forms worked out by hand; SCALE-Sim v3 prints one cycle less
# than the first and third rows, Timeloop prints the last.
WORKED = {
    ("weight-stationary", "none"): (127_872, 1_776, 1_776, 511_488, 511_488, 1_577_088),
    ("output-stationary", "none"): (82_752, 2_528, 1_776, 331_008, 303_936, 1_017_600),
    ("weight-stationary", "double-buffered"): (73_822, 1_118, 1_118, 295_006, 295_006, 912_132),
    ("weight-stationary", "bound"): (73_728, 1_024, 1_024, 294_912, 294_912, 909_312),
    ("output-stationary", "bound"): (73_728, 1_024, 1_024, 294_912, 294_912, 909_312),
}
NO_DRAIN = (79_680, 2_016, 1_520, 318_720, 300_864, 980_736)
DIM = st.integers(1, 70)
SIDE = st.integers(1, 12)


@pytest.mark.parametrize(("how", "expected"), WORKED.items(), ids=str)
def test_bert_base_layer(how: tuple[str, str], expected: tuple[int, ...]) -> None:
    found = [array_cycles(*s, 32, 32, dataflow=how[0], overlap=how[1]) for s, _ in BERT.values()]
    layer = sum(each * times for each, (_, times) in zip(found, BERT.values(), strict=True))
    assert (*found, layer) == expected


def test_bert_base_layer_without_drain_as_scale_sim_counts() -> None:
    found = [no_drain_cycles(*shape, 32, 32) for shape, _ in BERT.values()]
    layer = sum(each * times for each, (_, times) in zip(found, BERT.values(), strict=True))
    assert (*found, layer) == NO_DRAIN


def test_double_buffered_output_stationary_worked_by_hand() -> None:
    # 2 x 2 folds of K = 5 on 3 x 4: three steady folds of 5, a last one of 5, then 2*3 + 4 - 2 to empty.
    found = array_cycles(6, 8, 5, 3, 4, dataflow="output-stationary", overlap="double-buffered")
    assert found == 3 * 5 + 5 + 8


# -- machines that step ------------------------------------------------------------------------------


def weight_stationary_machine(
    a: np.ndarray, b: np.ndarray, rows: int, columns: int
) -> tuple[np.ndarray, int]:
    """A @ B on a grid of cells stepped cycle by cycle, folds one after another; result and cycles.

    Weights enter at the top, one row a cycle; activations march right, sums march down.
    """
    (m, k), n = a.shape, b.shape[1]
    result, cycles = np.zeros((m, n), np.int64), 0
    for k0 in range(0, k, rows):
        for n0 in range(0, n, columns):
            weights = np.zeros((rows, columns), np.int64)
            block = b[k0 : k0 + rows, n0 : n0 + columns]
            fed = np.zeros((rows, columns), np.int64)
            fed[: block.shape[0], : block.shape[1]] = block
            for step in range(rows):
                weights = np.vstack([fed[rows - 1 - step], weights[:-1]])
                cycles += 1
            activations, sums = np.zeros((2, rows, columns), np.int64)
            left = m * block.shape[1]
            cycle = 0
            while left:
                entering = np.zeros(rows, np.int64)
                for r in range(min(rows, k - k0)):
                    if 0 <= cycle - r < m:
                        entering[r] = a[cycle - r, k0 + r]
                activations = np.column_stack([entering, activations[:, :-1]])
                above = np.vstack([np.zeros(columns, np.int64), sums[:-1]])
                sums = above + activations * weights
                for c in range(block.shape[1]):
                    row = cycle - (rows - 1) - c
                    if 0 <= row < m:
                        result[row, n0 + c] += sums[rows - 1, c]
                        left -= 1
                cycle += 1
            # Columns beyond the block still empty their skew: the fold is as wide as the array.
            cycles += cycle + columns - block.shape[1]
    return result, cycles


def output_stationary_machine(
    a: np.ndarray, b: np.ndarray, rows: int, columns: int
) -> tuple[np.ndarray, int]:
    """A @ B with sums that stay: operands march right and down, then the columns shift results out."""
    (m, k), n = a.shape, b.shape[1]
    result, cycles = np.zeros((m, n), np.int64), 0
    for m0 in range(0, m, rows):
        for n0 in range(0, n, columns):
            left, top, sums = np.zeros((3, rows, columns), np.int64)
            for cycle in range(k + rows + columns - 2):
                enter_left, enter_top = np.zeros(rows, np.int64), np.zeros(columns, np.int64)
                for r in range(min(rows, m - m0)):
                    if 0 <= cycle - r < k:
                        enter_left[r] = a[m0 + r, cycle - r]
                for c in range(min(columns, n - n0)):
                    if 0 <= cycle - c < k:
                        enter_top[c] = b[cycle - c, n0 + c]
                left = np.column_stack([enter_left, left[:, :-1]])
                top = np.vstack([enter_top, top[:-1]])
                sums = sums + left * top
                cycles += 1
            for step in range(rows):  # one row leaves at the bottom each cycle
                row = m0 + rows - 1 - step
                if row < m:
                    result[row, n0 : n0 + columns] = sums[rows - 1, : min(columns, n - n0)]
                sums = np.vstack([np.zeros(columns, np.int64), sums[:-1]])
                cycles += 1
    return result, cycles


@pytest.mark.parametrize("seed", range(25))
def test_without_overlap_the_law_is_what_a_machine_takes(seed: int) -> None:
    generator = np.random.default_rng(seed)
    m, n, k = (int(x) for x in generator.integers(1, 14, 3))
    rows, columns = (int(x) for x in generator.integers(1, 6, 2))
    a, b = generator.integers(-9, 9, (m, k)), generator.integers(-9, 9, (k, n))
    for dataflow in DATAFLOWS:
        if dataflow == "output-stationary":
            result, cycles = output_stationary_machine(a, b, rows, columns)
        elif dataflow == "weight-stationary":
            result, cycles = weight_stationary_machine(a, b, rows, columns)
        else:  # the same machine holding activations: the transposed product
            transposed, cycles = weight_stationary_machine(b.T, a.T, rows, columns)
            result = transposed.T
        assert (result == a @ b).all()
        law = array_cycles(m, n, k, rows, columns, dataflow=dataflow, overlap="none")
        assert law == cycles, (dataflow, m, n, k, rows, columns)


def passes(shape: tuple[int, int, int], tile: tuple[int, int, int], rows: int, columns: int, dataflow: str):
    """Stream length of every (fold, streaming tile), in the order of a plain nest over the tiles."""
    along_rows, along_columns, stream = roles(dataflow, *shape)
    tile_rows, tile_columns, tile_stream = roles(dataflow, *tile)
    for r0 in range(0, along_rows, tile_rows):
        for c0 in range(0, along_columns, tile_columns):
            for s0 in range(0, stream, tile_stream):
                height = min(tile_rows, along_rows - r0)
                width = min(tile_columns, along_columns - c0)
                for _ in range(ceil_div(height, rows) * ceil_div(width, columns)):
                    yield min(tile_stream, stream - s0)


def timeline(streams: list[int], rows: int, columns: int, overlap: str) -> int:
    """When the last result leaves, from a timeline of two resources: the loading port and the cells.

    A fold starts when its weights are loaded and the fold before has streamed; its loading starts when
    the fold before has taken its own weights (one set waits behind the set in use). Draining an
    output-stationary array is the mirror image in time and takes as long.
    """
    if overlap == "bound":
        return sum(streams)
    now = 0
    if overlap == "none":
        for stream in streams:
            now += rows + stream + rows + columns - 2
        return now
    loaded, start, busy_until = rows, 0, 0
    for stream in streams:
        start = max(loaded, busy_until)
        busy_until = start + stream
        loaded = start + rows
    return start + streams[-1] + rows + columns - 2


@settings(max_examples=150, deadline=None)
@given(DIM, DIM, DIM, DIM, DIM, DIM, SIDE, SIDE, st.integers(1, 4), st.data())
def test_tiled_law_is_what_a_timeline_of_all_passes_gives(
    m, n, k, tm, tn, tk, rows, columns, batch, data
) -> None:
    tile = (min(tm, m), min(tn, n), min(tk, k))
    dataflow = data.draw(st.sampled_from(DATAFLOWS))
    streams = list(passes((m, n, k), tile, rows, columns, dataflow)) * batch
    for overlap in ("none", "double-buffered", "bound"):
        found = tiled_array_cycles(
            m, n, k, *tile, rows, columns, dataflow=dataflow, overlap=overlap, batch=batch
        )
        assert found == timeline(streams, rows, columns, overlap), overlap


@settings(max_examples=200, deadline=None)
@given(DIM, DIM, DIM, SIDE, SIDE, st.integers(1, 5), st.sampled_from(DATAFLOWS))
def test_conventions_are_ordered_and_work_is_monotone(m, n, k, rows, columns, batch, dataflow) -> None:
    def cycles(overlap: str, shape=(m, n, k), times: int = batch) -> int:
        return array_cycles(*shape, rows, columns, dataflow=dataflow, overlap=overlap, batch=times)

    assert cycles("bound") <= cycles("double-buffered") <= cycles("none")
    for overlap in ("none", "double-buffered", "bound"):
        here = cycles(overlap)
        assert all(here <= cycles(overlap, s) for s in ((m + 1, n, k), (m, n + 1, k), (m, n, k + 1)))
        assert here <= cycles(overlap, times=batch + 1)
        assert rows * columns * here >= m * n * k * batch
        whole = tiled_array_cycles(
            m, n, k, m, n, k, rows, columns, dataflow=dataflow, overlap=overlap, batch=batch
        )
        assert here == whole


def test_decode_shapes_are_not_slower_double_buffered() -> None:
    for dataflow in DATAFLOWS:
        for shape in ((1, 4096, 4096), (1, 128, 4), (4096, 1, 64), (1, 1, 1)):
            both = [
                array_cycles(*shape, 32, 32, dataflow=dataflow, overlap=o)
                for o in ("double-buffered", "none")
            ]
            assert both[0] <= both[1]


def test_unknown_words_are_refused() -> None:
    with pytest.raises(ValueError, match="dataflow 'row-stationary' is none of weight-stationary"):
        array_cycles(1, 1, 1, 1, 1, dataflow="row-stationary", overlap="none")
    with pytest.raises(ValueError, match="overlap 'some' is none of none, double-buffered, bound"):
        array_cycles(1, 1, 1, 1, 1, dataflow="weight-stationary", overlap="some")


@pytest.mark.parametrize(
    ("cells", "operand", "carrier"),
    [
        (("int8", "int4", "ternary", "binary", "binary01"), "binary", "int8"),
        (("int8", "int4", "ternary", "binary", "binary01"), "ternary", "int8"),
        (("int20", "int16", "int8"), "int8", "int20"),
        (("int8", "int4"), "int4", "int8"),
        (("binary", "ternary"), "binary", "ternary"),
        (("int8", "fp4_e2m1", "fp4_e3m0"), "fp4_e3m0", "int8"),  # at most 64 of its steps of 1/4
        (("fp4_e2m1", "fp4_e1m2"), "fp4_e2m1", "fp4_e1m2"),  # the wider significand
        (("int8", "log2_4"), "log2_4", "log2_4"),  # a shift, no product
        (("bf16", "int8", "int4"), "bf16", "bf16"),
        (("bf16", "int8", "int4"), "int4", "int8"),
        (("bf16", "fp16", "fp32"), "bf16", "fp32"),
        (("fp8_e4m3", "int8"), "fp8_e4m3", "fp8_e4m3"),  # too many steps for int8
    ],
)
def test_cells_carry_narrow_operands_in_their_widest_format(
    cells: tuple[str, ...], operand: str, carrier: str
) -> None:
    array = SystolicArray(name="array", rows=4, columns=4, formats=cells)
    assert array.cell_formats((operand, operand)) == (carrier, carrier)

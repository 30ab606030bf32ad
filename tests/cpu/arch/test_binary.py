"""The binary unit's law by hand, what it accepts and how it refuses, and what of it the mapper sees."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from siliform.arch.technology import Technology
from siliform.arch.units.array import SystolicArray
from siliform.arch.units.binary import PAIRS, BinaryUnit, binary_cycles
from siliform.arch.units.matrix import Folding
from siliform.graph_ir.errors import UserError
from siliform.graph_ir.space import Space

UNIT = BinaryUnit(name="binary", rows=4, columns=3, width=8)


def product(m: int, n: int, k: int) -> Space:
    return Space.over("m k, n k -> m n", {"mac": 1}, m=m, n=n, k=k)


@pytest.mark.parametrize(
    ("m", "n", "k", "batch", "cycles"),
    [
        (1, 1, 1, 1, 1 + 4 + 4),  # one word, four rows out, six registers
        (4, 3, 8, 1, 1 + 4 + 4),  # the same for a whole fold
        (4, 3, 9, 1, 2 + 4 + 4),  # one element more is one word more
        (5, 3, 8, 1, 4 + 1 + 4 + 4),  # a second fold waits until the first one's rows are out
        (4, 4, 64, 1, 8 + 8 + 4 + 4),  # or counts while they leave
        (4, 4, 64, 3, 5 * 8 + 8 + 4 + 4),
        (0, 3, 8, 1, 0),
        (4, 3, 0, 1, 0),
    ],
)
def test_the_law_by_hand(m: int, n: int, k: int, batch: int, cycles: int) -> None:
    assert UNIT.product_cycles(m, n, k, ("binary", "binary"), batch=batch) == cycles


def test_elements_of_two_bits_take_twice_the_words() -> None:
    ternary = ("ternary@tensor", "ternary@channel0")
    assert UNIT.word_elements(ternary) == 4
    assert UNIT.product_cycles(40, 30, 100, ternary) == UNIT.product_cycles(40, 30, 200, ("binary", "binary"))
    assert UNIT.cycles(product(40, 30, 100)) == UNIT.product_cycles(40, 30, 100, ternary)


@given(*(st.integers(1, 300) for _ in range(3)), st.integers(1, 4))
def test_more_work_takes_no_less_time(m: int, n: int, k: int, batch: int) -> None:
    sizes = {"m": m, "n": n, "k": k, "batch": batch}
    base = binary_cycles(m, n, k, 4, 3, 8, batch=batch)
    for name in sizes:
        grown = sizes | {name: sizes[name] + 1}
        assert binary_cycles(grown["m"], grown["n"], grown["k"], 4, 3, 8, batch=grown["batch"]) >= base
    assert base * 4 * 3 * 8 >= batch * m * n * k


def test_arrays_of_counts_give_what_single_ones_do() -> None:
    m, n, k = np.array([0, 1, 5, 128]), np.array([3, 1, 7, 64]), np.array([8, 1, 100, 768])
    rows, columns, word = np.array([1, 2, 4, 16]), np.array([3, 1, 8, 16]), np.array([8, 2, 16, 64])
    found = binary_cycles(m, n, k, rows, columns, word, batch=np.array([1, 2, 3, 12]))
    each = zip(m, n, k, rows, columns, word, (1, 2, 3, 12), strict=True)
    assert found.tolist() == [binary_cycles(*(int(c) for c in case[:6]), batch=case[6]) for case in each]


def test_the_mapper_sees_an_output_stationary_grid_of_words() -> None:
    assert UNIT.folding(("binary01", "binary")) == Folding("output-stationary", "double-buffered", 8, 8, 1)
    assert UNIT.folding(("ternary", "ternary")).word_elements == 4
    array = SystolicArray(name="array", rows=8, columns=4, overlap="none")
    assert array.folding(("int8", "int8")) == Folding("weight-stationary", "none", 18, 1, 8)
    bound = SystolicArray(name="array", rows=8, columns=4, overlap="bound")
    assert bound.folding(("int8", "int8")).overhead_cycles == 0


@pytest.mark.parametrize("pair", PAIRS)
def test_it_accepts_its_pairs(pair: tuple[str, str]) -> None:
    scaled = (f"{pair[0]}@tensor", f"{pair[1]}@channel0")
    assert UNIT.refusal("linear", [product(5, 7, 9)], scaled) is None
    assert UNIT.peak_macs_per_cycle(*scaled) == 4 * 3 * (4 if pair[0] == "ternary" else 8)


def test_it_refuses_with_a_sentence() -> None:
    known = "binary x binary, binary01 x binary, binary01 x binary01, ternary x ternary"
    assert UNIT.refusal("linear", [product(5, 7, 9)], ("binary", "binary01")) == (
        f"binary multiplies {known}, not binary x binary01"
    )
    assert UNIT.peak_macs_per_cycle("int8", "binary") == 0
    assert UNIT.refusal("relu", [], ("binary",)) == "relu does no arithmetic, and binary does nothing else"
    scalar = Space.elementwise((4,), {"add": 1})
    assert "no plain product" in str(UNIT.refusal("add", [scalar], ("binary", "binary")))
    # 65,535 bits are 8,191 words of 8.
    assert UNIT.refusal("linear", [product(1, 1, 65_528)], ("binary", "binary")) is None
    assert UNIT.refusal("linear", [product(1, 1, 65_529)], ("binary", "binary")) == (
        "binary counts in 16 bits, too few for sums of 65529 terms"
    )
    assert UNIT.refusal("linear", [product(1, 1, 32_765)], ("ternary", "ternary")) is not None


@pytest.mark.parametrize(("width", "found"), [(7, "an odd width"), (256, "more ones than a cell can count")])
def test_a_word_must_be_even_and_countable(width: int, found: str) -> None:
    with pytest.raises(UserError) as refused:
        BinaryUnit(name="mine", rows=1, columns=1, width=width, count_bits=8)
    assert found in refused.value.found
    assert refused.value.where == "mine.width"
    assert "below 2**count_bits" in refused.value.next_step


def test_a_cell_of_64_bits_is_about_as_large_as_one_int8_cell() -> None:
    technology = Technology(node_nm=45)
    unit = BinaryUnit(name="binary", rows=16, columns=16, width=64)
    cell, int8 = unit.cell_area_um2(technology), technology.mac_area_um2("int8")
    assert 0.5 * int8.number < cell.number < 1.5 * int8.number
    assert unit.area_um2(technology).number > 256 * cell.number
    assert "full adder" in unit.area_um2(technology).source
    assert unit.leakage_watts(technology).number > 0

"""Reading cell libraries: functions, units, tables, and what is told of files that are none."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from siliform.graph_ir.errors import UserError
from siliform.rtl.synthesis.boolean import Function, read_function
from siliform.rtl.synthesis.liberty import Library, Table, read_library
from tests.rtl.liberty_case import library_text, write_library

OSU018 = Path("/usr/share/qflow/tech/osu018/osu018_stdcells.lib")


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return read_library(write_library(tmp_path))


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("!(A B)", lambda a, b, c: not (a and b)),
        ("A+B C", lambda a, b, c: a or (b and c)),
        ("A'B | !C", lambda a, b, c: (not a and b) or not c),
        ("A ^ B & C", lambda a, b, c: (a != b) and c),
        ("(A*!B)'+C*1", lambda a, b, c: not (a and not b) or c),
        ("((A B)+(B C))+(C A)", lambda a, b, c: a + b + c >= 2),
        ("A'' 0 + B", lambda a, b, c: b),
    ],
)
def test_a_function_is_read_as_liberty_means_it(text: str, meaning: object) -> None:
    function = read_function(text)
    for a, b, c in product((False, True), repeat=3):
        assert function.value({"A": a, "B": b, "C": c}) == meaning(a, b, c)  # type: ignore[operator]


def functions() -> st.SearchStrategy[Function]:
    leaves = st.sampled_from("ABC").map(lambda name: Function("name", leaf=name))
    return st.recursive(
        leaves,
        lambda below: st.one_of(
            below.map(lambda f: Function("not", (f,))),
            st.builds(
                Function,
                st.sampled_from(("and", "or", "xor")),
                st.lists(below, min_size=2, max_size=3).map(tuple),
            ),
        ),
        max_leaves=8,
    )


@given(functions())
def test_the_verilog_of_a_function_means_the_same(function: Function) -> None:
    """Python reads Verilog's signs alike, over single bits."""
    for values in product((False, True), repeat=3):
        given_names = dict(zip("ABC", values, strict=True))
        verilog = function.verilog(lambda name, known=given_names: str(int(known[name])))  # type: ignore[misc]
        assert eval(verilog) & 1 == function.value(given_names)


@pytest.mark.parametrize("text", ["", "A +", "(A", "A)", "A & | B", "A @ B", "2"])
def test_what_is_no_function_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"function|operand|parenthesis"):
        read_function(text)


def test_units_are_turned_into_ours(library: Library) -> None:
    assert library.name == "tiny"
    assert library.volts == 2.0
    inverter = library.cells["INV"]
    assert (inverter.area_um2, inverter.leakage_watts) == (1.0, pytest.approx(3e-9))
    assert inverter.pins["A"].capacitance_pf == pytest.approx(0.001)
    (arc,) = inverter.pins["Y"].arcs
    assert (arc.related, arc.sense, arc.kind) == ("A", "negative_unate", "combinational")
    assert arc.tables["cell_rise"].at(0.0, 0.3) == pytest.approx(0.1)
    assert arc.tables["cell_fall"].at(0.004, 0.3) == pytest.approx(0.24)
    (power,) = inverter.pins["Y"].power
    assert power.rise is not None
    assert power.rise.at(1.0, 1.0) == pytest.approx(0.02)


def test_flip_flops_tell_how_they_are_forced(library: Library) -> None:
    register = library.cells["DFFR"].register
    assert register is not None
    assert (register.state, register.inverse, register.preset) == ("IQ", "IQN", None)
    assert register.clear == Function("not", (Function("name", leaf="R"),))
    assert library.cells["DFFR"].leakage_watts == pytest.approx(5e-9)  # a line without a semicolon
    assert library.cells["NAND2"].register is None


def test_the_smallest_fitting_cell_is_the_gate_equivalent(library: Library) -> None:
    assert (library.nand2.name, library.buffer.name) == ("NAND2", "BUF")


def test_tables_are_linear_between_and_beyond_their_points() -> None:
    table = Table(((0.0, 1.0), (0.0, 2.0)), ((0.0, 4.0), (10.0, 14.0)), load_first=True)
    assert table.at(0.5, 1.0) == pytest.approx(7.0)
    assert table.at(2.0, 3.0) == pytest.approx(26.0)
    slew_first = Table(table.axes, table.values, load_first=False)
    assert slew_first.at(1.0, 0.5) == pytest.approx(7.0)
    assert Table(((0.0, 1.0),), ((1.0, 3.0),), load_first=False).at(9.0, 0.5) == pytest.approx(2.0)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("cell(A) { }", "no library in it"),
        ("library(x) { cell(A) { area : 1;", "a group that is never closed"),
        ('library(x) { cell(A) { pin(Y) { function : "A+"; } } }', "a function that ends too early"),
        ('library(x) { time_unit : "fast"; }', "'fast' is no unit"),
    ],
)  # fmt: skip
def test_a_file_that_is_no_library_is_told(text: str, found: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.lib"
    path.write_text(text)
    with pytest.raises(UserError) as caught:
        read_library(path)
    assert str(caught.value) == (
        f"asked: the cell library {path}\n"
        f"found: {found}\n"
        "where: --liberty\n"
        "next:  name a Liberty file (.lib), such as osu018_stdcells.lib of Debian's qflow-tech-osu018"
    )


def test_a_missing_file_and_a_library_without_gates_are_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="No such file or directory"):
        read_library(tmp_path / "none.lib")
    (tmp_path / "some.lib").write_text("library(some) { }")
    with pytest.raises(UserError, match="no NAND of two inputs among its 0 cells"):
        _ = read_library(tmp_path / "some.lib").nand2


def test_the_library_of_debian_is_read() -> None:
    if not OSU018.is_file():
        pytest.skip(f"no {OSU018}: apt install qflow-tech-osu018")
    library = read_library(OSU018)
    assert (library.volts, len(library.cells)) == (1.8, 32)
    assert (library.nand2.name, library.nand2.area_um2) == ("NAND2X1", 24.0)
    assert library.cells["FAX1"].computes[1] == tuple(sum(v) % 2 == 1 for v in product((0, 1), repeat=3))
    rise = library.cells["NAND2X1"].pins["Y"].arcs[0].tables["cell_rise"]
    assert rise.at(0.0125, 0.18) == 0.10657  # a point of its table


def test_text_of_the_case_is_what_the_library_says() -> None:
    assert library_text().count("cell(") + library_text().count("cell (") == 12

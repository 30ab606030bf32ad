"""Technology figures: the published anchors, the stated rules between them, and what is unknown."""

from __future__ import annotations

import re
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from siliform.arch.memory import DRAM_KINDS
from siliform.arch.sourced import Sourced, total, unknown
from siliform.arch.tech.tables import HERE, dram_pj_per_bit, scaling_rows, sram_points
from siliform.arch.technology import NODES_NM, Technology
from siliform.graph_ir.errors import UserError
from siliform.graph_ir.formats import FORMATS
from siliform.graph_ir.space import SCALAR_OPS

T45 = Technology(node_nm=45)


def value(figure: Sourced) -> float:
    assert figure.value is not None, figure.source
    return figure.value


def test_horowitz_is_returned_as_published() -> None:
    adds = {"int8": 0.03, "int32": 0.1, "fp16": 0.4, "fp32": 0.9}
    muls = {"int8": 0.2, "int32": 3.1, "fp16": 1.1, "fp32": 3.7}
    for name, pj in adds.items():
        assert value(T45.add_energy_pj(name)) == pj
    for name, pj in muls.items():
        figure = T45.mul_energy_pj(name, name)
        assert value(figure) == pj
        assert figure.source == "Horowitz, ISSCC 2014, fig. 1.1.9 (45 nm, 0.9 V)"
    assert value(T45.mac_energy_pj("int8", "int8")) == pytest.approx(0.3)
    assert value(T45.mac_energy_pj("fp32", "fp32")) == pytest.approx(4.6)
    assert value(T45.mac_energy_pj("fp16", "fp16")) == pytest.approx(2.0)


def test_between_the_anchors_the_rules_hold_and_say_so() -> None:
    # Multipliers by the product of significands: 8 x 4 of 8 x 8 bits, 8 x 8 of 11 x 11.
    assert value(T45.mul_energy_pj("int8", "int4")) == pytest.approx(0.2 * 32 / 64)
    assert value(T45.mul_energy_pj("bf16", "bf16")) == pytest.approx(1.1 * 64 / 121)
    assert value(T45.add_energy_pj("int16")) == pytest.approx(0.03 + 0.07 / 3)
    assert "assumption" in T45.mul_energy_pj("int8", "int4").source
    # A shift instead of a product, an XNOR and a full adder instead of a multiply-accumulate.
    assert value(T45.mul_energy_pj("int8", "log2_4")) == 0.03
    assert value(T45.mac_energy_pj("binary", "binary")) == pytest.approx(0.2 / 64 + 0.03 / 8)


def test_narrower_formats_cost_less_in_energy_and_area() -> None:
    for order in (
        ("fp32", "fp16", "bf16", "fp8_e4m3", "fp4_e2m1"),
        ("int32", "int16", "int8", "int4", "ternary", "binary"),
    ):
        energies = [value(T45.mac_energy_pj(name, name)) for name in order]
        areas = [value(T45.mac_area_um2(name)) for name in order]
        assert energies == sorted(energies, reverse=True)
        assert areas == sorted(areas, reverse=True)


@pytest.mark.parametrize("node_nm", NODES_NM)
def test_every_operation_in_every_format_has_a_source(node_nm: int) -> None:
    technology = Technology(node_nm=node_nm)
    for name in FORMATS:
        for scalar_op in SCALAR_OPS:
            figure = technology.scalar_energy_pj(scalar_op, name)
            assert figure.unit == "pJ"
            assert value(figure) > 0
            assert "Horowitz" in figure.source
            assert (technology.scaling_source in figure.source) or node_nm == 45


def test_functions_cost_their_table_and_their_polynomial() -> None:
    table = value(T45.sram_access_pj(1024, 8))
    function = table + 2 * 3.7 + 2 * 0.9
    assert value(T45.scalar_energy_pj("exp", "fp32")) == pytest.approx(function)
    assert value(T45.scalar_energy_pj("div", "fp32")) == pytest.approx(function + 3.7)
    assert value(T45.scalar_energy_pj("pow", "fp32")) == pytest.approx(2 * function + 3.7)


def test_nodes_shrink_in_order() -> None:
    for factor in ("energy_factor", "area_factor"):
        row = [getattr(Technology(node_nm=n), factor) for n in NODES_NM]
        assert row[0] == 1.0
        assert row == sorted(row, reverse=True)


def test_scaling_agrees_with_the_authors_and_the_foundry() -> None:
    # The corrigendum of Stillmaker and Baas: 32 nm at 0.9 V has the energy factor 0.4571.
    assert scaling_rows()[32].energy == pytest.approx(0.4571, abs=5e-5)
    assert Technology(node_nm=7).area_factor == 0.059
    seven, five = Technology(node_nm=7), Technology(node_nm=5)
    assert seven.area_factor / five.area_factor == pytest.approx(1.84)
    assert five.energy_factor / seven.energy_factor == pytest.approx(0.70)
    assert Technology(node_nm=32).area_factor > Technology(node_nm=28).area_factor > 0.21
    assert "28 nm, log-log between 32 and 20 nm" in Technology(node_nm=28).scaling_source
    assert "TSMC" in five.scaling_source


def test_an_unknown_node_is_refused() -> None:
    with pytest.raises(UserError) as caught:
        Technology(node_nm=22)
    assert str(caught.value) == (
        "asked: technology.node_nm = 22\n"
        "found: no scaling factors for that node\n"
        "where: technology.node_nm\n"
        "next:  give one of 45, 32, 28, 20, 16, 14, 10, 7, 5"
    )


def test_sram_is_cacti_and_near_horowitz() -> None:
    for capacity, cacti_pj, horowitz_pj in ((8192, 6.137, 10), (32768, 17.042, 20), (1 << 20, 93.519, 100)):
        found = value(T45.sram_access_pj(capacity, 8))
        assert found == pytest.approx(cacti_pj)
        assert 0.5 < found / horowitz_pj < 1.1
        assert value(T45.sram_energy_pj_per_byte(capacity)) == pytest.approx(cacti_pj / 8)


def test_sram_grows_with_capacity_on_and_between_rows() -> None:
    capacities = [768 * 2**p for p in range(18)] + [1024 * 2**p for p in range(18)]
    for figure in (T45.sram_energy_pj_per_byte, T45.sram_area_um2, T45.sram_leakage_watts):
        row = [value(figure(c)) for c in sorted(capacities)]
        assert row == sorted(row)
    between, beyond = T45.sram_area_um2(3000), T45.sram_area_um2(1 << 28)
    assert "log-log between rows" in between.source
    assert "assumption: extrapolated" in beyond.source
    low, high = dict(sram_points()["area_mm2"])[2048], dict(sram_points()["area_mm2"])[4096]
    assert low < value(between) * 1e-6 < high


def test_the_synthesised_cell_is_within_twice_the_sum_of_its_operators() -> None:
    # A netlist by Yosys against Dally's multiplier and adder with flip-flops: two independent roads.
    synthesised = value(T45.mac_area_um2("int8", overlap="none"))
    assert 1000 * 0.798 < synthesised < 1400 * 0.798
    assert 0.5 < synthesised / value(T45.cell_operators_um2("int8")) < 2


def test_dram_without_a_source_is_unknown_and_says_why() -> None:
    assert value(T45.dram_energy_pj_per_byte("LPDDR4")) == 64.0
    figure = T45.dram_energy_pj_per_byte("GDDR7")
    assert figure.value is None
    assert figure.source == "no source for the energy of GDDR7"
    assert not figure.known


def test_every_kind_of_dram_has_an_energy_that_says_how_sure_it_is() -> None:
    # The energy of these two has no source: unknown.
    assert set(dram_pj_per_bit()) == set(DRAM_KINDS) - {"LPDDR5", "GDDR6"}
    for row in dram_pj_per_bit().values():
        assert re.search(r"; uncertainty [1-9]\d %$", row.source)


def test_the_energy_of_ddr4_follows_from_currents() -> None:
    # Micron's rule for data sheets: burst current over rate, a row's charge over its bits, refresh's share.
    volts, rate_bits = 1.2, 8 * 3.2e9  # one x8 device at 3200 Mb/s a pin
    burst = 0.168 * volts / rate_bits
    row_seconds, open_seconds = 46.25e-9, 32.5e-9  # tRC, tRAS
    standby = (0.052 * open_seconds + 0.037 * (row_seconds - open_seconds)) / row_seconds
    row = ((0.057 - standby) * volts + 0.003 * 2.5) * row_seconds / 8192  # VPP = 2.5 V; a row of 1 KiB
    refresh = (0.250 - 0.037) * volts * 350 / 7800 / rate_bits
    lines = 0.5 * volts**2 / (34 + 48) / 3.2e9 * 10 / 8  # half zeros; 8 data and 2 strobe lines
    parts_pj = [1e12 * part for part in (burst, row, refresh, lines)]
    assert parts_pj == pytest.approx([7.88, 0.11, 0.45, 3.43], abs=0.01)
    assert sum(parts_pj) == pytest.approx(value(dram_pj_per_bit()["DDR4"]), abs=0.05)


def test_sums_keep_sources_and_unknowns() -> None:
    one, two = Sourced(1.0, "pJ", "A"), Sourced(2.0, "pJ", "B").times(3.0, "thrice")
    assert total((one, two), "pJ") == Sourced(7.0, "pJ", "A + B; thrice")
    assert total((one, unknown("pJ", "nobody knows")), "pJ") == Sourced(None, "pJ", "nobody knows")
    assert unknown("pJ", "nobody knows").times(3.0, unit="J") == Sourced(None, "J", "nobody knows")
    with pytest.raises(ValueError, match="a sum in pJ has a term in W"):
        total((Sourced(1.0, "W", "A"),), "pJ")
    with pytest.raises(ValueError, match="needs a source"):
        Sourced(1.0, "pJ", "")
    with pytest.raises(ValueError, match="negative or not a number"):
        Sourced(float("nan"), "pJ", "A")


FAKE_CACTI = """#!/bin/sh
size=$(sed -n 's/^-size (bytes) //p' "$2")
cell=$(sed -n 's/^-Data array cell type - //p' "$2")
test "$cell" = '"itrs-lstp"' || exit 1
echo "    Access time (ns): 0.5"
echo "    Total dynamic read energy per access (nJ): 0.00$size"
echo "    Total dynamic write energy per access (nJ): 0.002"
echo "    Total leakage power of a bank (mW): 3.5e-05"
echo "    Total gate leakage power of a bank (mW): 1e-05"
echo "  Data array: Area (mm2): 0.04"
"""


def test_the_table_is_what_the_script_makes_of_cacti(tmp_path: Path) -> None:
    fake = tmp_path / "cacti"
    fake.write_text(FAKE_CACTI)
    fake.chmod(fake.stat().st_mode | stat.S_IEXEC)
    script = HERE / "regenerate_sram.py"
    done = subprocess.run([sys.executable, script, fake], capture_output=True, text=True, check=True)
    lines, committed = done.stdout.splitlines(), (HERE / "sram_45nm.csv").read_text().splitlines()
    assert lines[:7][:6] == committed[:6]
    assert lines[6] == "1024,64,1.024,2,3.5e-05,1e-05,0.04,0.5"
    assert len(lines) == len(committed)


def test_a_product_with_an_adaptive_logarithm_is_a_shift_and_a_factor() -> None:
    """An addition in the other operand's format, and a product of an 8-bit factor with it."""
    shift, factor = value(T45.mul_energy_pj("int8", "log2_4")), value(T45.mul_energy_pj("int8", "int4"))
    assert value(T45.mul_energy_pj("adalog20_4", "int8")) == pytest.approx(
        shift + value(T45.mul_energy_pj("int8", "int8"))
    )
    assert value(T45.mul_energy_pj("int4", "adalog20_4")) >= factor

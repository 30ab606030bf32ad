"""A design with a binary unit: products of one and two bits on it, by its law, all else elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import siliform as sf
from siliform.arch.accelerator import Accelerator
from siliform.arch.units.binary import BinaryUnit
from siliform.graph_ir.errors import UserError
from siliform.graph_ir.graph import Builder, Graph
from siliform.graph_ir.ops import OPS
from siliform.graph_ir.types import tensor
from siliform.simulator.widening import matrix_format

DESIGN = """
name = "bits"
clock_hz = "1 GHz"
native_bits = "w1a1"

[technology]
node_nm = 28

[units.binary]
rows = 4
columns = 16
width = 64
{more}
[units.vector]
lanes = 64

[units.special]
lanes = 16

[units.gather]
bytes_per_cycle = 64

[units.dma]
bytes_per_cycle = 64

[memories.scratchpad]
bytes = "256 KiB"
banks = 8 # a row of words and a column of them a cycle: (4 + 16) * 8 bytes
word_bytes = 64

[memories.dram]
type = "LPDDR4"
bandwidth_bytes_per_second = "25.6 GB/s"
"""

ARRAY = '\n[units.array]\nrows = 16\ncolumns = 16\nformats = ["int8", "bf16"]\n'


def chip(folder: Path, more: str = "", **overrides: object) -> Accelerator:
    """The design, other units behind the binary one."""
    path = folder / "bits.toml"
    path.write_text(DESIGN.format(more=more))
    return sf.accelerator(str(path), **overrides)


def product(first: str, second: str, m: int = 40, n: int = 50, k: int = 300) -> Graph:
    b = Builder("product")
    x, w = b.input("x", tensor(first, 1, m, k)), b.parameter("w", tensor(second, n, k))
    return b.finish(b(OPS["linear"], x, w))


def test_bert_of_one_bit_runs_on_it(tmp_path: Path) -> None:
    design = chip(tmp_path)
    report = sf.estimate(sf.trace("bert-base", seq=32), design, bits="w1a1")
    multiplying = [part for part in report.parts if part.macs]
    assert len(multiplying) == 12 * 7 + 1
    assert {part.unit.split("+")[0] for part in multiplying} == {"binary"}
    assert all(part.energy_j and part.cycles for part in report.parts)
    assert report.macs / report.cycles < report.peak_macs_per_cycle == 4 * 16 * 64
    in_int8 = sf.estimate(sf.trace("bert-base", seq=32), sf.accelerator("edge-16x16-gemmini"), bits="int8")
    weights = 12 * 12 * 768**2 + 768**2  # of the layers and the pooler; seven bits of each are gone
    assert in_int8.weight_bytes - report.weight_bytes == weights * 7 // 8


@pytest.mark.parametrize(
    ("first", "second"), [("binary", "binary"), ("binary01", "binary"), ("ternary", "ternary")]
)
def test_a_product_takes_its_law(tmp_path: Path, first: str, second: str) -> None:
    design = chip(tmp_path)
    unit = design.unit("binary")
    assert isinstance(unit, BinaryUnit)
    report = sf.estimate(product(first, second), design, bits="traced")
    (part,) = report.parts
    assert part.unit == "binary"
    assert part.compute_cycles == unit.product_cycles(40, 50, 300, (first, second))
    bits = 2 if first == "ternary" else 1
    assert part.dram_bytes == -(-40 * 300 * bits // 8) - (-50 * 300 * bits // 8) + 40 * 50 * 4
    assert part.mapping["tile_k"] == 300
    assert part.mapping["k"] == 300


def test_tiles_of_k_are_whole_words(tmp_path: Path) -> None:
    design = chip(tmp_path, **{"scratchpad.bytes": 16384})
    program = sf.compile(product("binary", "binary", 64, 64, 10_000), design, bits="traced")
    (loop,) = [loop for loop in program.blocks[0].loops if loop.dim == "k"]
    assert loop.extent == 10_000
    assert loop.tile < 10_000
    assert loop.tile % 64 == 0


def test_events_take_the_tiles_of_its_law(tmp_path: Path, make_block: Callable[..., Graph]) -> None:
    design, graph = chip(tmp_path), make_block(64, 128, 2)
    estimated, simulated = (f(graph, design, bits="w1a1") for f in (sf.estimate, sf.simulate))
    assert simulated.macs == estimated.macs
    assert simulated.cycles == pytest.approx(estimated.cycles, rel=0.05)
    b = Builder("large")
    x, w = b.input("x", tensor("binary", 256, 4096)), b.parameter("w", tensor("binary", 512, 4096))
    large = b.finish(b(OPS["linear"], x, w))
    estimated, simulated = (f(large, design, bits="traced") for f in (sf.estimate, sf.simulate))
    assert simulated.cycles == pytest.approx(estimated.cycles, rel=0.05)


def test_attention_multiplies_signs_by_signs_and_probabilities_of_zero_and_one(
    tmp_path: Path, make_block: Callable[..., Graph]
) -> None:
    program = sf.compile(make_block(64, 128, 2), chip(tmp_path), bits="w1a1")
    (block,) = [b for b in program.blocks if len([s for s in b.stages if hasattr(s, "formats")]) == 2]
    formats = [s.formats for s in block.stages if hasattr(s, "formats")]
    assert formats == [("binary", "binary"), ("binary01", "binary")]


def test_beside_an_array_each_takes_what_it_multiplies(tmp_path: Path) -> None:
    design = chip(tmp_path, ARRAY)
    for pair, unit in ((("binary", "binary"), "binary"), (("int8", "int8"), "array")):
        (part,) = sf.estimate(product(*pair), design, bits="traced").parts
        assert part.unit == unit
    # What neither multiplies is dequantised to what the array takes, however fast bits are counted.
    assert design.peak_macs_per_cycle("binary") > design.peak_macs_per_cycle("bf16")
    assert matrix_format(design.units) == "bf16"


def test_pairs_that_it_does_not_multiply_go_elsewhere_or_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError) as refused:
        sf.estimate(product("binary", "binary01"), chip(tmp_path), bits="traced")
    assert "binary multiplies binary x binary, binary01 x binary" in refused.value.found
    wide = sf.estimate(product("ternary@tensor", "binary@channel0"), chip(tmp_path), bits="traced")
    assert wide.parts[0].unit.split("+")[0] == "vector"


@pytest.mark.parametrize(
    ("more", "found"),
    [
        ("", "no systolic arrays and 1 other matrix units"),
        (ARRAY, "1 systolic arrays and 1 other matrix units"),
    ],
)
def test_a_population_needs_a_design_without_one(tmp_path: Path, more: str, found: str) -> None:
    with pytest.raises(UserError) as refused:
        sf.estimate_population(
            product("binary", "binary"), chip(tmp_path, more), {"scratchpad.bytes": [65536]}
        )
    assert refused.value.found.startswith(found)
    assert refused.value.next_step.endswith("or estimate designs one by one")

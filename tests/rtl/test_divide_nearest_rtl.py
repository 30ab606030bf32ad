"""The pipelined divider against the fixed-point helper: all small quotients, corners of wide ones, stalls."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from siliform.graph_ir.errors import UserError
from siliform.graph_ir.variants.fixed_point import divide_nearest
from siliform.rtl import common
from siliform.rtl.common.build import build
from siliform.rtl.common.design import Design, Field, Stream
from siliform.rtl.common.model import Model, Traffic, beats, values
from siliform.rtl.common.verilator import find_compiler, find_verilator

FOLDER = Path(common.__file__).parent
SOURCES = tuple(
    FOLDER / f"{name}.sv" for name in ("elastic", "divide_stage", "divide_round", "divide_nearest")
)


Widths = tuple[int, int, int, int, int, int]


def divider(widths: Widths) -> Design:
    """The divider with these widths, as streams of unsigned beats; the tag is 8 bits."""
    lanes, denominators, numerator, denominator, quotient, bits_a_stage = widths
    parameters = {
        "Lanes": lanes,
        "Denominators": denominators,
        "NumeratorWidth": numerator,
        "DenominatorWidth": denominator,
        "QuotientWidth": quotient,
        "BitsPerStage": bits_a_stage,
        "TagWidth": 8,
    }
    ports = ", ".join(f".{name}({size})" for name, size in parameters.items())
    top = f"""\
module divider (
  input  logic clk_i, rst_ni, x_valid_i, y_ready_i, output logic x_ready_o, y_valid_o,
  input  logic [{lanes}-1:0][{numerator}-1:0] numerator_i, input logic [{lanes}-1:0] halves_down_i,
  input  logic [{denominators}-1:0][{denominator}-1:0] denominator_i, input logic [7:0] tag_i,
  output logic [{lanes}-1:0][{quotient}-1:0] quotient_o, output logic [7:0] tag_o
);
  divide_nearest #({ports}) u_divide (
    .clk_i, .rst_ni, .valid_i(x_valid_i), .ready_o(x_ready_o), .valid_o(y_valid_o), .ready_i(y_ready_i),
    .numerator_i, .halves_down_i, .denominator_i, .tag_i, .quotient_o, .tag_o
  );
endmodule
"""
    streams = (
        Stream(
            "x",
            "in",
            (
                Field("numerator", lanes, numerator, signed=False),
                Field("halves_down", lanes, 1, signed=False),
                Field("denominator", denominators, denominator, signed=False),
                Field("tag", 1, 8, signed=False),
            ),
        ),
        Stream("y", "out", (Field("quotient", lanes, quotient, signed=False), Field("tag", 1, 8, False))),
    )
    return Design("divider", SOURCES, (), streams, generated=(("divider.sv", top),))


WIDTHS = {
    "every quotient of small numbers": (1, 1, 7, 4, 7, 1),
    "three bits a stage, rest of one": (1, 1, 7, 4, 7, 3),
    "all bits in one stage": (2, 1, 9, 5, 9, 9),
    "one bit over one bit": (1, 1, 1, 1, 1, 1),
    "a wide numerator, a narrow quotient": (4, 1, 49, 34, 16, 4),
    "a denominator for each lane": (3, 3, 40, 25, 16, 2),
    "a wide quotient": (1, 1, 52, 20, 52, 5),
}


@pytest.fixture(scope="module", autouse=True)
def tools() -> None:
    """Verilator and a compiler, or a skip that says what to install."""
    try:
        find_verilator(), find_compiler()
    except UserError as missing:
        pytest.skip(f"{missing.found}: {missing.next_step}")


def drawn(widths: Widths) -> tuple[np.ndarray, np.ndarray]:
    """Signed numerators [beats, lanes] and denominators [beats, denominators] whose quotients fit."""
    lanes, denominators, numerator, denominator, quotient, _ = widths
    generator = np.random.default_rng(sum(widths))
    if numerator + denominator <= 14:
        n, d = np.meshgrid(np.arange(-(2**numerator) + 1, 2**numerator), np.arange(1, 2**denominator))
        return np.repeat(n.reshape(-1, 1), lanes, axis=1), d.reshape(-1, 1)
    # All magnitudes of numbers alike often, exact halves and the greatest quotient among them.
    d = generator.integers(0, 2**denominator, (400, denominators))
    d = np.maximum(d >> generator.integers(0, denominator, d.shape), 1)
    most = np.minimum(2**numerator - 1, (2**quotient - 1) * d.astype(object)).astype(np.int64)
    n = generator.integers(0, most + 1, (400, lanes)) >> generator.integers(0, numerator, (400, lanes))
    half = np.minimum(generator.integers(0, most // d + 1, (400, lanes)) * d + (d + 1) // 2, most)
    n = np.where(generator.random(n.shape) < 0.3, half, n)
    n = np.where(generator.random(n.shape) < 0.1, most, n)
    return np.where(generator.random(n.shape) < 0.5, -n, n), d


def run(widths: Widths, stalls: dict[str, np.ndarray]) -> tuple[int, Traffic]:
    """Every quotient right, of magnitudes put back under their signs; the beats and what they took."""
    design = divider(widths)
    numerator, denominator = drawn(widths)
    fields = {
        "numerator": np.abs(numerator),
        "halves_down": numerator < 0,
        "denominator": denominator,
        "tag": np.arange(len(numerator)).reshape(-1, 1) % 251,
    }
    with Model(design, build(design)) as model:
        sent = {"x": beats(design.streams[0], {name: np.asarray(v, np.int64) for name, v in fields.items()})}
        traffic = model.run(sent, {"y": len(numerator)}, limit_cycles=40_000, stalls=stalls)
    found = values(design.streams[1], traffic.outputs["y"])
    signed = np.where(numerator < 0, -found["quotient"], found["quotient"])
    np.testing.assert_array_equal(signed, divide_nearest(numerator, denominator))
    np.testing.assert_array_equal(found["tag"], fields["tag"])
    return len(numerator), traffic


@pytest.mark.parametrize("case", WIDTHS)
def test_quotients_are_the_nearest_one_beat_a_cycle(case: str) -> None:
    widths = WIDTHS[case]
    count, traffic = run(widths, {})
    stages = -(-widths[-2] // widths[-1]) + 1
    assert traffic.cycles == count - 1 + stages


@pytest.mark.parametrize("case", ["three bits a stage, rest of one", "a wide numerator, a narrow quotient"])
def test_stalls_change_no_quotient_and_cost_no_more_than_themselves(case: str) -> None:
    widths = WIDTHS[case]
    generator = np.random.default_rng(5)
    count, traffic = run(widths, {"x": generator.random(1009) < 0.3, "y": generator.random(1009) < 0.5})
    law = count - 1 + -(-widths[-2] // widths[-1]) + 1
    assert law < traffic.cycles <= law + traffic.held_cycles


@pytest.mark.parametrize("case", WIDTHS)
def test_sources_are_clean_under_every_warning(case: str) -> None:
    assert divider(WIDTHS[case]).lint(find_verilator()) == ""

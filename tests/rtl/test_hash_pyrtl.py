"""What the hash engines have from PyRTL: in its own simulation, under lint, proved equal to forms by hand."""

from __future__ import annotations

import numpy as np
import pyrtl
import pytest

from siliform.graph_ir.errors import UserError
from siliform.graph_ir.variants.hashing import EXPONENT_WIDTH, HALF_POWERS, code_sums, half_power
from siliform.rtl.common import half_power as generated_power
from siliform.rtl.common.design import Design
from siliform.rtl.common.verilator import find_verilator
from siliform.rtl.hash.code_sum import code_sum_block, code_sum_verilog, sum_width
from siliform.rtl.synthesis.equivalence import prove_equivalent
from siliform.rtl.synthesis.yosys import find_yosys

SIZES = [(1, 2), (4, 6), (8, 15), (16, 25)]

SUM_BY_HAND = """
module sum_by_hand (
  input  logic [{bits}-1:0] code_i, input logic [{bits}-1:0][{width}-1:0] terms_i,
  input  logic [{width}-1:0] total_i, output logic [{made}-1:0] sum_o
);
  always_comb begin
    sum_o = {made}'($signed(total_i)) * {made}'({bits} + 1);
    for (int b = 0; b < {bits}; b++) begin
      if (code_i[b]) sum_o = sum_o + {made}'($signed(terms_i[b]));
      else sum_o = sum_o - {made}'($signed(terms_i[b]));
    end
  end
endmodule
"""

POWER_BY_HAND = """
module power_by_hand (input logic [16:0] exponent_i, output logic [16:0] power_o);
  logic [32:0][16:0] power;
  logic [17:0] fallen;
  assign power = {{ {powers} }};
  assign fallen = 18'(power[exponent_i[11:7]] - power[exponent_i[11:7] + 6'd1]) * 18'(exponent_i[6:0]);
  assign power_o = (power[exponent_i[11:7]] - 17'(fallen >> 7)) >> exponent_i[16:12];
endmodule
"""


def _power_by_hand() -> str:
    return POWER_BY_HAND.format(powers=", ".join(f"17'd{value}" for value in reversed(HALF_POWERS)))


def _need_yosys() -> None:
    try:
        find_yosys()
    except UserError as missing:
        pytest.skip(f"{missing.found}: {missing.next_step}")


def _simulated(block: pyrtl.Block, output: str, inputs: list[dict[str, int]]) -> list[int]:
    """What PyRTL's simulation gives for each of `inputs`."""
    simulation, found = pyrtl.FastSimulation(tracer=None, block=block), []
    for given in inputs:
        simulation.step(given)
        found.append(simulation.inspect(output))
    return found


def test_powers_are_those_of_the_reference() -> None:
    rng = np.random.default_rng(0)
    exponents = np.concatenate(
        [
            np.arange(0, 4097, 3),
            np.arange(0, 2**EXPONENT_WIDTH, 4096) + rng.integers(0, 4096, 32),
            rng.integers(0, 2**EXPONENT_WIDTH, 2000),
            [2**EXPONENT_WIDTH - 1],
        ]
    )
    found = _simulated(
        generated_power.half_power_block(), "power_o", [{"exponent_i": int(e)} for e in exponents]
    )
    assert found == half_power(exponents).tolist()


@pytest.mark.parametrize(("bits", "width"), SIZES)
def test_sums_are_those_of_the_reference(bits: int, width: int) -> None:
    """One query's numerator: `code_sums` of keys whose state is any numbers."""
    rng, low, inputs, wanted = np.random.default_rng(bits), -(2 ** (width - 1)), [], []
    for turn in range(200):
        corner = rng.choice([low, -low - 1, -1, 0], bits + 1)
        numbers = corner if turn % 3 == 0 else rng.integers(low, -low, bits + 1)
        code = np.zeros(bits, np.int64) if turn == 0 else rng.integers(0, 2, bits)
        packed = sum((int(v) % 2**width) << place * width for place, v in enumerate(numbers[:-1]))
        inputs.append(
            {
                "code_i": int((code << np.arange(bits)).sum()),
                "terms_i": packed,
                "total_i": int(numbers[-1]) % 2**width,
            }
        )
        wanted.append(int((2 * code - 1) @ numbers[:-1]) + (bits + 1) * int(numbers[-1]))
    made = sum_width(bits, width)
    found = _simulated(code_sum_block(bits, width), "sum_o", inputs)
    assert [v - (v >> made - 1 << made) for v in found] == wanted


def test_the_sum_reads_a_state_as_the_op_does() -> None:
    rng, bits, width = np.random.default_rng(1), 8, 20
    q, k, v = rng.choice([-1, 1], (5, bits)), rng.choice([-1, 1], (9, bits)), rng.integers(-128, 128, (9, 1))
    numerator, _ = code_sums(q, k, v)
    state = [*(k.T @ v)[:, 0], int(v.sum())]
    packed = sum((int(s) % 2**width) << place * width for place, s in enumerate(state[:-1]))
    inputs = [
        {
            "code_i": int(((row + 1) // 2 << np.arange(bits)).sum()),
            "terms_i": packed,
            "total_i": state[-1] % 2**width,
        }
        for row in q
    ]
    made = sum_width(bits, width)
    found = _simulated(code_sum_block(bits, width), "sum_o", inputs)
    assert [x - (x >> made - 1 << made) for x in found] == numerator[:, 0].tolist()


def test_generating_leaves_the_working_block_alone_and_repeats() -> None:
    before = pyrtl.working_block()
    texts = [code_sum_verilog(5, 7, "one"), code_sum_verilog(5, 7, "one")]
    powers = [generated_power.half_power_verilog() for _ in range(2)]
    assert pyrtl.working_block() is before
    assert not before.logic
    assert texts[0] == texts[1]
    assert powers[0] == powers[1]
    with pytest.raises(ValueError, match="a sum over 0 numbers of 7 bits"):
        code_sum_block(0, 7)


@pytest.mark.parametrize(("bits", "width"), SIZES)
def test_the_texts_are_clean_under_every_warning(bits: int, width: int) -> None:
    try:
        verilator = find_verilator()
    except UserError as missing:
        pytest.skip(f"{missing.found}: {missing.next_step}")
    for name, text in (
        ("s", code_sum_verilog(bits, width, "s")),
        ("half_power", generated_power.half_power_verilog()),
    ):
        assert Design(name, (), (), (), generated=((f"{name}.v", text),)).lint(verilator) == ""


# Wider sums take the solver minutes: adders in another order are hard for it.
@pytest.mark.parametrize(("bits", "width"), [(1, 4), (2, 6), (3, 4)])
def test_sums_are_proved_equal_to_a_form_by_hand(bits: int, width: int) -> None:
    _need_yosys()
    by_hand = SUM_BY_HAND.format(bits=bits, width=width, made=sum_width(bits, width))
    generated = code_sum_verilog(bits, width, "generated")
    assert prove_equivalent(by_hand, generated).equal
    assert not prove_equivalent(by_hand, generated.replace("~((code_i", "((code_i", 1)).equal


@pytest.mark.slow
def test_powers_are_proved_equal_to_a_form_by_hand() -> None:
    _need_yosys()
    generated = generated_power.half_power_verilog()
    assert prove_equivalent(_power_by_hand(), generated).equal
    assert not prove_equivalent(_power_by_hand(), generated.replace("(start - ", "(start + ")).equal

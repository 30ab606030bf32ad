"""A small unit that tests of the tools elaborate: running sums of rows, a beat a cycle."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np

from siliform.rtl.common.design import Design, Field, Stream
from siliform.rtl.common.unit import Case, HardwareUnit, Mutant, Shape

SOURCE = """\
module running_sum #(
  parameter int unsigned Lanes    = 2,
  parameter int unsigned Width    = 8,
  parameter bit          Negative = 1'b0
) (
  input  logic                        clk_i,
  input  logic                        rst_ni,
  input  logic                        x_valid_i,
  output logic                        x_ready_o,
  input  logic                        x_last_i,
  input  logic [Lanes-1:0][Width-1:0] x_i,
  output logic                        y_valid_o,
  input  logic                        y_ready_i,
  output logic [Lanes-1:0][Width-1:0] y_o
);

  logic valid_q, first_q;
  logic [Lanes-1:0][Width-1:0] sum_d, sum_q;

  assign x_ready_o = y_ready_i || !valid_q;
  assign y_valid_o = valid_q;
  assign y_o       = sum_q;

  always_comb begin : add
    for (int unsigned l = 0; l < Lanes; l++) begin
      sum_d[l] = (first_q ? '0 : sum_q[l]) + (Negative ? -x_i[l] : x_i[l]);
    end
  end

  always_ff @(posedge clk_i or negedge rst_ni) begin : control
    if (!rst_ni) begin
      valid_q <= 1'b0;
      first_q <= 1'b1;
    end else begin
      if (x_ready_o) valid_q <= x_valid_i;
      if (x_valid_i && x_ready_o) first_q <= x_last_i;
    end
  end

  always_ff @(posedge clk_i) begin : sums
    if (x_valid_i && x_ready_o) sum_q <= sum_d;
  end

endmodule
"""
MOST_ROWS, MOST_LENGTH = 6, 9


@dataclass(frozen=True)
class RunningSum(HardwareUnit):
    """Running sums of rows, `lanes` side by side, that wrap at `width` bits; `negative` subtracts."""

    kind: ClassVar[str] = "running_sum"
    source: ClassVar[str] = SOURCE

    lanes: int = 2
    width: int = 8
    negative: bool = False

    @property
    def name(self) -> str:
        return f"{self.lanes}x{self.width}{'-negative' if self.negative else ''}"

    def design(self) -> Design:
        parameters = (("Lanes", self.lanes), ("Width", self.width), ("Negative", int(self.negative)))
        last = Field("x_last", 1, 1, signed=False)
        streams = (
            Stream("x", "in", (last, Field("x", self.lanes, self.width))),
            Stream("y", "out", (Field("y", self.lanes, self.width),)),
        )
        return Design("running_sum", (), parameters, streams, generated=(("running_sum.sv", self.source),))

    @classmethod
    def elaborations(cls) -> Sequence[Self]:
        return (cls(), cls(3, 7, True), cls(1, 16), cls(5, 4), cls(4, 11, True))

    @classmethod
    def of_parameters(cls, parameters: Mapping[str, int]) -> Self:
        return cls(parameters["Lanes"], parameters["Width"], bool(parameters["Negative"]))

    def shape(self, generator: np.random.Generator) -> Shape:
        rows, length = generator.integers(1, (MOST_ROWS, MOST_LENGTH), endpoint=True)
        return {"rows": int(rows), "length": int(length)}

    def case(self, shape: Shape, generator: np.random.Generator) -> Case:
        rows, length = shape["rows"], shape["length"]
        low, high = -(2 ** (self.width - 1)), 2 ** (self.width - 1) - 1
        x = generator.integers(low, high, (rows, length, self.lanes), endpoint=True)
        last = np.zeros((rows, length, 1), np.int64)
        last[:, -1] = 1
        sums = np.cumsum(-x if self.negative else x, axis=1)
        wrapped = (sums - low) % 2**self.width + low
        beats = rows * length
        return Case(
            shape,
            {"x": {"x": x.reshape(beats, self.lanes), "x_last": last.reshape(beats, 1)}},
            {"y": {"y": wrapped.reshape(beats, self.lanes)}},
            law_cycles=beats,
            bins=frozenset({"one row"} if rows == 1 else {"rows"}),
        )

    def bins(self) -> frozenset[str]:
        return frozenset({"one row", "rows"})

    @classmethod
    def mutants(cls) -> Sequence[Mutant]:
        return (
            Mutant("a row never restarted", "running_sum.sv", "(first_q ? '0 : sum_q[l])", "sum_q[l]"),
            Mutant("a beat every other cycle", "running_sum.sv", "y_ready_i || !valid_q", "!valid_q"),
        )


@dataclass(frozen=True)
class WrongSum(RunningSum):
    """The same, told to compute another thing than its circuit does: every row but one-row cases fails."""

    kind: ClassVar[str] = "wrong_sum"
    source: ClassVar[str] = SOURCE.replace("(first_q ? '0 : sum_q[l])", "sum_q[l]")

// Delays lane i by i steps or, with Reverse set, by Lanes - 1 - i steps, in a triangle of registers.
//
// Nothing is reset: who sends a beat through also carries its valid bit.
module skew #(
  parameter int unsigned Lanes   = 4,
  parameter int unsigned Width   = 8,
  parameter bit          Reverse = 1'b0
) (
  input  logic                        clk_i,
  input  logic                        advance_i,
  input  logic [Lanes-1:0][Width-1:0] lanes_i,
  output logic [Lanes-1:0][Width-1:0] lanes_o
);

  // One step more than the longest delay, so that a single lane needs no case of its own; synthesis
  // removes what no output reads.
  logic [Lanes-1:0][Lanes-1:0][Width-1:0] past_q;

  always_ff @(posedge clk_i) begin : past
    // past_q[d] is what the lanes were d + 1 steps ago; the oldest falls off the left end.
    if (advance_i) past_q <= (Lanes * Lanes * Width)'({past_q, lanes_i});
  end

  always_comb begin : outputs
    for (int unsigned lane = 0; lane < Lanes; lane++) begin
      automatic int unsigned delay;
      delay = Reverse ? Lanes - 1 - lane : lane;
      lanes_o[lane] = delay == 0 ? lanes_i[lane] : past_q[delay-1][lane];
    end
  end

endmodule

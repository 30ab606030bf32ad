// Valid bits of an elastic pipeline: a beat moves on when the next register is free or empties.
//
// The registers themselves stand beside it: the s-th takes what the one before it holds (the 0-th what
// comes in) in the cycles in which bit s of `load_o` is set. `ready_i` reaches `ready_o` within the cycle.
module elastic #(
  parameter int unsigned Stages = 1
) (
  input  logic              clk_i,
  input  logic              rst_ni,
  input  logic              valid_i,
  output logic              ready_o,
  output logic              valid_o,
  input  logic              ready_i,
  output logic [Stages-1:0] load_o
);

  logic [Stages-1:0] valid_d, valid_q, incoming, free;

  assign incoming = Stages'({valid_q, valid_i});

  always_comb begin : flow
    free[Stages-1] = ready_i || !valid_q[Stages-1];
    for (int s = int'(Stages) - 2; s >= 0; s--) free[s] = free[s+1] || !valid_q[s];
  end

  assign valid_d = (free & incoming) | (~free & valid_q);

  always_ff @(posedge clk_i or negedge rst_ni) begin : valid
    if (!rst_ni) valid_q <= '0;
    else valid_q <= valid_d;
  end

  assign ready_o = free[0];
  assign valid_o = valid_q[Stages-1];
  assign load_o  = free & incoming;

endmodule

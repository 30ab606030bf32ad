// What goes beside the registers of an elastic pipeline unchanged: one register for each of its stages.
module elastic_delay #(
  parameter int unsigned Stages = 1,
  parameter int unsigned Width  = 1
) (
  input  logic              clk_i,
  // Of `elastic`.
  input  logic [Stages-1:0] load_i,
  input  logic [Width-1:0]  beat_i,
  output logic [Width-1:0]  beat_o
);

  logic [Stages:0][Width-1:0] place;
  logic [Stages-1:0][Width-1:0] beat_d, beat_q;

  assign place = {beat_q, beat_i};

  always_comb begin : step
    for (int unsigned s = 0; s < Stages; s++) beat_d[s] = load_i[s] ? place[s] : place[s+1];
  end

  always_ff @(posedge clk_i) begin : hold
    beat_q <= beat_d;
  end

  assign beat_o = beat_q[Stages-1];

endmodule

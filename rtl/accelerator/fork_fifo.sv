// One stream to several takers, each of which has a FIFO of its own and goes at its own pace.
module fork_fifo #(
  parameter int unsigned Width  = 8,
  parameter int unsigned Takers = 2,
  parameter int unsigned Depth  = 2
) (
  input  logic                         clk_i,
  input  logic                         rst_ni,
  input  logic                         in_valid_i,
  output logic                         in_ready_o,
  input  logic [Width-1:0]             in_i,
  output logic [Takers-1:0]            out_valid_o,
  input  logic [Takers-1:0]            out_ready_i,
  output logic [Takers-1:0][Width-1:0] out_o
);

  logic [Takers-1:0] ready;

  assign in_ready_o = &ready;

  for (genvar t = 0; t < Takers; t++) begin : gen_taker
    fifo #(.Width(Width), .Depth(Depth)) u_fifo (
      .clk_i, .rst_ni,
      .in_valid_i(in_valid_i && in_ready_o), .in_ready_o(ready[t]), .in_i,
      .out_valid_o(out_valid_o[t]), .out_ready_i(out_ready_i[t]), .out_o(out_o[t])
    );
  end

endmodule

// One elastic stage of a pipeline: a beat a cycle, one cycle later.
//
// The stage takes a beat when it is empty or empties in this cycle, so ready goes through it
// combinationally, from out_ready_i to in_ready_o. To cut that path too, use a `fifo` of depth 2.
module stream_register #(
  parameter int unsigned Width = 8
) (
  input  logic             clk_i,
  input  logic             rst_ni,
  input  logic             in_valid_i,
  output logic             in_ready_o,
  input  logic [Width-1:0] in_i,
  output logic             out_valid_o,
  input  logic             out_ready_i,
  output logic [Width-1:0] out_o
);

  logic valid_q;
  logic [Width-1:0] data_q;

  assign in_ready_o  = out_ready_i || !valid_q;
  assign out_valid_o = valid_q;
  assign out_o       = data_q;

  always_ff @(posedge clk_i or negedge rst_ni) begin : valid
    if (!rst_ni) valid_q <= 1'b0;
    else if (in_ready_o) valid_q <= in_valid_i;
  end

  always_ff @(posedge clk_i) begin : data
    if (in_valid_i && in_ready_o) data_q <= in_i;
  end

endmodule

// Holds the beats of a row until what is told about the row is there, then hands both over together.
//
// What is told stays until the row's last beat has left. Depth beats must hold the longest row, or its first
// beat would wait for the last for ever; with as many more as come in until a row's beats can leave, nothing
// ever waits for room.
module row_buffer #(
  parameter int unsigned Width     = 8,
  parameter int unsigned ToldWidth = 8,
  parameter int unsigned Depth     = 4
) (
  input  logic                 clk_i,
  input  logic                 rst_ni,
  input  logic                 in_valid_i,
  output logic                 in_ready_o,
  input  logic                 in_last_i,
  input  logic [Width-1:0]     in_i,
  input  logic                 told_valid_i,
  output logic                 told_ready_o,
  input  logic [ToldWidth-1:0] told_i,
  output logic                 out_valid_o,
  input  logic                 out_ready_i,
  output logic                 out_last_o,
  output logic [Width-1:0]     out_o,
  output logic [ToldWidth-1:0] told_o
);

  logic beat_valid;

  fifo #(.Width(Width + 1), .Depth(Depth)) u_beats (
    .clk_i, .rst_ni,
    .in_valid_i, .in_ready_o, .in_i({in_last_i, in_i}),
    .out_valid_o(beat_valid), .out_ready_i(told_valid_i && out_ready_i), .out_o({out_last_o, out_o})
  );

  assign out_valid_o  = beat_valid && told_valid_i;
  assign told_ready_o = beat_valid && out_ready_i && out_last_o;
  assign told_o       = told_i;

endmodule

// Rows beside their statistics: each beat comes out with its row's mean and deviation.
//
// Beats wait in a FIFO, which has room for the longest row and for what comes in while its statistics are
// made: with a beat in each cycle there is one out in each.
module norm_rows #(
  parameter int unsigned Lanes        = 4,
  parameter int unsigned MaxLength    = 64,
  parameter int unsigned ValueWidth   = 24,
  parameter int unsigned BitsPerStage = 1,
  parameter int unsigned RootWidth    = ValueWidth + 2,
  localparam int unsigned EpsWidth    = 32
) (
  input  logic                             clk_i,
  input  logic                             rst_ni,
  input  logic                             centre_i,
  input  logic [EpsWidth-1:0]              eps_i,
  input  logic                             x_valid_i,
  output logic                             x_ready_o,
  input  logic                             x_last_i,
  input  logic                             x_final_i,
  input  logic [Lanes-1:0]                 x_keep_i,
  input  logic [Lanes-1:0][ValueWidth-1:0] x_i,
  output logic                             row_valid_o,
  input  logic                             row_ready_i,
  output logic [Lanes+1:0]                 tag_o,  // last, final, keep
  output logic [Lanes-1:0][ValueWidth-1:0] row_o,
  output logic [ValueWidth:0]              mean_o,
  output logic [RootWidth-1:0]             deviation_o
);

  localparam int unsigned MaxBeats   = (MaxLength + Lanes - 1) / Lanes;
  localparam int unsigned Statistics = 3 + ((ValueWidth + 3) / 4 + 1) + 3 + ((2 * ValueWidth + 2) / 4 + 1)
                                     + (RootWidth + BitsPerStage - 1) / BitsPerStage;

  logic sums_ready, queue_ready, queued_valid, known_valid;

  // A beat goes to the statistics and into the FIFO together.
  assign x_ready_o = sums_ready && queue_ready;

  norm_statistics #(
    .Lanes(Lanes), .MaxLength(MaxLength), .ValueWidth(ValueWidth), .BitsPerStage(BitsPerStage),
    .RootWidth(RootWidth)
  ) u_statistics (
    .clk_i, .rst_ni, .centre_i, .eps_i,
    .x_valid_i(x_valid_i && queue_ready), .x_ready_o(sums_ready), .x_last_i, .x_keep_i, .x_i,
    .known_valid_o(known_valid), .known_ready_i(row_ready_i && queued_valid && tag_o[Lanes+1]),
    .mean_o, .deviation_o
  );

  fifo #(.Width(Lanes + 2 + Lanes * ValueWidth), .Depth(MaxBeats + Statistics)) u_rows (
    .clk_i, .rst_ni, .in_valid_i(x_valid_i && sums_ready), .in_ready_o(queue_ready),
    .in_i({x_last_i, x_final_i, x_keep_i, x_i}),
    .out_valid_o(queued_valid), .out_ready_i(row_ready_i && known_valid), .out_o({tag_o, row_o})
  );

  assign row_valid_o = queued_valid && known_valid;

endmodule

// Layer norms (with `centre`) and RMS norms of rows in fixed point: operands in Q.14, weights, biases and
// results in Q.12, eps in Q.28.
//
// A job is `rows` rows of one length, with one beat of settings and a row's beats of weights and biases. Rows
// wait in a FIFO for their statistics, which are pipelined: a beat goes in a cycle.
module norm #(
  parameter int unsigned Lanes         = 4,
  parameter int unsigned MaxLength     = 64,
  parameter int unsigned ValueWidth    = 24,  // 18 to 24
  parameter int unsigned BitsPerStage  = 1,
  localparam int unsigned AffineWidth  = 32,
  localparam int unsigned RowsWidth    = 24,
  localparam int unsigned EpsWidth     = 32
) (
  input  logic                              clk_i,
  input  logic                              rst_ni,
  input  logic                              settings_valid_i,
  output logic                              settings_ready_o,
  input  logic [RowsWidth-1:0]              rows_i,
  input  logic [EpsWidth-1:0]               eps_i,
  input  logic                              centre_i,
  input  logic                              affine_valid_i,
  output logic                              affine_ready_o,
  input  logic                              affine_last_i,
  input  logic [Lanes-1:0][AffineWidth-1:0] weight_i,
  input  logic [Lanes-1:0][AffineWidth-1:0] bias_i,
  input  logic                              x_valid_i,
  output logic                              x_ready_o,
  input  logic                              x_last_i,
  input  logic [Lanes-1:0]                  x_keep_i,
  input  logic [Lanes-1:0][ValueWidth-1:0]  x_i,
  output logic                              y_valid_o,
  input  logic                              y_ready_i,
  output logic                              y_last_o,
  output logic [Lanes-1:0]                  y_keep_o,
  output logic [Lanes-1:0][AffineWidth-1:0] y_o
);

  localparam int unsigned MaxBeats      = (MaxLength + Lanes - 1) / Lanes;
  localparam int unsigned RootWidth     = ValueWidth + 2;
  // No element is further from the mean than sqrt(MaxLength / 2) deviations of Q.16's least step.
  localparam int unsigned QuotientWidth = 16 + ($clog2(MaxLength) + 1) / 2;
  localparam int unsigned Statistics    = 3 + ((ValueWidth + 3) / 4 + 1) + 3 + ((2 * ValueWidth + 2) / 4 + 1)
                                        + (RootWidth + BitsPerStage - 1) / BitsPerStage;
  localparam int unsigned TagWidth      = Lanes + 2;

  logic start, open, last_row, entered, centre, known_valid, known_ready, sums_ready, queue_ready;
  logic queued_valid, queued_ready, pair_ready, normal_valid, normal_ready, y_final;
  logic [EpsWidth-1:0] eps;
  logic [TagWidth-1:0] queued_tag, normal_tag;
  logic [Lanes-1:0][ValueWidth-1:0] queued;
  logic [ValueWidth:0] mean;
  logic [RootWidth-1:0] deviation;
  logic [Lanes-1:0][QuotientWidth:0] normal;

  norm_job #(.RowsWidth(RowsWidth), .EpsWidth(EpsWidth)) u_job (
    .clk_i, .rst_ni, .settings_valid_i, .settings_ready_o, .rows_i, .eps_i, .centre_i,
    .eps_o(eps), .centre_o(centre), .begin_o(start), .open_o(open), .final_o(last_row),
    .row_i(entered && x_last_i), .done_i(y_valid_o && y_ready_i && y_final)
  );

  // A beat goes to the statistics and into the FIFO together.
  assign x_ready_o = open && sums_ready && queue_ready;
  assign entered   = x_valid_i && x_ready_o;

  norm_statistics #(
    .Lanes(Lanes), .MaxLength(MaxLength), .ValueWidth(ValueWidth), .BitsPerStage(BitsPerStage),
    .RootWidth(RootWidth)
  ) u_statistics (
    .clk_i, .rst_ni, .centre_i(centre), .eps_i(eps),
    .x_valid_i(x_valid_i && open && queue_ready), .x_ready_o(sums_ready), .x_last_i, .x_keep_i, .x_i,
    .known_valid_o(known_valid), .known_ready_i(known_ready), .mean_o(mean), .deviation_o(deviation)
  );

  // A row waits for its statistics, and the next ones come in meanwhile.
  fifo #(.Width(TagWidth + Lanes * ValueWidth), .Depth(MaxBeats + Statistics)) u_rows (
    .clk_i, .rst_ni, .in_valid_i(x_valid_i && open && sums_ready), .in_ready_o(queue_ready),
    .in_i({x_last_i, x_last_i && last_row, x_keep_i, x_i}),
    .out_valid_o(queued_valid), .out_ready_i(queued_ready), .out_o({queued_tag, queued})
  );

  assign queued_ready = pair_ready && known_valid;
  assign known_ready  = pair_ready && queued_valid && queued_tag[TagWidth-1];

  norm_lanes #(
    .Lanes(Lanes), .ValueWidth(ValueWidth), .RootWidth(RootWidth), .QuotientWidth(QuotientWidth),
    .BitsPerStage(BitsPerStage), .TagWidth(TagWidth)
  ) u_lanes (
    .clk_i, .rst_ni, .x_valid_i(queued_valid && known_valid), .x_ready_o(pair_ready), .x_i(queued),
    .mean_i(mean), .deviation_i(deviation), .tag_i(queued_tag),
    .normal_valid_o(normal_valid), .normal_ready_i(normal_ready), .normal_o(normal), .tag_o(normal_tag)
  );

  norm_affine #(
    .Lanes(Lanes), .MaxBeats(MaxBeats), .NormalWidth(QuotientWidth + 1), .TagWidth(TagWidth)
  ) u_affine (
    .clk_i, .rst_ni, .begin_i(start), .affine_valid_i, .affine_ready_o, .affine_last_i, .weight_i, .bias_i,
    .normal_valid_i(normal_valid), .normal_ready_o(normal_ready), .normal_last_i(normal_tag[TagWidth-1]),
    .normal_i(normal), .tag_i(normal_tag), .y_valid_o, .y_ready_i, .y_o,
    .tag_o({y_last_o, y_final, y_keep_o})
  );

endmodule

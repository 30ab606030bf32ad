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
  localparam int unsigned TagWidth      = Lanes + 2;  // last, final, keep

  logic start, open, last_row, x_free, centre, row_valid, row_ready, whole, normal_valid, normal_ready, y_final;
  logic [EpsWidth-1:0] eps;
  logic [TagWidth-1:0] row_tag, normal_tag;
  logic [Lanes-1:0][ValueWidth-1:0] row;
  logic [ValueWidth:0] mean;
  logic [RootWidth-1:0] deviation;
  logic [Lanes-1:0][QuotientWidth:0] normal;
  logic [Lanes-1:0][AffineWidth-1:0] weight, bias;

  assign x_ready_o = open && x_free;

  norm_job #(.RowsWidth(RowsWidth), .EpsWidth(EpsWidth)) u_job (
    .clk_i, .rst_ni, .settings_valid_i, .settings_ready_o, .rows_i, .eps_i, .centre_i,
    .eps_o(eps), .centre_o(centre), .begin_o(start), .open_o(open), .final_o(last_row),
    .row_i(x_valid_i && x_ready_o && x_last_i), .done_i(y_valid_o && y_ready_i && y_final)
  );

  norm_rows #(
    .Lanes(Lanes), .MaxLength(MaxLength), .ValueWidth(ValueWidth), .BitsPerStage(BitsPerStage),
    .RootWidth(RootWidth)
  ) u_rows (
    .clk_i, .rst_ni, .centre_i(centre), .eps_i(eps),
    .x_valid_i(x_valid_i && open), .x_ready_o(x_free), .x_last_i, .x_final_i(x_last_i && last_row), .x_keep_i,
    .x_i, .row_valid_o(row_valid), .row_ready_i(row_ready), .tag_o(row_tag), .row_o(row), .mean_o(mean),
    .deviation_o(deviation)
  );

  norm_lanes #(
    .Lanes(Lanes), .ValueWidth(ValueWidth), .RootWidth(RootWidth), .QuotientWidth(QuotientWidth),
    .BitsPerStage(BitsPerStage), .TagWidth(TagWidth)
  ) u_lanes (
    .clk_i, .rst_ni, .x_valid_i(row_valid), .x_ready_o(row_ready), .x_i(row), .mean_i(mean),
    .deviation_i(deviation), .tag_i(row_tag),
    .normal_valid_o(normal_valid), .normal_ready_i(normal_ready), .normal_o(normal), .tag_o(normal_tag)
  );

  norm_weights #(.Lanes(Lanes), .MaxBeats(MaxBeats), .Width(AffineWidth)) u_weights (
    .clk_i, .rst_ni, .begin_i(start), .affine_valid_i, .affine_ready_o, .affine_last_i, .weight_i, .bias_i,
    .whole_o(whole), .weight_o(weight), .bias_o(bias),
    .read_i(normal_valid && normal_ready), .last_i(normal_tag[TagWidth-1])
  );

  norm_affine #(
    .Lanes(Lanes), .NormalWidth(QuotientWidth + 1), .Width(AffineWidth), .TagWidth(TagWidth)
  ) u_affine (
    .clk_i, .rst_ni, .whole_i(whole), .weight_i(weight), .bias_i(bias),
    .normal_valid_i(normal_valid), .normal_ready_o(normal_ready), .normal_i(normal), .tag_i(normal_tag),
    .y_valid_o, .y_ready_i, .y_o, .tag_o({y_last_o, y_final, y_keep_o})
  );

endmodule

// Each row's mean (Q.14) and deviation (Q.16), in the order of the rows, a row every so many cycles as it has
// beats: sums, mean, variance to nearest plus eps (Q.28), its root. A deviation is at least one step.
module norm_statistics #(
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
  input  logic [Lanes-1:0]                 x_keep_i,
  input  logic [Lanes-1:0][ValueWidth-1:0] x_i,
  output logic                             known_valid_o,
  input  logic                             known_ready_i,
  output logic [ValueWidth:0]              mean_o,
  output logic [RootWidth-1:0]             deviation_o
);

  localparam int unsigned CountWidth    = $clog2(MaxLength + 1);
  localparam int unsigned SumWidth      = ValueWidth + CountWidth;
  localparam int unsigned VarianceWidth = 2 * ValueWidth - 1;
  localparam int unsigned SquaresWidth  = VarianceWidth + CountWidth;

  logic row_valid, row_ready, about_valid, about_ready, variance_valid, variance_ready;
  logic [SumWidth-1:0] sum;
  logic [SquaresWidth-1:0] squares, about;
  logic [CountWidth-1:0] count, number;
  logic [ValueWidth:0] mean, mean_beside;
  logic [VarianceWidth-1:0] variance;
  logic [RootWidth-1:0] root;

  norm_sums #(
    .Lanes(Lanes), .ValueWidth(ValueWidth), .CountWidth(CountWidth), .SumWidth(SumWidth),
    .SquaresWidth(SquaresWidth)
  ) u_sums (
    .clk_i, .rst_ni, .x_valid_i, .x_ready_o, .x_last_i, .x_keep_i, .x_i,
    .row_valid_o(row_valid), .row_ready_i(row_ready), .sum_o(sum), .squares_o(squares), .count_o(count)
  );

  norm_mean #(
    .ValueWidth(ValueWidth), .CountWidth(CountWidth), .SumWidth(SumWidth), .SquaresWidth(SquaresWidth)
  ) u_mean (
    .clk_i, .rst_ni, .centre_i,
    .row_valid_i(row_valid), .row_ready_o(row_ready), .sum_i(sum), .squares_i(squares), .count_i(count),
    .about_valid_o(about_valid), .about_ready_i(about_ready),
    .mean_o(mean), .squares_o(about), .count_o(number)
  );

  divide_nearest #(
    .NumeratorWidth(SquaresWidth), .DenominatorWidth(CountWidth), .QuotientWidth(VarianceWidth),
    .BitsPerStage(4), .TagWidth(ValueWidth + 1)
  ) u_variance (
    .clk_i, .rst_ni, .valid_i(about_valid), .ready_o(about_ready),
    .numerator_i(about), .halves_down_i(1'b0), .denominator_i(number), .tag_i(mean),
    .valid_o(variance_valid), .ready_i(variance_ready), .quotient_o(variance), .tag_o(mean_beside)
  );

  // Four bits behind the variance, Q.28, give its root two more, Q.16.
  square_root #(.RootWidth(RootWidth), .BitsPerStage(BitsPerStage), .TagWidth(ValueWidth + 1)) u_root (
    .clk_i, .rst_ni, .valid_i(variance_valid), .ready_o(variance_ready),
    .radicand_i({(2 * ValueWidth)'(variance) + (2 * ValueWidth)'(eps_i), 4'b0}), .tag_i(mean_beside),
    .valid_o(known_valid_o), .ready_i(known_ready_i), .root_o(root), .tag_o(mean_o)
  );

  assign deviation_o = root == '0 ? RootWidth'(1) : root;

endmodule

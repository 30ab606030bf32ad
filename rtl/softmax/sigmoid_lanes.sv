// sigmoid(x), element by element: the softmax of x beside a zero, whose sum is one and one exponential.
//
// The exponential is of -|x|; one, which is what the greater of the two scores has, lies above the bar where
// x is not negative and that exponential where it is. A divider in every lane. Last and keep go beside.
module sigmoid_lanes #(
  parameter int unsigned Lanes        = 4,
  parameter bit          Polynomial   = 1'b0,
  parameter int unsigned BitsPerStage = 1
) (
  input  logic                                             clk_i,
  input  logic                                             rst_ni,
  input  logic                                             x_valid_i,
  output logic                                             x_ready_o,
  input  logic                                             x_last_i,
  input  logic [Lanes-1:0]                                 x_keep_i,
  input  logic [Lanes-1:0][softmax_pkg::ScoreWidth-1:0]    x_i,
  output logic                                             y_valid_o,
  input  logic                                             y_ready_i,
  output logic                                             y_last_o,
  output logic [Lanes-1:0]                                 y_keep_o,
  output logic [Lanes-1:0][softmax_pkg::ProbabilityBits:0] y_o
);

  localparam int unsigned GrownWidth = Polynomial ? softmax_pkg::SquareWidth + 1 : softmax_pkg::PowerWidth;
  localparam logic [GrownWidth-1:0] One = GrownWidth'(
    Polynomial ? softmax_pkg::PolynomialOne : {1'b0, softmax_pkg::Base2One}
  );

  logic grown_valid, grown_ready, pair_valid, pair_ready, grown_last, pair_last;
  logic [Lanes-1:0] far, negative, grown_negative, grown_keep, pair_keep;
  logic [Lanes-1:0][softmax_pkg::ScoreWidth-1:0] size;
  logic [Lanes-1:0][softmax_pkg::BelowWidth-1:0] below;
  logic [Lanes-1:0][GrownWidth-1:0] grown, above_d, above;
  logic [Lanes-1:0][GrownWidth:0] total_d, total;
  logic [Lanes-1:0][GrownWidth+softmax_pkg::ProbabilityBits-1:0] numerator;

  always_comb begin : operands
    for (int unsigned l = 0; l < Lanes; l++) begin
      negative[l]  = x_i[l][softmax_pkg::ScoreWidth-1];
      size[l]      = negative[l] ? -x_i[l] : x_i[l];  // unsigned: 2**31 too
      far[l]       = |size[l][softmax_pkg::ScoreWidth-1:softmax_pkg::BelowWidth];
      below[l]     = far[l] ? '1 : size[l][softmax_pkg::BelowWidth-1:0];
      above_d[l]   = grown_negative[l] ? grown[l] : One;
      total_d[l]   = {1'b0, grown[l]} + {1'b0, One};
      numerator[l] = {above[l], {softmax_pkg::ProbabilityBits{1'b0}}};
    end
  end

  exponential_lanes #(
    .Lanes(Lanes), .Polynomial(Polynomial), .GrownWidth(GrownWidth), .TagWidth(2 * Lanes + 1)
  ) u_exponentials (
    .clk_i, .rst_ni, .valid_i(x_valid_i), .ready_o(x_ready_o), .below_i(below),
    .tag_i({x_last_i, x_keep_i, negative}),
    .valid_o(grown_valid), .ready_i(grown_ready), .grown_o(grown),
    .tag_o({grown_last, grown_keep, grown_negative})
  );

  stream_register #(.Width(Lanes * (2 * GrownWidth + 2) + 1)) u_pair (
    .clk_i, .rst_ni,
    .in_valid_i(grown_valid), .in_ready_o(grown_ready), .in_i({grown_last, grown_keep, above_d, total_d}),
    .out_valid_o(pair_valid), .out_ready_i(pair_ready), .out_o({pair_last, pair_keep, above, total})
  );

  divide_nearest #(
    .Lanes(Lanes), .Denominators(Lanes), .NumeratorWidth(GrownWidth + softmax_pkg::ProbabilityBits),
    .DenominatorWidth(GrownWidth + 1), .QuotientWidth(softmax_pkg::ProbabilityBits + 1),
    .BitsPerStage(BitsPerStage), .TagWidth(Lanes + 1)
  ) u_divide (
    .clk_i, .rst_ni, .valid_i(pair_valid), .ready_o(pair_ready),
    .numerator_i(numerator), .halves_down_i('0), .denominator_i(total), .tag_i({pair_last, pair_keep}),
    .valid_o(y_valid_o), .ready_i(y_ready_i), .quotient_o(y_o), .tag_o({y_last_o, y_keep_o})
  );

endmodule

// Numerators by a positive denominator in Q.8, to nearest, halves upwards: magnitudes are divided.
module hash_quotient #(
  parameter int unsigned Lanes            = 4,
  parameter int unsigned NumeratorWidth   = 25,
  parameter int unsigned DenominatorWidth = 18
) (
  input  logic                                 clk_i,
  input  logic                                 rst_ni,
  input  logic                                 sum_valid_i,
  output logic                                 sum_ready_o,
  input  logic [Lanes-1:0][NumeratorWidth-1:0] numerator_i,
  input  logic [DenominatorWidth-1:0]          denominator_i,
  output logic                                 y_valid_o,
  input  logic                                 y_ready_i,
  output logic [Lanes-1:0][15:0]               y_o
);

  logic [Lanes-1:0] negative, negative_q;
  logic [Lanes-1:0][NumeratorWidth+7:0] grown;
  logic [Lanes-1:0][15:0] quotient;

  always_comb begin : magnitudes
    for (int unsigned l = 0; l < Lanes; l++) begin
      negative[l] = numerator_i[l][NumeratorWidth-1];
      grown[l]    = {negative[l] ? -numerator_i[l] : numerator_i[l], 8'b0};
      y_o[l]      = negative_q[l] ? -quotient[l] : quotient[l];
    end
  end

  divide_nearest #(
    .Lanes(Lanes), .NumeratorWidth(NumeratorWidth + 8), .DenominatorWidth(DenominatorWidth),
    .QuotientWidth(16), .BitsPerStage(2), .TagWidth(Lanes)
  ) u_divide (
    .clk_i, .rst_ni,
    .valid_i(sum_valid_i), .ready_o(sum_ready_o), .numerator_i(grown), .halves_down_i(negative),
    .denominator_i, .tag_i(negative),
    .valid_o(y_valid_o), .ready_i(y_ready_i), .quotient_o(quotient), .tag_o(negative_q)
  );

endmodule

// The last register of a division to nearest: the quotient, and one more where the remainder is half the
// denominator or above (above, where halves go down).
module divide_round #(
  parameter int unsigned Lanes            = 1,
  parameter int unsigned Denominators     = 1,
  parameter int unsigned DenominatorWidth = 8,
  parameter int unsigned QuotientWidth    = 16,
  parameter int unsigned TagWidth         = 1
) (
  input  logic                                                 clk_i,
  input  logic                                                 load_i,
  // The remainder above, the quotient below.
  input  logic [Lanes-1:0][DenominatorWidth+QuotientWidth-1:0] state_i,
  input  logic [Denominators-1:0][DenominatorWidth-1:0]        denominator_i,
  input  logic [Lanes-1:0]                                     halves_down_i,
  input  logic [TagWidth-1:0]                                  tag_i,
  output logic [Lanes-1:0][QuotientWidth-1:0]                  quotient_o,
  output logic [TagWidth-1:0]                                  tag_o
);

  logic [Lanes-1:0] above;
  logic [Lanes-1:0][QuotientWidth-1:0] quotient_d, quotient_q;
  logic [TagWidth-1:0] tag_q;

  always_comb begin : nearest
    for (int unsigned l = 0; l < Lanes; l++) begin
      // Both sides carry a bit below the ones, which makes "at least" an "above" where it is set on the right.
      above[l] = {state_i[l][QuotientWidth+:DenominatorWidth], 2'b0} >=
                 {1'b0, denominator_i[l % Denominators], halves_down_i[l]};
      quotient_d[l] = state_i[l][QuotientWidth-1:0] + QuotientWidth'(above[l]);
    end
  end

  always_ff @(posedge clk_i) begin : hold
    if (load_i) begin
      quotient_q <= quotient_d;
      tag_q      <= tag_i;
    end
  end

  assign quotient_o = quotient_q;
  assign tag_o      = tag_q;

endmodule

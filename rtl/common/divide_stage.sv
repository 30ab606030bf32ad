// A register of a division with some bits before it: each bit shifts the next one of the numerator into the
// remainder and subtracts the denominator where it fits.
//
// A state holds the remainder above the bits that are not divided yet and, behind those, the bits of the
// quotient that are known; a remainder less than the denominator stays so. The tag goes beside.
module divide_stage #(
  parameter int unsigned Lanes            = 1,
  parameter int unsigned Denominators     = 1,
  parameter int unsigned DenominatorWidth = 8,
  parameter int unsigned QuotientWidth    = 8,
  parameter int unsigned Bits             = 1,
  parameter int unsigned TagWidth         = 1
) (
  input  logic                                                 clk_i,
  input  logic                                                 load_i,
  input  logic [Lanes-1:0][DenominatorWidth+QuotientWidth-1:0] state_i,
  input  logic [Denominators-1:0][DenominatorWidth-1:0]        denominator_i,
  input  logic [TagWidth-1:0]                                  tag_i,
  output logic [Lanes-1:0][DenominatorWidth+QuotientWidth-1:0] state_o,
  output logic [Denominators-1:0][DenominatorWidth-1:0]        denominator_o,
  output logic [TagWidth-1:0]                                  tag_o
);

  localparam int unsigned Width = DenominatorWidth + QuotientWidth;

  logic [Lanes-1:0][Width-1:0] state_d, state_q;
  logic [Denominators-1:0][DenominatorWidth-1:0] denominator_q;
  logic [TagWidth-1:0] tag_q;
  logic [Width-1:0] lane;
  logic [DenominatorWidth:0] less;

  always_comb begin : divide
    lane = '0;
    less = '0;
    for (int unsigned l = 0; l < Lanes; l++) begin
      lane = state_i[l];
      for (int unsigned i = 0; i < Bits; i++) begin
        less = lane[Width-1-:DenominatorWidth+1] - {1'b0, denominator_i[l % Denominators]};
        lane = lane << 1;
        // A borrow sets the top bit of `less`: then the remainder stays, and this bit of the quotient is 0.
        if (!less[DenominatorWidth]) begin
          lane[Width-1-:DenominatorWidth] = less[DenominatorWidth-1:0];
          lane[0] = 1'b1;
        end
      end
      state_d[l] = lane;
    end
  end

  always_ff @(posedge clk_i) begin : hold
    if (load_i) begin
      state_q       <= state_d;
      denominator_q <= denominator_i;
      tag_q         <= tag_i;
    end
  end

  assign state_o       = state_q;
  assign denominator_o = denominator_q;
  assign tag_o         = tag_q;

endmodule

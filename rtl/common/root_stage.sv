// A register of a square root with some of its bits before it: each brings the next two bits of the radicand
// down to the remainder, and subtracts the root so far with a one behind it where that fits.
//
// A remainder is at most twice the root. The tag goes beside.
module root_stage #(
  parameter int unsigned RootWidth = 8,
  parameter int unsigned Bits      = 1,
  parameter int unsigned TagWidth  = 1
) (
  input  logic                   clk_i,
  input  logic                   load_i,
  // What is left of the radicand, at the left end.
  input  logic [2*RootWidth-1:0] radicand_i,
  input  logic [  RootWidth+1:0] remainder_i,
  input  logic [  RootWidth-1:0] root_i,
  input  logic [   TagWidth-1:0] tag_i,
  output logic [2*RootWidth-1:0] radicand_o,
  output logic [  RootWidth+1:0] remainder_o,
  output logic [  RootWidth-1:0] root_o,
  output logic [   TagWidth-1:0] tag_o
);

  logic [2*RootWidth-1:0] radicand_d, radicand_q;
  logic [RootWidth+1:0] remainder_d, remainder_q, less;
  logic [RootWidth-1:0] root_d, root_q;
  logic [TagWidth-1:0] tag_q;

  always_comb begin : extract
    {radicand_d, remainder_d, root_d} = {radicand_i, remainder_i, root_i};
    less = '0;
    for (int unsigned i = 0; i < Bits; i++) begin
      remainder_d = {remainder_d[RootWidth-1:0], radicand_d[2*RootWidth-1-:2]};
      radicand_d  = radicand_d << 2;
      less        = {root_d, 2'b01};
      root_d      = root_d << 1;
      if (remainder_d >= less) begin
        remainder_d = remainder_d - less;
        root_d[0]   = 1'b1;
      end
    end
  end

  always_ff @(posedge clk_i) begin : hold
    if (load_i) {radicand_q, remainder_q, root_q, tag_q} <= {radicand_d, remainder_d, root_d, tag_i};
  end

  assign {radicand_o, remainder_o, root_o, tag_o} = {radicand_q, remainder_q, root_q, tag_q};

endmodule

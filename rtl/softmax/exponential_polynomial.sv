// exp(-below) in steps of 0.3585 * 2**-24, below in Q.12: a square on (-ln 2, 0] and its shift.
// Five registers.
module exponential_polynomial (
  input  logic                               clk_i,
  input  logic [4:0]                         load_i,
  input  logic [softmax_pkg::BelowWidth-1:0] below_i,
  output logic [softmax_pkg::SquareWidth:0]  grown_o
);

  localparam int unsigned HalvingsWidth = 6;

  logic [softmax_pkg::BelowWidth+softmax_pkg::InverseWidth-1:0] scaled;
  logic [HalvingsWidth-1:0] halvings_d;
  logic [3:0][HalvingsWidth-1:0] halvings_q;
  logic [softmax_pkg::Ln2Width-1:0] below_q, rest;
  logic [softmax_pkg::TurnWidth-1:0] shifted, shifted_q;
  logic [softmax_pkg::SquareWidth-1:0] square, square_q;
  logic [softmax_pkg::SquareWidth:0] sum, sum_q, grown_q;

  // below / ln 2, exact: the inverse is rounded upwards, and by little enough for every value of below.
  assign scaled     = below_i * softmax_pkg::InverseLn2;
  assign halvings_d = HalvingsWidth'(scaled >> softmax_pkg::InverseBits);
  // Less than ln 2, so that higher bits need not be kept.
  assign rest       = below_q - softmax_pkg::Ln2Width'(halvings_q[0]) * softmax_pkg::Ln2;
  assign shifted    = softmax_pkg::Turn - softmax_pkg::TurnWidth'(rest);
  assign square     = shifted_q * shifted_q;
  assign sum        = {1'b0, square_q} + softmax_pkg::Offset;

  always_ff @(posedge clk_i) begin : stages
    if (load_i[0]) {halvings_q[0], below_q} <= {halvings_d, below_i[softmax_pkg::Ln2Width-1:0]};
    if (load_i[1]) {halvings_q[1], shifted_q} <= {halvings_q[0], shifted};
    if (load_i[2]) {halvings_q[2], square_q} <= {halvings_q[1], square};
    if (load_i[3]) {halvings_q[3], sum_q} <= {halvings_q[2], sum};
    if (load_i[4]) grown_q <= sum_q >> halvings_q[3];
  end

  assign grown_o = grown_q;

endmodule

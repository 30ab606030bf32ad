// 2**-(value * log2 e) = exp(-value) as a power in (1/2, 1], Q.24, to be halved `whole` times; value Q.12.
//
// Four registers, which `elastic` beside it loads: the product by log2 e, its rounding half to even, the
// look-up of a chord, the chord. Two's complement in, and `whole` likewise.
module power_of_two #(
  parameter int unsigned Width      = 18,
  localparam int unsigned WholeWidth = Width + 1 - softmax_pkg::ScoreBits
) (
  input  logic                               clk_i,
  input  logic [3:0]                         load_i,
  input  logic [Width-1:0]                   value_i,
  output logic [softmax_pkg::PowerWidth-1:0] power_o,
  output logic [WholeWidth-1:0]              whole_o
);

  localparam int unsigned ProductWidth = Width + softmax_pkg::Log2EWidth + 1;
  localparam int unsigned RestBits     = softmax_pkg::ScoreBits - softmax_pkg::SegmentBits;

  logic [ProductWidth-1:0] product_q, rounded;
  logic [Width:0] exponent_q;
  logic [softmax_pkg::PowerWidth-1:0] power, power_q, chord_q;
  logic [softmax_pkg::FallWidth-1:0] fall, fall_q;
  logic [RestBits-1:0] rest_q;
  logic [softmax_pkg::FallWidth+RestBits-1:0] fallen;
  logic [1:0][WholeWidth-1:0] whole_q;

  shift_round_even #(.InWidth(ProductWidth), .OutWidth(ProductWidth), .PlacesWidth(4)) u_round (
    .value_i(product_q), .places_i(4'(softmax_pkg::Log2EBits)), .value_o(rounded)
  );

  power_table u_table (
    .segment_i(exponent_q[softmax_pkg::ScoreBits-1-:softmax_pkg::SegmentBits]), .power_o(power), .fall_o(fall)
  );

  assign fallen = fall_q * rest_q;

  always_ff @(posedge clk_i) begin : stages
    if (load_i[0]) product_q <= $signed(value_i) * $signed({1'b0, softmax_pkg::Log2E});
    if (load_i[1]) exponent_q <= rounded[Width:0];
    if (load_i[2]) {power_q, fall_q, rest_q} <= {power, fall, exponent_q[RestBits-1:0]};
    if (load_i[2]) whole_q[0] <= exponent_q[Width:softmax_pkg::ScoreBits];
    if (load_i[3]) chord_q <= power_q - softmax_pkg::PowerWidth'(fallen >> RestBits);
    if (load_i[3]) whole_q[1] <= whole_q[0];
  end

  assign power_o = chord_q;
  assign whole_o = whole_q[1];

  // log2 e is less than 2: the exponent has one bit more than the value.
  logic unused;
  assign unused = ^rounded[ProductWidth-1:Width+1];

endmodule

// One lane's step: decay * state, rounded half to even to the state's steps, plus drive, saturated.
//
// Steps - 1 registers lie in it: behind the product, and behind the rounding if there are two.
module scan_lane #(
  parameter int unsigned DecayWidth    = 16,
  parameter int unsigned DecayFraction = 14,
  parameter int unsigned Width         = 32,
  parameter int unsigned Steps         = 2
) (
  input  logic                         clk_i,
  input  logic                         advance_i,
  input  logic signed [DecayWidth-1:0] decay_i,
  input  logic signed [     Width-1:0] state_i,
  input  logic signed [     Width-1:0] drive_i,
  output logic signed [     Width-1:0] state_o
);

  localparam int unsigned ProductWidth = DecayWidth + Width;
  localparam int unsigned RoundedWidth = ProductWidth - DecayFraction + 1;
  localparam int unsigned SumWidth     = ProductWidth + 1;
  localparam int unsigned PlacesWidth  = $clog2(DecayFraction + 1);

  logic signed [ProductWidth-1:0] product, scaled;
  logic signed [RoundedWidth-1:0] rounded, term;
  logic signed [Width-1:0] drive, drive_late;
  logic signed [SumWidth-1:0] sum;

  assign product = ProductWidth'(decay_i) * ProductWidth'(state_i);

  scan_register #(.Width(ProductWidth + Width), .Present(Steps > 1)) u_product (
    .clk_i, .advance_i, .data_i({product, drive_i}), .data_o({scaled, drive})
  );

  shift_round_even #(.InWidth(ProductWidth), .OutWidth(RoundedWidth), .PlacesWidth(PlacesWidth)) u_round (
    .value_i(scaled), .places_i(PlacesWidth'(DecayFraction)), .value_o(rounded)
  );

  scan_register #(.Width(RoundedWidth + Width), .Present(Steps > 2)) u_rounded (
    .clk_i, .advance_i, .data_i({rounded, drive}), .data_o({term, drive_late})
  );

  assign sum = SumWidth'(term) + SumWidth'(drive_late);

  shift_round_even #(.InWidth(SumWidth), .OutWidth(Width), .PlacesWidth(1)) u_saturate (
    .value_i(sum), .places_i(1'b0), .value_o(state_o)
  );

endmodule

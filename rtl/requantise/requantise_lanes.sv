// The registers and the arithmetic of all lanes of `requantise`: bias, product, shift, a stage each.
//
// Each stage carries what those behind it need of the settings, which may be another tile's by then.
module requantise_lanes #(
  parameter int unsigned Lanes           = 4,
  parameter int unsigned SumWidth        = 32,
  parameter int unsigned MultiplierWidth = 31,
  parameter int unsigned ShiftWidth      = 6,
  parameter int unsigned OutWidth        = 8
) (
  input  logic                                  clk_i,
  input  logic [2:0]                            load_i,
  input  logic [Lanes-1:0][       SumWidth-1:0] bias_i,
  input  logic [Lanes-1:0][MultiplierWidth-1:0] multiplier_i,
  input  logic [Lanes-1:0][     ShiftWidth-1:0] shift_i,
  input  logic                                  relu_i,
  input  logic [Lanes-1:0][       SumWidth-1:0] sum_i,
  output logic [Lanes-1:0][       OutWidth-1:0] y_o
);

  // One bit more, as the multiplier has no sign.
  localparam int unsigned ProductWidth = SumWidth + MultiplierWidth + 1;

  logic [Lanes-1:0][SumWidth-1:0] biased_d, biased_q;
  logic [Lanes-1:0][MultiplierWidth-1:0] multiplier_q;
  logic [Lanes-1:0][ProductWidth-1:0] product_d, product_q;
  logic [1:0][Lanes-1:0][ShiftWidth-1:0] shift_q;
  logic [1:0] relu_q;
  logic [Lanes-1:0][OutWidth-1:0] shifted, y_d, y_q;

  always_comb begin : arithmetic
    for (int unsigned l = 0; l < Lanes; l++) begin
      biased_d[l]  = sum_i[l] + bias_i[l];
      product_d[l] = ProductWidth'($signed(biased_q[l])) * ProductWidth'($signed({1'b0, multiplier_q[l]}));
      y_d[l]       = relu_q[1] && shifted[l][OutWidth-1] ? '0 : shifted[l];
    end
  end

  for (genvar l = 0; l < Lanes; l++) begin : gen_shift
    shift_round_even #(.InWidth(ProductWidth), .OutWidth(OutWidth), .PlacesWidth(ShiftWidth)) u_shift (
      .value_i(product_q[l]), .places_i(shift_q[1][l]), .value_o(shifted[l])
    );
  end

  always_ff @(posedge clk_i) begin : stages
    if (load_i[0]) {biased_q, multiplier_q, shift_q[0], relu_q[0]} <= {biased_d, multiplier_i, shift_i, relu_i};
    if (load_i[1]) {product_q, shift_q[1], relu_q[1]} <= {product_d, shift_q[0], relu_q[0]};
    if (load_i[2]) y_q <= y_d;
  end

  assign y_o = y_q;

endmodule

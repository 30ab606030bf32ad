// The registers and the arithmetic of all lanes of `eltwise`: two products, their sum, its shift.
//
// The shift goes along with its products, as the settings may be the next job's by then.
module eltwise_lanes #(
  parameter int unsigned Lanes           = 4,
  parameter int unsigned InWidth         = 8,
  parameter int unsigned MultiplierWidth = 31,
  parameter int unsigned ShiftWidth      = 6,
  parameter int unsigned OutWidth        = 8
) (
  input  logic                           clk_i,
  input  logic [2:0]                     load_i,
  input  logic [MultiplierWidth-1:0]     multiplier_a_i,
  input  logic [MultiplierWidth-1:0]     multiplier_b_i,
  input  logic [ShiftWidth-1:0]          shift_i,
  input  logic [Lanes-1:0][ InWidth-1:0] a_i,
  input  logic [Lanes-1:0][ InWidth-1:0] b_i,
  output logic [Lanes-1:0][OutWidth-1:0] y_o
);

  // A product has a bit for the sign of the multiplier, which is never set: there the sum's carry fits.
  localparam int unsigned SumWidth = InWidth + MultiplierWidth + 1;

  logic [Lanes-1:0][SumWidth-1:0] product_a_d, product_a_q, product_b_d, product_b_q, sum_d, sum_q;
  logic [1:0][ShiftWidth-1:0] shift_q;
  logic [Lanes-1:0][OutWidth-1:0] y_d, y_q;

  always_comb begin : arithmetic
    for (int unsigned l = 0; l < Lanes; l++) begin
      product_a_d[l] = SumWidth'($signed(a_i[l])) * SumWidth'($signed({1'b0, multiplier_a_i}));
      product_b_d[l] = SumWidth'($signed(b_i[l])) * SumWidth'($signed({1'b0, multiplier_b_i}));
      sum_d[l]       = product_a_q[l] + product_b_q[l];
    end
  end

  for (genvar l = 0; l < Lanes; l++) begin : gen_shift
    shift_round_even #(.InWidth(SumWidth), .OutWidth(OutWidth), .PlacesWidth(ShiftWidth)) u_shift (
      .value_i(sum_q[l]), .places_i(shift_q[1]), .value_o(y_d[l])
    );
  end

  always_ff @(posedge clk_i) begin : stages
    if (load_i[0]) {product_a_q, product_b_q, shift_q[0]} <= {product_a_d, product_b_d, shift_i};
    if (load_i[1]) {sum_q, shift_q[1]} <= {sum_d, shift_q[0]};
    if (load_i[2]) y_q <= y_d;
  end

  assign y_o = y_q;

endmodule

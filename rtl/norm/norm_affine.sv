// normal * weight + bias in Q.12, rounded half to even and saturated. Three registers.
//
// A beat of normal values waits until all weights are there.
module norm_affine #(
  parameter int unsigned Lanes       = 4,
  parameter int unsigned NormalWidth = 20,
  parameter int unsigned Width       = 32,
  parameter int unsigned TagWidth    = 1
) (
  input  logic                              clk_i,
  input  logic                              rst_ni,
  input  logic                              whole_i,
  input  logic [Lanes-1:0][Width-1:0]       weight_i,
  input  logic [Lanes-1:0][Width-1:0]       bias_i,
  input  logic                              normal_valid_i,
  output logic                              normal_ready_o,
  input  logic [Lanes-1:0][NormalWidth-1:0] normal_i,
  input  logic [TagWidth-1:0]               tag_i,
  output logic                              y_valid_o,
  input  logic                              y_ready_i,
  output logic [Lanes-1:0][Width-1:0]       y_o,
  output logic [TagWidth-1:0]               tag_o
);

  localparam int unsigned NormalBits = 14;  // fraction bits of a normal value, which is 17 bits or wider
  localparam int unsigned GrownWidth = NormalWidth + Width + 1;

  logic free;
  logic [2:0] load;
  logic [Lanes-1:0][Width-1:0] bias_q, y_d, y_q;
  logic [Lanes-1:0][GrownWidth-1:0] product_d, product_q, sum_d, sum_q;

  assign normal_ready_o = whole_i && free;

  elastic #(.Stages(3)) u_flow (
    .clk_i, .rst_ni, .valid_i(normal_valid_i && whole_i), .ready_o(free),
    .valid_o(y_valid_o), .ready_i(y_ready_i), .load_o(load)
  );

  elastic_delay #(.Stages(3), .Width(TagWidth)) u_tag (.clk_i, .load_i(load), .beat_i(tag_i), .beat_o(tag_o));

  for (genvar l = 0; l < Lanes; l++) begin : gen_round
    shift_round_even #(.InWidth(GrownWidth), .OutWidth(Width), .PlacesWidth(4)) u_round (
      .value_i(sum_q[l]), .places_i(4'(NormalBits)), .value_o(y_d[l])
    );
  end

  always_comb begin : lanes
    for (int unsigned l = 0; l < Lanes; l++) begin
      product_d[l] = GrownWidth'($signed(normal_i[l])) * GrownWidth'($signed(weight_i[l]));
      sum_d[l]     = product_q[l] + (GrownWidth'($signed(bias_q[l])) << NormalBits);
    end
  end

  always_ff @(posedge clk_i) begin : stages
    if (load[0]) {product_q, bias_q} <= {product_d, bias_i};
    if (load[1]) sum_q <= sum_d;
    if (load[2]) y_q <= y_d;
  end

  assign y_o = y_q;

endmodule

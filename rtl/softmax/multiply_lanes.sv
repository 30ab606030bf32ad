// Exponentials times the reciprocal of their sum, rounded half to even: probabilities in Q.15. Two registers.
module multiply_lanes #(
  parameter int unsigned Lanes      = 4,
  parameter int unsigned GrownWidth = 25,
  parameter int unsigned TagWidth   = 1
) (
  input  logic                                               clk_i,
  input  logic                                               rst_ni,
  input  logic                                               valid_i,
  output logic                                               ready_o,
  input  logic [Lanes-1:0][GrownWidth-1:0]                   grown_i,
  input  logic [softmax_pkg::ReciprocalWidth-1:0]            reciprocal_i,
  input  logic [TagWidth-1:0]                                tag_i,
  output logic                                               valid_o,
  input  logic                                               ready_i,
  output logic [Lanes-1:0][softmax_pkg::ProbabilityBits:0]   y_o,
  output logic [TagWidth-1:0]                                tag_o
);

  localparam int unsigned ProductWidth = GrownWidth + softmax_pkg::ReciprocalWidth;
  localparam int unsigned Places       = softmax_pkg::ReciprocalBits - softmax_pkg::ProbabilityBits;

  logic [1:0] load;
  logic [Lanes-1:0][ProductWidth-1:0] product_d, product_q;
  logic [Lanes-1:0][ProductWidth:0] rounded;
  logic [Lanes-1:0][softmax_pkg::ProbabilityBits:0] y_d, y_q;
  logic [Lanes-1:0] unused;

  elastic #(.Stages(2)) u_flow (.clk_i, .rst_ni, .valid_i, .ready_o, .valid_o, .ready_i, .load_o(load));

  elastic_delay #(.Stages(2), .Width(TagWidth)) u_tag (
    .clk_i, .load_i(load), .beat_i(tag_i), .beat_o(tag_o)
  );

  for (genvar l = 0; l < Lanes; l++) begin : gen_lane
    shift_round_even #(.InWidth(ProductWidth + 1), .OutWidth(ProductWidth + 1), .PlacesWidth(5)) u_round (
      .value_i({1'b0, product_q[l]}), .places_i(5'(Places)), .value_o(rounded[l])
    );
    // No exponential is above the sum of its row, so that nothing is above one.
    assign unused[l] = ^rounded[l][ProductWidth:softmax_pkg::ProbabilityBits+1];
  end

  always_comb begin : lanes
    for (int unsigned l = 0; l < Lanes; l++) begin
      product_d[l] = grown_i[l] * reciprocal_i;
      y_d[l]       = rounded[l][softmax_pkg::ProbabilityBits:0];
    end
  end

  always_ff @(posedge clk_i) begin : stages
    if (load[0]) product_q <= product_d;
    if (load[1]) y_q <= y_d;
  end

  assign y_o = y_q;

  logic unused_all;
  assign unused_all = ^unused;

endmodule

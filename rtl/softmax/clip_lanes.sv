// Probabilities stretched, shifted, rounded half to even and clipped to 0 to 1, Q.15. Two registers.
//
// One beat of settings serves a row. The stretch is zeta - gamma, the shift gamma, both in Q.15 with a sign.
module clip_lanes #(
  parameter int unsigned Lanes = 4
) (
  input  logic                                             clk_i,
  input  logic                                             rst_ni,
  input  logic                                             clip_valid_i,
  output logic                                             clip_ready_o,
  input  logic [softmax_pkg::ClipWidth-1:0]                clip_stretch_i,
  input  logic [softmax_pkg::ClipWidth-1:0]                clip_shift_i,
  input  logic                                             x_valid_i,
  output logic                                             x_ready_o,
  input  logic                                             x_last_i,
  input  logic [Lanes-1:0]                                 x_keep_i,
  input  logic [Lanes-1:0][softmax_pkg::ProbabilityBits:0] x_i,
  output logic                                             y_valid_o,
  input  logic                                             y_ready_i,
  output logic                                             y_last_o,
  output logic [Lanes-1:0]                                 y_keep_o,
  output logic [Lanes-1:0][softmax_pkg::ProbabilityBits:0] y_o
);

  // A probability is 16 bits and positive; the sum of the product and the shift in Q.30 needs one bit more.
  localparam int unsigned ProductWidth = softmax_pkg::ClipWidth + softmax_pkg::ProbabilityBits + 2;
  localparam int unsigned SumWidth     = ProductWidth + 1;
  localparam logic [SumWidth-1:0] One = SumWidth'(1) << softmax_pkg::ProbabilityBits;

  logic held, free;
  logic [1:0] load;
  logic [softmax_pkg::ClipWidth-1:0] stretch, shift;
  logic [Lanes-1:0][ProductWidth-1:0] product;
  logic [Lanes-1:0][SumWidth-1:0] sum_d, sum_q, rounded, clipped;
  logic [Lanes-1:0][softmax_pkg::ProbabilityBits:0] y_d, y_q;

  settings_register #(.Width(2 * softmax_pkg::ClipWidth)) u_settings (
    .clk_i, .rst_ni,
    .in_valid_i(clip_valid_i), .in_ready_o(clip_ready_o), .in_i({clip_stretch_i, clip_shift_i}),
    .held_o(held), .settings_o({stretch, shift}), .last_i(x_valid_i && x_ready_o && x_last_i)
  );

  assign x_ready_o = held && free;

  elastic #(.Stages(2)) u_flow (
    .clk_i, .rst_ni, .valid_i(x_valid_i && held), .ready_o(free), .valid_o(y_valid_o), .ready_i(y_ready_i),
    .load_o(load)
  );

  elastic_delay #(.Stages(2), .Width(Lanes + 1)) u_tag (
    .clk_i, .load_i(load), .beat_i({x_last_i, x_keep_i}), .beat_o({y_last_o, y_keep_o})
  );

  for (genvar l = 0; l < Lanes; l++) begin : gen_lane
    shift_round_even #(.InWidth(SumWidth), .OutWidth(SumWidth), .PlacesWidth(4)) u_round (
      .value_i(sum_q[l]), .places_i(4'(softmax_pkg::ProbabilityBits)), .value_o(rounded[l])
    );
  end

  always_comb begin : lanes
    for (int unsigned l = 0; l < Lanes; l++) begin
      product[l] = $signed(stretch) * $signed({1'b0, x_i[l]});
      sum_d[l]   = SumWidth'($signed(product[l]))
                 + SumWidth'($signed({shift, {softmax_pkg::ProbabilityBits{1'b0}}}));
      clipped[l] = rounded[l] > One ? One : rounded[l];
      y_d[l]     = rounded[l][SumWidth-1] ? '0 : clipped[l][softmax_pkg::ProbabilityBits:0];
    end
  end

  always_ff @(posedge clk_i) begin : stages
    if (load[0]) sum_q <= sum_d;
    if (load[1]) y_q <= y_d;
  end

  assign y_o = y_q;

endmodule

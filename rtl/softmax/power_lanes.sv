// Scores as powers of two: exp(x) = 2**octave times a power in (1, 2], told in Q.24 as its half.
//
// Four registers. Scores in int32 Q.12. The tag goes beside.
module power_lanes #(
  parameter int unsigned Lanes        = 4,
  parameter int unsigned TagWidth     = 1,
  localparam int unsigned OctaveWidth = softmax_pkg::OctaveWidth
) (
  input  logic                                          clk_i,
  input  logic                                          rst_ni,
  input  logic                                          valid_i,
  output logic                                          ready_o,
  input  logic [Lanes-1:0][softmax_pkg::ScoreWidth-1:0] x_i,
  input  logic [TagWidth-1:0]                           tag_i,
  output logic                                          valid_o,
  input  logic                                          ready_i,
  output logic [Lanes-1:0][OctaveWidth-1:0]             octave_o,
  output logic [Lanes-1:0][softmax_pkg::PowerWidth-1:0] power_o,
  output logic [TagWidth-1:0]                           tag_o
);

  logic [3:0] load;
  logic [Lanes-1:0] sign;

  elastic #(.Stages(4)) u_flow (.clk_i, .rst_ni, .valid_i, .ready_o, .valid_o, .ready_i, .load_o(load));

  elastic_delay #(.Stages(4), .Width(TagWidth)) u_tag (
    .clk_i, .load_i(load), .beat_i(tag_i), .beat_o(tag_o)
  );

  for (genvar l = 0; l < Lanes; l++) begin : gen_lane
    logic [softmax_pkg::ScoreWidth:0] minus;
    logic [OctaveWidth:0] whole;

    assign minus = -{x_i[l][softmax_pkg::ScoreWidth-1], x_i[l]};

    power_of_two #(.Width(softmax_pkg::ScoreWidth + 1)) u_power (
      .clk_i, .load_i(load), .value_i(minus), .power_o(power_o[l]), .whole_o(whole)
    );

    // -1 - whole: the greater, the greater the score. 2**19 log2 e fits without the topmost bit.
    assign octave_o[l] = ~whole[OctaveWidth-1:0];
    assign sign[l]     = whole[OctaveWidth];
  end

  logic unused;
  assign unused = ^sign;

endmodule

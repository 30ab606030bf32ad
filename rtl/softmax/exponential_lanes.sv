// exp(-below) in every lane, six registers: the operand's and five of the exponential. The tag goes beside.
module exponential_lanes #(
  parameter int unsigned Lanes      = 4,
  parameter bit          Polynomial = 1'b0,
  parameter int unsigned GrownWidth = 25,
  parameter int unsigned TagWidth   = 1
) (
  input  logic                                          clk_i,
  input  logic                                          rst_ni,
  input  logic                                          valid_i,
  output logic                                          ready_o,
  input  logic [Lanes-1:0][softmax_pkg::BelowWidth-1:0] below_i,
  input  logic [TagWidth-1:0]                           tag_i,
  output logic                                          valid_o,
  input  logic                                          ready_i,
  output logic [Lanes-1:0][GrownWidth-1:0]              grown_o,
  output logic [TagWidth-1:0]                           tag_o
);

  logic [5:0] load;
  logic [Lanes-1:0][softmax_pkg::BelowWidth-1:0] below_q;

  elastic #(.Stages(6)) u_flow (
    .clk_i, .rst_ni, .valid_i, .ready_o, .valid_o, .ready_i, .load_o(load)
  );

  elastic_delay #(.Stages(6), .Width(TagWidth)) u_tag (
    .clk_i, .load_i(load), .beat_i(tag_i), .beat_o(tag_o)
  );

  always_ff @(posedge clk_i) begin : operand
    if (load[0]) below_q <= below_i;
  end

  for (genvar l = 0; l < Lanes; l++) begin : gen_lane
    if (Polynomial) begin : gen_polynomial
      exponential_polynomial u_exponential (
        .clk_i, .load_i(load[5:1]), .below_i(below_q[l]), .grown_o(grown_o[l])
      );
    end else begin : gen_base2
      exponential_base2 u_exponential (
        .clk_i, .load_i(load[5:1]), .below_i(below_q[l]), .grown_o(grown_o[l])
      );
    end
  end

endmodule

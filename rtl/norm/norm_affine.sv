// Weights and biases of a job, and what they make of normal values: normal * weight + bias, Q.12. Three registers.
//
// Both are taken once a job, as many beats as a row has; `begin_i` forgets them. They are read within the
// cycle: registers or a register file, not an SRAM with a registered output.
module norm_affine #(
  parameter int unsigned Lanes       = 4,
  parameter int unsigned MaxBeats    = 16,
  parameter int unsigned NormalWidth = 20,
  parameter int unsigned TagWidth    = 1,
  localparam int unsigned Width      = 32
) (
  input  logic                              clk_i,
  input  logic                              rst_ni,
  input  logic                              begin_i,
  input  logic                              affine_valid_i,
  output logic                              affine_ready_o,
  input  logic                              affine_last_i,
  input  logic [Lanes-1:0][Width-1:0]       weight_i,
  input  logic [Lanes-1:0][Width-1:0]       bias_i,
  input  logic                              normal_valid_i,
  output logic                              normal_ready_o,
  input  logic                              normal_last_i,
  input  logic [Lanes-1:0][NormalWidth-1:0] normal_i,
  input  logic [TagWidth-1:0]               tag_i,
  output logic                              y_valid_o,
  input  logic                              y_ready_i,
  output logic [Lanes-1:0][Width-1:0]       y_o,
  output logic [TagWidth-1:0]               tag_o
);

  localparam int unsigned NormalBits = 14;  // fraction bits of a normal value
  localparam int unsigned GrownWidth = (NormalWidth > NormalBits ? NormalWidth : NormalBits) + Width + 1;
  localparam int unsigned BeatWidth  = MaxBeats > 1 ? $clog2(MaxBeats) : 1;

  logic [Lanes-1:0][Width-1:0] weight_q[MaxBeats], bias_q[MaxBeats];
  logic [BeatWidth-1:0] place_q, beat_q;
  logic whole_q, written, read, free;
  logic [2:0] load;
  logic [Lanes-1:0][Width-1:0] weight, bias, bias_beside_q, y_d, y_q;
  logic [Lanes-1:0][GrownWidth-1:0] product_d, product_q, sum_d, sum_q;

  assign affine_ready_o = !whole_q;
  assign written        = affine_valid_i && affine_ready_o;
  assign normal_ready_o = whole_q && free;
  assign read           = normal_valid_i && normal_ready_o;
  assign weight         = weight_q[beat_q];
  assign bias           = bias_q[beat_q];

  elastic #(.Stages(3)) u_flow (
    .clk_i, .rst_ni, .valid_i(normal_valid_i && whole_q), .ready_o(free),
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
      product_d[l] = GrownWidth'($signed(normal_i[l])) * GrownWidth'($signed(weight[l]));
      sum_d[l]     = product_q[l] + (GrownWidth'($signed(bias_beside_q[l])) << NormalBits);
    end
  end

  always_ff @(posedge clk_i) begin : stages
    if (written) begin
      weight_q[place_q] <= weight_i;
      bias_q[place_q]   <= bias_i;
    end
    if (load[0]) {product_q, bias_beside_q} <= {product_d, bias};
    if (load[1]) sum_q <= sum_d;
    if (load[2]) y_q <= y_d;
  end

  always_ff @(posedge clk_i or negedge rst_ni) begin : places
    if (!rst_ni) {whole_q, place_q, beat_q} <= {1'b1, BeatWidth'(0), BeatWidth'(0)};
    else begin
      if (begin_i) {whole_q, place_q} <= '0;
      else if (written) {whole_q, place_q} <= {affine_last_i, place_q + 1'b1};
      if (read) beat_q <= normal_last_i ? '0 : beat_q + 1'b1;
    end
  end

  assign y_o = y_q;

endmodule

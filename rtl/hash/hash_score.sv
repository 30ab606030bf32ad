// Kernels of distances and their weighted sums, whose signs are a token's code.
//
// Five registers: the distance times its rate; the exponent, Q.12 in 17 bits, where the product saturates;
// 2 to minus that, less the mean; the products with each bit's weight; each bit's sum over the anchors.
module hash_score #(
  parameter int unsigned Bits          = 16,
  parameter int unsigned Anchors       = 32,
  parameter int unsigned DistanceWidth = 20
) (
  input  logic                                    clk_i,
  input  logic                                    rst_ni,
  input  logic                                    distance_valid_i,
  output logic                                    distance_ready_o,
  input  logic [DistanceWidth-1:0]                distance_i,
  // Whether it is the token's first and its last anchor; mean, weights, multiplier, shift.
  input  logic [2 + 18 + 8 * Bits + 16 + 6 - 1:0] label_i,
  output logic                                    code_valid_o,
  input  logic                                    code_ready_i,
  output logic [Bits-1:0]                         code_o
);

  localparam int unsigned ProductWidth  = DistanceWidth + 16;
  localparam int unsigned ExponentWidth = 17;
  localparam int unsigned KernelWidth   = 19;  // -2 to 3 in Q.16
  localparam int unsigned WeightedWidth = KernelWidth + 8;
  localparam int unsigned ScoreWidth    = WeightedWidth + $clog2(Anchors);

  logic valid;
  logic [4:0] load;
  logic [1:0] place;
  logic [4:0][1:0] place_q;
  logic [15:0] multiplier;
  logic [5:0] shift, shift_q;
  logic [17:0] mean;
  logic [Bits-1:0][7:0] weight;
  logic [1:0][17:0] mean_q;
  logic [2:0][Bits-1:0][7:0] weight_q;
  logic [ProductWidth-1:0] product_q, shifted;
  logic [ExponentWidth-1:0] exponent_d, exponent_q;
  logic [16:0] power;
  logic [KernelWidth-1:0] kernel_d, kernel_q;
  logic [Bits-1:0][WeightedWidth-1:0] weighted_d, weighted_q;
  logic [Bits-1:0][ScoreWidth-1:0] score_d, score_q;

  assign {place, mean, weight, multiplier, shift} = label_i;

  elastic #(.Stages(5)) u_flow (
    .clk_i, .rst_ni, .valid_i(distance_valid_i), .ready_o(distance_ready_o), .valid_o(valid),
    .ready_i(code_ready_i || !place_q[4][0]), .load_o(load)
  );

  assign shifted    = product_q >> shift_q;
  assign exponent_d = shifted > ProductWidth'({ExponentWidth{1'b1}}) ? '1 : shifted[ExponentWidth-1:0];

  half_power u_power (.exponent_i(exponent_q), .power_o(power));

  assign kernel_d = KernelWidth'(power) - KernelWidth'($signed(mean_q[1]));

  always_comb begin : sums
    for (int unsigned b = 0; b < Bits; b++) begin
      weighted_d[b] = WeightedWidth'($signed(kernel_q)) * WeightedWidth'($signed(weight_q[2][b]));
      score_d[b]    = (place_q[3][1] ? '0 : score_q[b]) + ScoreWidth'($signed(weighted_q[b]));
      code_o[b]     = !score_q[b][ScoreWidth-1];  // 0 counts as positive
    end
  end

  always_ff @(posedge clk_i) begin : stages
    if (load[0]) begin
      product_q <= ProductWidth'(distance_i) * ProductWidth'(multiplier);
      {shift_q, mean_q[0], weight_q[0], place_q[0]} <= {shift, mean, weight, place};
    end
    if (load[1]) {exponent_q, mean_q[1], weight_q[1], place_q[1]} <= {exponent_d, mean_q[0], weight_q[0], place_q[0]};
    if (load[2]) {kernel_q, weight_q[2], place_q[2]} <= {kernel_d, weight_q[1], place_q[1]};
    if (load[3]) {weighted_q, place_q[3]} <= {weighted_d, place_q[2]};
    if (load[4]) {score_q, place_q[4]} <= {score_d, place_q[3]};
  end

  assign code_valid_o = valid && place_q[4][0];

endmodule

// GELU by I-BERT's polynomial, one lane: x (1 + erf(x / sqrt(2))) / 2 with
// erf(u) = sign(u) (1 - 0.2888 (min(|u|, 1.769) - 1.769)**2), all of it in steps of 0.2888 * 2**-22.
//
// The constants are those of graph_ir/variants/gelu.py, whose order of roundings this follows.
module gelu_polynomial (
  input  logic        clk_i,
  input  logic [3:0]  load_i,
  input  logic [15:0] x_i,
  output logic [15:0] y_o
);

  localparam logic signed [15:0] HalfRoot  = 16'sd23170;  // 1 / sqrt(2) in Q.15
  localparam logic [15:0]        Turn      = 16'd3623;    // 1.769 in Q.11
  localparam logic [24:0]        One       = 25'd14523213;
  localparam logic signed [14:0] HalfCurve = 15'sd9463;   // 0.2888 / 2 in Q.16

  logic [15:0] inner_d, inner_q, magnitude, y_d, y_q;
  logic [1:0][15:0] x_q;
  logic [11:0] gap;
  logic [24:0] error, factor_d, factor_q;
  logic [30:0] grown_d, grown_q;
  logic [10:0] unused_fraction;

  shift_round_even #(.InWidth(31), .OutWidth(16), .PlacesWidth(4)) u_inner (
    .value_i(31'($signed(x_i)) * 31'(HalfRoot)), .places_i(4'd15), .value_o(inner_d)
  );

  assign magnitude = inner_q[15] ? -inner_q : inner_q;
  assign gap       = magnitude < Turn ? 12'(Turn - magnitude) : '0;
  assign error     = One - 25'(gap) * 25'(gap);
  assign factor_d  = inner_q[15] ? One - error : One + error;

  assign {grown_d, unused_fraction} = 42'($signed(x_q[1])) * 42'($signed({1'b0, factor_q}));

  shift_round_even #(.InWidth(46), .OutWidth(16), .PlacesWidth(5)) u_result (
    .value_i(46'($signed(grown_q)) * 46'(HalfCurve)), .places_i(5'd27), .value_o(y_d)
  );

  always_ff @(posedge clk_i) begin : stages
    if (load_i[0]) {inner_q, x_q[0]} <= {inner_d, x_i};
    if (load_i[1]) {factor_q, x_q[1]} <= {factor_d, x_q[0]};
    if (load_i[2]) grown_q <= grown_d;
    if (load_i[3]) y_q <= y_d;
  end

  assign y_o = y_q;

endmodule

// Codes of base two from the leading one: round(-log2(x)) of x in Q.15, clamped to CodeBits. Two registers.
//
// x = 2**(15 - zeros) m / 2**15 with m from 1 to 2: the logarithm rounds up where m is above the root of two,
// which no m equals. Zero has the last code.
module leading_codes #(
  parameter int unsigned Lanes    = 4,
  parameter int unsigned CodeBits = 4
) (
  input  logic                           clk_i,
  input  logic                           rst_ni,
  input  logic                           x_valid_i,
  output logic                           x_ready_o,
  input  logic                           x_last_i,
  input  logic [Lanes-1:0][15:0]         x_i,
  output logic                           y_valid_o,
  input  logic                           y_ready_i,
  output logic                           y_last_o,
  output logic [Lanes-1:0][CodeBits-1:0] y_o
);

  localparam logic [15:0] HalfOctave = 16'd46341;  // ceil(sqrt(2) * 2**15)
  localparam logic [CodeBits-1:0] LastCode = '1;

  logic [1:0] load;
  logic [Lanes-1:0][3:0] zeros, zeros_q;
  logic [Lanes-1:0][4:0] code;
  logic [Lanes-1:0][15:0] top, top_q;
  logic [Lanes-1:0][CodeBits-1:0] y_d, y_q;

  elastic #(.Stages(2)) u_flow (
    .clk_i, .rst_ni, .valid_i(x_valid_i), .ready_o(x_ready_o), .valid_o(y_valid_o), .ready_i(y_ready_i),
    .load_o(load)
  );

  elastic_delay #(.Stages(2), .Width(1)) u_last (
    .clk_i, .load_i(load), .beat_i(x_last_i), .beat_o(y_last_o)
  );

  always_comb begin : normalise
    for (int unsigned l = 0; l < Lanes; l++) begin
      zeros[l] = '0;
      for (int unsigned b = 0; b < 16; b++) if (x_i[l][b]) zeros[l] = 4'(15 - b);
      top[l] = x_i[l] << zeros[l];
    end
  end

  always_comb begin : codes
    for (int unsigned l = 0; l < Lanes; l++) begin
      // Below zero where x is above the root of two.
      code[l] = {1'b0, zeros_q[l]} - 5'(top_q[l] >= HalfOctave);
      if (!top_q[l][15]) y_d[l] = LastCode;
      else if (code[l][4]) y_d[l] = '0;
      else y_d[l] = 32'(code[l]) > 32'(LastCode) ? LastCode : CodeBits'(code[l]);
    end
  end

  always_ff @(posedge clk_i) begin : stages
    if (load[0]) {zeros_q, top_q} <= {zeros, top};
    if (load[1]) y_q <= y_d;
  end

  assign y_o = y_q;

endmodule

// exp(-below) in Q.24, below in Q.12: a power of two and its shift. Five registers.
module exponential_base2 (
  input  logic                               clk_i,
  input  logic [4:0]                         load_i,
  input  logic [softmax_pkg::BelowWidth-1:0] below_i,
  output logic [softmax_pkg::PowerWidth-1:0] grown_o
);

  localparam int unsigned WholeWidth = softmax_pkg::BelowWidth + 2 - softmax_pkg::ScoreBits;

  logic [softmax_pkg::PowerWidth-1:0] power, grown_q;
  logic [WholeWidth-1:0] whole;

  power_of_two #(.Width(softmax_pkg::BelowWidth + 1)) u_power (
    .clk_i, .load_i(load_i[3:0]), .value_i({1'b0, below_i}), .power_o(power), .whole_o(whole)
  );

  always_ff @(posedge clk_i) begin : halve
    if (load_i[4]) grown_q <= power >> whole;
  end

  assign grown_o = grown_q;

endmodule

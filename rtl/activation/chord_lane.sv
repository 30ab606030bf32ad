// A function by chords, one lane: look up the chord, then start + rise * rest / 2**8, halves to even.
//
// Below the table's reach the result is 0, above it is the operand.
module chord_lane #(
  parameter bit Silu = 1'b0
) (
  input  logic        clk_i,
  input  logic [1:0]  load_i,
  input  logic [15:0] x_i,
  output logic [15:0] y_o
);

  localparam int unsigned RiseWidth = 10, RestWidth = 8;
  localparam int unsigned ProductWidth = RiseWidth + RestWidth + 1;

  logic below, above;
  logic [1:0] outside_q;
  logic [15:0] start, start_q, x_q, y_d, y_q;
  logic [RiseWidth-1:0] rise, rise_q, risen;
  logic [RestWidth-1:0] rest, rest_q;
  logic [ProductWidth-1:0] product;

  if (Silu) begin : gen_silu
    silu_chords u_table (
      .value_i(x_i), .below_o(below), .above_o(above), .start_o(start), .rise_o(rise), .rest_o(rest)
    );
  end else begin : gen_gelu
    gelu_chords u_table (
      .value_i(x_i), .below_o(below), .above_o(above), .start_o(start), .rise_o(rise), .rest_o(rest)
    );
  end

  assign product = ProductWidth'($signed(rise_q)) * ProductWidth'($signed({1'b0, rest_q}));

  shift_round_even #(.InWidth(ProductWidth), .OutWidth(RiseWidth), .PlacesWidth(4)) u_shift (
    .value_i(product), .places_i(4'(RestWidth)), .value_o(risen)
  );

  always_comb begin : choose
    y_d = start_q + 16'($signed(risen));
    if (outside_q[0]) y_d = '0;
    if (outside_q[1]) y_d = x_q;
  end

  always_ff @(posedge clk_i) begin : stages
    if (load_i[0]) {outside_q, start_q, rise_q, rest_q, x_q} <= {above, below, start, rise, rest, x_i};
    if (load_i[1]) y_q <= y_d;
  end

  assign y_o = y_q;

endmodule

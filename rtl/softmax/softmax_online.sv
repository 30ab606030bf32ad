// Softmax in two passes: powers of two with their sum as scores come in, then the products by its reciprocal.
//
// What the first pass leaves to be told about a row is its greatest octave and its sum; each power is halved
// by the octaves that it lies below that when it leaves. Rows follow each other without a gap, a beat a
// cycle. A row has at most ceil(MaxLength / Lanes) beats and one element at least.
module softmax_online #(
  parameter int unsigned Lanes        = 4,
  parameter int unsigned MaxLength    = 64,
  parameter int unsigned BitsPerStage = 1
) (
  input  logic                                             clk_i,
  input  logic                                             rst_ni,
  input  logic                                             x_valid_i,
  output logic                                             x_ready_o,
  input  logic                                             x_last_i,
  input  logic [Lanes-1:0]                                 x_keep_i,
  input  logic [Lanes-1:0][softmax_pkg::ScoreWidth-1:0]    x_i,
  output logic                                             y_valid_o,
  input  logic                                             y_ready_i,
  output logic                                             y_last_o,
  output logic [Lanes-1:0]                                 y_keep_o,
  output logic [Lanes-1:0][softmax_pkg::ProbabilityBits:0] y_o
);

  localparam int unsigned OctaveWidth = softmax_pkg::OctaveWidth;
  localparam int unsigned PowerWidth  = softmax_pkg::PowerWidth;
  localparam int unsigned FactorWidth = softmax_pkg::ReciprocalWidth;
  localparam int unsigned CountWidth  = $clog2(MaxLength + 1);
  localparam int unsigned BeatWidth  = Lanes * (1 + OctaveWidth + PowerWidth);
  // So many beats more come in until what is told about a row is there (see row_buffer).
  localparam int unsigned Division   = (FactorWidth + BitsPerStage - 1) / BitsPerStage + 1;
  localparam int unsigned Depth      = (MaxLength + Lanes - 1) / Lanes + 6 + Division;

  logic in_valid, in_ready, in_last, sum_valid, told_valid, told_ready;
  logic held_valid, held_ready, held_last, term_valid, term_ready, term_last;
  logic [Lanes-1:0] in_keep, held_keep, term_keep;
  logic [Lanes-1:0][OctaveWidth-1:0] in_octave, held_octave;
  logic [Lanes-1:0][PowerWidth-1:0] in_power, held_power, term_d, term;
  logic [OctaveWidth-1:0] sum_top, told_top, held_top;
  logic [PowerWidth+CountWidth-1:0] sum;
  logic [FactorWidth-1:0] told_factor, held_factor, term_factor;

  power_lanes #(.Lanes(Lanes), .TagWidth(Lanes + 1)) u_powers (
    .clk_i, .rst_ni, .valid_i(x_valid_i), .ready_o(x_ready_o), .x_i, .tag_i({x_last_i, x_keep_i}),
    .valid_o(in_valid), .ready_i(in_ready), .octave_o(in_octave), .power_o(in_power),
    .tag_o({in_last, in_keep})
  );

  octave_sum #(
    .Lanes(Lanes), .OctaveWidth(OctaveWidth), .PowerWidth(PowerWidth), .CountWidth(CountWidth)
  ) u_sum (
    .clk_i, .rst_ni, .valid_i(in_valid && in_ready), .last_i(in_last), .keep_i(in_keep),
    .octave_i(in_octave), .power_i(in_power), .valid_o(sum_valid), .top_o(sum_top), .sum_o(sum)
  );

  reciprocal #(
    .TotalWidth(PowerWidth + CountWidth), .TagWidth(OctaveWidth), .Depth(Depth), .BitsPerStage(BitsPerStage)
  ) u_reciprocal (
    .clk_i, .rst_ni, .valid_i(sum_valid), .total_i(sum), .tag_i(sum_top),
    .valid_o(told_valid), .ready_i(told_ready), .reciprocal_o(told_factor), .tag_o(told_top)
  );

  row_buffer #(.Width(BeatWidth), .ToldWidth(OctaveWidth + FactorWidth), .Depth(Depth)) u_rows (
    .clk_i, .rst_ni,
    .in_valid_i(in_valid), .in_ready_o(in_ready), .in_last_i(in_last), .in_i({in_keep, in_octave, in_power}),
    .told_valid_i(told_valid), .told_ready_o(told_ready), .told_i({told_top, told_factor}),
    .out_valid_o(held_valid), .out_ready_i(held_ready), .out_last_o(held_last),
    .out_o({held_keep, held_octave, held_power}), .told_o({held_top, held_factor})
  );

  always_comb begin : shift
    for (int unsigned l = 0; l < Lanes; l++) term_d[l] = held_power[l] >> (held_top - held_octave[l]);
  end

  stream_register #(.Width(Lanes * (PowerWidth + 1) + 1 + FactorWidth)) u_shifted (
    .clk_i, .rst_ni,
    .in_valid_i(held_valid), .in_ready_o(held_ready), .in_i({held_last, held_keep, term_d, held_factor}),
    .out_valid_o(term_valid), .out_ready_i(term_ready), .out_o({term_last, term_keep, term, term_factor})
  );

  multiply_lanes #(.Lanes(Lanes), .GrownWidth(PowerWidth), .TagWidth(Lanes + 1)) u_multiply (
    .clk_i, .rst_ni, .valid_i(term_valid), .ready_o(term_ready),
    .grown_i(term), .reciprocal_i(term_factor), .tag_i({term_last, term_keep}),
    .valid_o(y_valid_o), .ready_i(y_ready_i), .y_o, .tag_o({y_last_o, y_keep_o})
  );

endmodule

// Words that are handed over in rounds: from a round's first word on, again and again, until it is let go.
//
// With the last word of a round `out_again_i` says that the same round follows, `out_free_i` that the next one
// does; the places of this one are free then. Rounds are as long as one likes, up to Depth, a power of two: a
// word can be handed over from the cycle after it was taken, and the next round comes in behind this one while
// there is room. Registers grow with Depth * Width.
module held_words #(
  parameter int unsigned Width = 8,
  parameter int unsigned Depth = 64
) (
  input  logic             clk_i,
  input  logic             rst_ni,
  input  logic             in_valid_i,
  output logic             in_ready_o,
  input  logic [Width-1:0] in_i,
  output logic             out_valid_o,
  input  logic             out_ready_i,
  input  logic             out_again_i,
  input  logic             out_free_i,
  output logic [Width-1:0] out_o
);

  localparam int unsigned PlaceWidth = $clog2(Depth);

  // Places are counted modulo 2 * Depth, so that a full memory differs from an empty one.
  logic [PlaceWidth:0] write_q, first_q, read_d, read_q;
  logic [Width-1:0] word_q[Depth];
  logic taken, given;

  assign in_ready_o  = write_q - first_q != (PlaceWidth + 1)'(Depth);
  assign out_valid_o = read_q != write_q;
  assign out_o       = word_q[read_q[PlaceWidth-1:0]];
  assign taken       = in_valid_i && in_ready_o;
  assign given       = out_valid_o && out_ready_i;
  assign read_d      = out_again_i && !out_free_i ? first_q : read_q + 1'b1;

  always_ff @(posedge clk_i or negedge rst_ni) begin : places
    if (!rst_ni) {write_q, first_q, read_q} <= '0;
    else begin
      if (taken) write_q <= write_q + 1'b1;
      if (given) read_q <= read_d;
      if (given && out_free_i) first_q <= read_d;
    end
  end

  always_ff @(posedge clk_i) begin : words
    if (taken) word_q[write_q[PlaceWidth-1:0]] <= in_i;
  end

endmodule

// Anchors as they lie in the scratchpad to beats of lanes: the words of an anchor, then those of its terms.
//
// Terms are a weight for each bit of a code, a byte each; the mean (4 bytes, 18 bits of them), the multiplier (2)
// and the shift (1). They are gathered while the anchor's own words, held in a FIFO, are cut into beats.
module hash_anchor_beats #(
  parameter int unsigned Size       = 16,
  parameter int unsigned Lanes      = 4,
  parameter int unsigned Bits       = 16,
  parameter int unsigned CountWidth = 16,
  localparam int unsigned WordWidth = 8 * Size,
  localparam int unsigned TermWords = (Bits + 8 + Size - 1) / Size
) (
  input  logic                  clk_i,
  input  logic                  rst_ni,
  input  logic [CountWidth-1:0] words_i,  // of an anchor, without its terms
  input  logic                  word_valid_i,
  output logic                  word_ready_o,
  input  logic [WordWidth-1:0]  word_i,
  input  logic                  word_last_i,  // of all words of this anchor
  input  logic                  set_last_i,   // the set's last anchor
  output logic                  anchor_valid_o,
  input  logic                  anchor_ready_i,
  output logic [Lanes-1:0][7:0] anchor_o,
  output logic                  anchor_end_o,
  output logic                  anchor_last_o,
  output logic [17:0]           mean_o,
  output logic [Bits-1:0][7:0]  weight_o,
  output logic [15:0]           multiplier_o,
  output logic [5:0]            shift_o
);

  logic [CountWidth-1:0] place_q;
  logic is_term, taken, word_end, held_ready, held_valid, held_end, held_last, cut_ready, term_ready, terms_valid;
  logic beat_valid, beat_last, end_part, last_part, terms_due;
  logic [WordWidth-1:0] held;
  logic [TermWords*WordWidth-1:0] terms;

  assign is_term      = place_q >= words_i;
  assign word_end     = place_q + 1'b1 == words_i;
  assign word_ready_o = is_term ? term_ready : held_ready;
  assign taken        = word_valid_i && word_ready_o;

  always_ff @(posedge clk_i or negedge rst_ni) begin : place
    if (!rst_ni) place_q <= '0;
    else if (taken) place_q <= word_last_i ? '0 : place_q + 1'b1;
  end

  fifo #(.Width(WordWidth + 2), .Depth(4)) u_words (
    .clk_i, .rst_ni, .in_valid_i(word_valid_i && !is_term), .in_ready_o(held_ready),
    .in_i({word_i, word_end, set_last_i}), .out_valid_o(held_valid), .out_ready_i(cut_ready),
    .out_o({held, held_end, held_last})
  );
  word_serializer #(.BeatWidth(8 * Lanes), .Beats(Size / Lanes), .LabelWidth(2)) u_cut (
    .clk_i, .rst_ni, .word_valid_i(held_valid), .word_ready_o(cut_ready), .word_i(held),
    .label_i({held_end, held_last}), .beat_valid_o(beat_valid), .beat_ready_i(anchor_ready_i && (!terms_due || terms_valid)),
    .beat_o(anchor_o), .label_o({end_part, last_part}), .last_o(beat_last)
  );
  word_collector #(.WordWidth(WordWidth), .Words(TermWords)) u_terms (
    .clk_i, .rst_ni, .word_valid_i(word_valid_i && is_term), .word_ready_o(term_ready), .word_i,
    .beat_valid_o(terms_valid), .beat_ready_i(beat_valid && terms_due && anchor_ready_i), .beat_o(terms)
  );

  assign terms_due      = end_part && beat_last;
  assign anchor_valid_o = beat_valid && (!terms_due || terms_valid);
  assign anchor_end_o   = terms_due;
  assign anchor_last_o  = terms_due && last_part;
  assign weight_o       = terms[8*Bits-1:0];
  assign mean_o         = terms[8*Bits+:18];
  assign multiplier_o   = terms[8*Bits+32+:16];
  assign shift_o        = terms[8*Bits+48+:6];

  logic unused;
  assign unused = ^terms;

endmodule

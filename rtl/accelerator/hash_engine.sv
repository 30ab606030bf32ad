// Hash codes of tokens, and attention by codes, one command at a time: words are read, cut into beats of lanes,
// go through `hash_unit`, and its results are written as words. A row of values, a token and a code are whole
// words.
module hash_engine
  import commands_pkg::*;
#(
  parameter int unsigned Size         = 16,
  parameter int unsigned Lanes        = 4,
  parameter int unsigned Bits         = 16,  // of a code, a multiple of Size
  parameter int unsigned Anchors      = 32,
  parameter int unsigned Chunks       = 16,
  parameter int unsigned Keys         = 256,
  parameter int unsigned AddressWidth = 16,
  localparam int unsigned WordWidth   = 8 * Size
) (
  input  logic                         clk_i,
  input  logic                         rst_ni,
  input  logic                         command_valid_i,
  output logic                         command_ready_o,
  input  hash_t                        command_i,
  output logic                         finished_o,
  output logic                         reads_done_o,
  // Reads of the scratchpad: tokens or queries; anchors or keys; values.
  output logic [2:0]                   read_valid_o,
  input  logic [2:0]                   read_ready_i,
  output logic [2:0][AddressWidth-1:0] read_address_o,
  input  logic [2:0]                   answer_valid_i,
  input  logic [2:0][WordWidth-1:0]    answer_i,
  output logic                         write_valid_o,
  input  logic                         write_ready_i,
  output logic [AddressWidth-1:0]      write_address_o,
  output logic [WordWidth-1:0]         write_o
);

  localparam logic [CountWidth-1:0] CodeWords = CountWidth'(Bits / Size);
  localparam logic [CountWidth-1:0] TermWords = CountWidth'((Bits + 8 + Size - 1) / Size);

  hash_t command_q;
  logic busy_q, start, takes_codes, is_codes;
  logic [2:0] read, valid, ready;
  logic [2:0][WordWidth-1:0] word;
  logic [3:0] a_last;
  logic [2:0] b_last, values_last;
  logic [CountWidth-1:0] a_words, b_words;

  assign command_ready_o = !busy_q || finished_o;
  assign start           = command_valid_i && command_ready_o;
  assign takes_codes     = command_i.fn == HashCodes;
  assign is_codes        = command_q.fn == HashCodes;
  always_ff @(posedge clk_i or negedge rst_ni) begin : busy
    if (!rst_ni) busy_q <= 1'b0;
    else if (command_ready_o) busy_q <= command_valid_i;
  end
  always_ff @(posedge clk_i) begin : hold
    if (start) command_q <= command_i;
  end

  event_join #(.Streams(3)) u_reads (
    .clk_i, .rst_ni, .done_i(read | {start && takes_codes, 2'b0}), .all_done_o(reads_done_o)
  );
  assign a_words = takes_codes ? command_i.words : CodeWords;
  assign b_words = takes_codes ? command_i.words + TermWords : CodeWords;
  nest_reader #(.Levels(4), .AddressWidth(AddressWidth), .CountWidth(CountWidth), .WordWidth(WordWidth)) u_a (
    .clk_i, .rst_ni, .start_i(start), .base_i(command_i.a),
    .count_i({command_i.groups, command_i.batches, command_i.rows, a_words}),
    .stride_i({command_i.a_group, command_i.a_batch, command_i.a_row, AddressWidth'(1)}),
    .read_valid_o(read_valid_o[0]), .read_ready_i(read_ready_i[0]), .read_address_o(read_address_o[0]),
    .answer_valid_i(answer_valid_i[0]), .answer_i(answer_i[0]), .done_o(read[0]), .word_valid_o(valid[0]),
    .word_ready_i(ready[0]), .word_o(word[0]), .last_o(a_last)
  );
  nest_reader #(.Levels(3), .AddressWidth(AddressWidth), .CountWidth(CountWidth), .WordWidth(WordWidth)) u_b (
    .clk_i, .rst_ni, .start_i(start), .base_i(command_i.b), .count_i({command_i.groups, command_i.keys, b_words}),
    .stride_i({command_i.b_group, command_i.b_row, AddressWidth'(1)}),
    .read_valid_o(read_valid_o[1]), .read_ready_i(read_ready_i[1]), .read_address_o(read_address_o[1]),
    .answer_valid_i(answer_valid_i[1]), .answer_i(answer_i[1]), .done_o(read[1]), .word_valid_o(valid[1]),
    .word_ready_i(ready[1]), .word_o(word[1]), .last_o(b_last)
  );
  nest_reader #(.Levels(3), .AddressWidth(AddressWidth), .CountWidth(CountWidth), .WordWidth(WordWidth)) u_values (
    .clk_i, .rst_ni, .start_i(start && !takes_codes), .base_i(command_i.values),
    .count_i({command_i.groups, command_i.keys, command_i.words}),
    .stride_i({command_i.values_group, command_i.values_row, AddressWidth'(1)}),
    .read_valid_o(read_valid_o[2]), .read_ready_i(read_ready_i[2]), .read_address_o(read_address_o[2]),
    .answer_valid_i(answer_valid_i[2]), .answer_i(answer_i[2]), .done_o(read[2]), .word_valid_o(valid[2]),
    .word_ready_i(ready[2]), .word_o(word[2]), .last_o(values_last)
  );

  logic code_valid, code_ready, y_valid, y_ready;
  logic [Bits-1:0] code;
  logic [Lanes-1:0][15:0] y;
  hash_streams #(
    .Size(Size), .Lanes(Lanes), .Bits(Bits), .Anchors(Anchors), .Chunks(Chunks), .Keys(Keys)
  ) u_streams (
    .clk_i, .rst_ni, .codes_i(is_codes), .words_i(command_q.words), .word_valid_i(valid), .word_ready_o(ready),
    .word_i(word), .a_last_i(a_last), .b_last_i(b_last[1:0]), .values_last_i(values_last[1:0]),
    .code_valid_o(code_valid), .code_ready_i(code_ready), .code_o(code), .y_valid_o(y_valid), .y_ready_i(y_ready),
    .y_o(y)
  );
  hash_results #(.Size(Size), .Lanes(Lanes), .Bits(Bits), .AddressWidth(AddressWidth)) u_results (
    .clk_i, .rst_ni, .start_i(start), .command_i, .finished_o, .code_valid_i(code_valid), .code_ready_o(code_ready),
    .code_i(code), .y_valid_i(y_valid), .y_ready_o(y_ready), .y_i(y), .write_valid_o, .write_ready_i,
    .write_address_o, .write_o
  );

  logic unused;
  assign unused = ^{command_q, b_last[2], values_last[2]};

endmodule

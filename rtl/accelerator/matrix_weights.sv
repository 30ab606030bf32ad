// Weights of a product: a word is a row of the array, the last row of a block first; or, transposed, a word is
// a column (a key of attention, say), whose last element belongs to the last row. Of signs a word is eight
// columns of a block, a bit a row, and goes to the unit of signs.
module matrix_weights
  import commands_pkg::*;
#(
  parameter int unsigned Size         = 16,
  parameter int unsigned AddressWidth = 16,
  localparam int unsigned WordWidth   = 8 * Size
) (
  input  logic                    clk_i,
  input  logic                    rst_ni,
  input  logic                    command_valid_i,
  output logic                    command_ready_o,
  input  matrix_t                 command_i,
  output logic                    done_o,  // its last word has been asked for
  output logic                    read_valid_o,
  input  logic                    read_ready_i,
  output logic [AddressWidth-1:0] read_address_o,
  input  logic                    answer_valid_i,
  input  logic [WordWidth-1:0]    answer_i,
  output logic                    weight_valid_o,
  input  logic                    weight_ready_i,
  output logic [WordWidth-1:0]    weight_o,
  output logic                    signs_valid_o,
  input  logic                    signs_ready_i,
  output logic [WordWidth-1:0]    signs_o
);

  logic address_valid, address_ready, transposed_q, signs_q, word_valid, word_ready, transposed, signs, block_last, unused;
  logic [AddressWidth-1:0] address;
  logic [3:0] last;
  logic [Size-1:0][7:0] word, reversed, turned;

  // From inside out: rows (words of signs), blocks of the sum, blocks of columns, batches.
  logic [CountWidth-1:0] words;
  assign words = command_i.fn == MatrixSigns ? CountWidth'(Size / 8) : CountWidth'(Size);
  address_generator #(.Levels(4), .AddressWidth(AddressWidth), .CountWidth(CountWidth)) u_addresses (
    .clk_i, .rst_ni, .nest_valid_i(command_valid_i), .nest_ready_o(command_ready_o),
    .base_i(command_i.weight),
    .count_i({command_i.batches, command_i.column_blocks, command_i.sum_blocks, words}),
    .stride_i({command_i.weight_batch, command_i.weight_column, command_i.weight_sum, command_i.weight_row}),
    .address_valid_o(address_valid), .address_ready_i(address_ready), .address_o(address), .last_o(last)
  );
  assign done_o = address_valid && address_ready && (&last);

  always_ff @(posedge clk_i) begin : kind
    if (command_valid_i && command_ready_o) begin
      {transposed_q, signs_q} <= {command_i.fn == MatrixTransposed, command_i.fn == MatrixSigns};
    end
  end

  scratchpad_reader #(.AddressWidth(AddressWidth), .WordWidth(WordWidth), .LabelWidth(3)) u_reader (
    .clk_i, .rst_ni, .address_valid_i(address_valid), .address_ready_o(address_ready), .address_i(address),
    .label_i({signs_q, transposed_q, last[0]}), .request_valid_o(read_valid_o), .request_ready_i(read_ready_i),
    .request_o(read_address_o), .answer_valid_i, .answer_i,
    .word_valid_o(word_valid), .word_ready_i(word_ready), .word_o(word), .label_o({signs, transposed, block_last})
  );

  // Words that are not transposed go past the transposer, but only while it is empty: order is kept.
  logic turn_valid, turn_ready, turned_valid, turned_ready, empty;
  logic [$clog2(2*Size+1)-1:0] inside_q;
  assign empty          = inside_q == '0;
  assign turn_valid     = word_valid && transposed;
  assign word_ready     = signs ? signs_ready_i : transposed ? turn_ready : empty && weight_ready_i;
  assign weight_valid_o = empty ? word_valid && !transposed && !signs : turned_valid;
  assign weight_o       = empty ? word : turned;
  assign turned_ready   = !empty && weight_ready_i;
  assign signs_valid_o  = word_valid && signs;
  assign signs_o        = word;

  always_comb begin : reverse
    for (int unsigned i = 0; i < Size; i++) reversed[i] = word[Size-1-i];
  end

  logic unused_last;
  logic [Size-1:0] unused_keep;
  transposer #(.Side(Size), .Width(8)) u_transposer (
    .clk_i, .rst_ni, .row_valid_i(turn_valid), .row_ready_o(turn_ready), .row_last_i(block_last),
    .row_columns_i('1), .row_i(reversed), .column_valid_o(turned_valid), .column_ready_i(turned_ready),
    .column_last_o(unused_last), .column_keep_o(unused_keep), .column_o(turned)
  );

  always_ff @(posedge clk_i or negedge rst_ni) begin : words_inside
    if (!rst_ni) inside_q <= '0;
    else inside_q <= inside_q + ($bits(inside_q))'(turn_valid && turn_ready)
                              - ($bits(inside_q))'(turned_valid && turned_ready);
  end

  assign unused = ^{command_i, last, unused_last, unused_keep};

endmodule

// Rows of words from the scratchpad as beats of lanes.
module row_reader
  import commands_pkg::*;
#(
  parameter int unsigned Size         = 16,
  parameter int unsigned Lanes        = 4,
  parameter int unsigned AddressWidth = 16,
  localparam int unsigned WordWidth   = 8 * Size
) (
  input  logic                    clk_i,
  input  logic                    rst_ni,
  // A nest of rows; the one before is read whole by then.
  input  logic                    start_i,
  input  logic [CountWidth-1:0]   rows_i,
  input  logic [CountWidth-1:0]   words_i,
  input  logic [AddressWidth-1:0] base_i,
  input  logic [AddressWidth-1:0] stride_i,
  output logic                    read_valid_o,
  input  logic                    read_ready_i,
  output logic [AddressWidth-1:0] read_address_o,
  input  logic                    answer_valid_i,
  input  logic [WordWidth-1:0]    answer_i,
  output logic                    done_o,  // the last word has been asked for
  output logic                    beat_valid_o,
  input  logic                    beat_ready_i,
  output logic [8*Lanes-1:0]      beat_o,
  output logic                    row_last_o,
  output logic                    last_o
);

  logic address_valid, address_ready, word_valid, word_ready, beat_last, unused;
  logic [AddressWidth-1:0] address;
  logic [1:0] last, label, place;
  logic [WordWidth-1:0] word;

  address_generator #(.Levels(2), .AddressWidth(AddressWidth), .CountWidth(CountWidth)) u_addresses (
    .clk_i, .rst_ni, .nest_valid_i(start_i), .nest_ready_o(unused), .base_i,
    .count_i({rows_i, words_i}), .stride_i({stride_i, AddressWidth'(1)}),
    .address_valid_o(address_valid), .address_ready_i(address_ready), .address_o(address), .last_o(last)
  );
  assign done_o = address_valid && address_ready && (&last);

  scratchpad_reader #(.AddressWidth(AddressWidth), .WordWidth(WordWidth), .LabelWidth(2)) u_reader (
    .clk_i, .rst_ni, .address_valid_i(address_valid), .address_ready_o(address_ready), .address_i(address),
    .label_i(last), .request_valid_o(read_valid_o), .request_ready_i(read_ready_i),
    .request_o(read_address_o), .answer_valid_i, .answer_i,
    .word_valid_o(word_valid), .word_ready_i(word_ready), .word_o(word), .label_o(label)
  );

  word_serializer #(.BeatWidth(8 * Lanes), .Beats(Size / Lanes), .LabelWidth(2)) u_serializer (
    .clk_i, .rst_ni, .word_valid_i(word_valid), .word_ready_o(word_ready), .word_i(word), .label_i(label),
    .beat_valid_o, .beat_ready_i, .beat_o, .label_o(place), .last_o(beat_last)
  );

  assign row_last_o = beat_last && place[0];
  assign last_o     = row_last_o && place[1];

endmodule

// Turns addresses into words: asks the scratchpad, and hands its answers over in order with their labels.
//
// As many words are in flight or held as there are places in the FIFOs, so that an answer always has one.
// A word can be handed over two cycles after its address was granted; Depth 4 keeps a word a cycle.
module scratchpad_reader #(
  parameter int unsigned AddressWidth = 16,
  parameter int unsigned WordWidth    = 128,
  parameter int unsigned LabelWidth   = 1,
  parameter int unsigned Depth        = 4
) (
  input  logic                    clk_i,
  input  logic                    rst_ni,
  input  logic                    address_valid_i,
  output logic                    address_ready_o,
  input  logic [AddressWidth-1:0] address_i,
  input  logic [LabelWidth-1:0]   label_i,
  // The scratchpad: an answer comes some cycles after its request, in order.
  output logic                    request_valid_o,
  input  logic                    request_ready_i,
  output logic [AddressWidth-1:0] request_o,
  input  logic                    answer_valid_i,
  input  logic [WordWidth-1:0]    answer_i,

  output logic                    word_valid_o,
  input  logic                    word_ready_i,
  output logic [WordWidth-1:0]    word_o,
  output logic [LabelWidth-1:0]   label_o
);

  logic label_ready, label_valid, granted, unused_ready;

  // A label's place is taken with the request and freed with the word: it is the word's place too.
  assign granted         = request_valid_o && request_ready_i;
  assign request_valid_o = address_valid_i && label_ready;
  assign address_ready_o = request_ready_i && label_ready;
  assign request_o       = address_i;

  fifo #(.Width(LabelWidth), .Depth(Depth)) u_labels (
    .clk_i, .rst_ni,
    .in_valid_i(granted), .in_ready_o(label_ready), .in_i(label_i),
    .out_valid_o(label_valid), .out_ready_i(word_valid_o && word_ready_i), .out_o(label_o)
  );

  fifo #(.Width(WordWidth), .Depth(Depth)) u_words (
    .clk_i, .rst_ni,
    .in_valid_i(answer_valid_i), .in_ready_o(unused_ready), .in_i(answer_i),
    .out_valid_o(word_valid_o), .out_ready_i(word_ready_i), .out_o(word_o)
  );

  logic unused;
  assign unused = ^{label_valid, unused_ready};

endmodule

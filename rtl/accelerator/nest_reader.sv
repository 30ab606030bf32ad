// Words of a nest of Levels loops from the scratchpad, each with the levels at which its index is the last one.
module nest_reader #(
  parameter int unsigned Levels       = 3,
  parameter int unsigned AddressWidth = 16,
  parameter int unsigned CountWidth   = 16,
  parameter int unsigned WordWidth    = 128
) (
  input  logic                                clk_i,
  input  logic                                rst_ni,
  // A nest; the one before is read whole by then.
  input  logic                                start_i,
  input  logic [AddressWidth-1:0]             base_i,
  input  logic [Levels-1:0][CountWidth-1:0]   count_i,
  input  logic [Levels-1:0][AddressWidth-1:0] stride_i,
  output logic                                read_valid_o,
  input  logic                                read_ready_i,
  output logic [AddressWidth-1:0]             read_address_o,
  input  logic                                answer_valid_i,
  input  logic [WordWidth-1:0]                answer_i,
  output logic                                done_o,  // the last word has been asked for
  output logic                                word_valid_o,
  input  logic                                word_ready_i,
  output logic [WordWidth-1:0]                word_o,
  output logic [Levels-1:0]                   last_o
);

  logic address_valid, address_ready, unused;
  logic [AddressWidth-1:0] address;
  logic [Levels-1:0] last;

  address_generator #(.Levels(Levels), .AddressWidth(AddressWidth), .CountWidth(CountWidth)) u_addresses (
    .clk_i, .rst_ni, .nest_valid_i(start_i), .nest_ready_o(unused), .base_i, .count_i, .stride_i,
    .address_valid_o(address_valid), .address_ready_i(address_ready), .address_o(address), .last_o(last)
  );
  assign done_o = address_valid && address_ready && (&last);

  scratchpad_reader #(.AddressWidth(AddressWidth), .WordWidth(WordWidth), .LabelWidth(Levels)) u_reader (
    .clk_i, .rst_ni, .address_valid_i(address_valid), .address_ready_o(address_ready), .address_i(address),
    .label_i(last), .request_valid_o(read_valid_o), .request_ready_i(read_ready_i),
    .request_o(read_address_o), .answer_valid_i, .answer_i,
    .word_valid_o, .word_ready_i, .word_o, .label_o(last_o)
  );

endmodule

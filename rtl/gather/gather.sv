// Fetches the rows that indices choose, word by word, and hands them over in the indices' order.
//
// Nothing is checked: an index beyond the rows reads what lies there. Depth words at most are in flight: the
// memory's latency and one more keep a word a cycle.
module gather #(
  parameter int unsigned WordBytes    = 4,
  parameter int unsigned AddressWidth = 12,
  parameter int unsigned IndexWidth   = 8,
  parameter int unsigned CountWidth   = 8,
  parameter int unsigned Depth        = 4
) (
  input  logic                      clk_i,
  input  logic                      rst_ni,
  // Where the rows lie, in words, and how long they are.
  input  logic                      job_valid_i,
  output logic                      job_ready_o,
  input  logic [AddressWidth-1:0]   job_base_i,
  input  logic [AddressWidth-1:0]   job_stride_i,
  input  logic [CountWidth-1:0]     job_words_i,
  input  logic                      index_valid_i,
  output logic                      index_ready_o,
  input  logic                      index_last_i,  // of the job
  input  logic [IndexWidth-1:0]     index_i,
  // The memory: requests to read, answered in order.
  output logic                      word_valid_o,
  input  logic                      word_ready_i,
  output logic [AddressWidth-1:0]   word_address_o,
  input  logic                      answer_valid_i,
  output logic                      answer_ready_o,
  input  logic [WordBytes-1:0][7:0] answer_data_i,

  output logic                      y_valid_o,
  input  logic                      y_ready_i,
  output logic                      y_last_o,  // of the row
  output logic [WordBytes-1:0][7:0] y_o
);

  logic here, room, last, known;

  gather_addresses #(
    .AddressWidth(AddressWidth), .IndexWidth(IndexWidth), .CountWidth(CountWidth)
  ) u_addresses (
    .clk_i, .rst_ni,
    .job_valid_i, .job_ready_o, .job_base_i, .job_stride_i, .job_words_i,
    .index_valid_i, .index_ready_o, .index_last_i, .index_i,
    .word_valid_o(here), .word_ready_i(word_ready_i && room), .word_address_o, .word_last_o(last)
  );

  assign word_valid_o = here && room;

  fifo #(.Width(1), .Depth(Depth)) u_labels (
    .clk_i, .rst_ni,
    .in_valid_i(here && word_ready_i), .in_ready_o(room), .in_i(last),
    .out_valid_o(known), .out_ready_i(answer_valid_i && y_ready_i), .out_o(y_last_o)
  );

  assign y_valid_o      = answer_valid_i && known;
  assign answer_ready_o = y_ready_i && known;
  assign y_o            = answer_data_i;

endmodule

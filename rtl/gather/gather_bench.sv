// The gather engine beside a memory whose answers come from a bench, MemoryCycles after each request.
module gather_bench #(
  parameter int unsigned WordBytes    = 4,
  parameter int unsigned MemoryCycles = 1,
  parameter int unsigned AddressWidth = 12,
  parameter int unsigned IndexWidth   = 8,
  parameter int unsigned CountWidth   = 8
) (
  input  logic                      clk_i,
  input  logic                      rst_ni,
  input  logic                      job_valid_i,
  output logic                      job_ready_o,
  input  logic [AddressWidth-1:0]   job_base_i,
  input  logic [AddressWidth-1:0]   job_stride_i,
  input  logic [CountWidth-1:0]     job_words_i,
  input  logic                      index_valid_i,
  output logic                      index_ready_o,
  input  logic                      index_last_i,
  input  logic [IndexWidth-1:0]     index_i,
  output logic                      word_valid_o,
  input  logic                      word_ready_i,
  output logic [AddressWidth-1:0]   word_address_o,
  input  logic                      answer_valid_i,
  output logic                      answer_ready_o,
  input  logic [WordBytes-1:0][7:0] answer_data_i,
  output logic                      y_valid_o,
  input  logic                      y_ready_i,
  output logic                      y_last_o,
  output logic [WordBytes-1:0][7:0] y_o
);

  logic answer_valid, answer_ready;

  response_gate #(.Latency(MemoryCycles)) u_memory (
    .clk_i, .rst_ni,
    .asked_i(word_valid_o && word_ready_i), .beats_i(1'b1),
    .in_valid_i(answer_valid_i), .in_ready_o(answer_ready_o),
    .out_valid_o(answer_valid), .out_ready_i(answer_ready)
  );

  gather #(
    .WordBytes(WordBytes), .AddressWidth(AddressWidth), .IndexWidth(IndexWidth), .CountWidth(CountWidth),
    .Depth(MemoryCycles + 1)
  ) u_gather (
    .clk_i, .rst_ni,
    .job_valid_i, .job_ready_o, .job_base_i, .job_stride_i, .job_words_i,
    .index_valid_i, .index_ready_o, .index_last_i, .index_i,
    .word_valid_o, .word_ready_i, .word_address_o,
    .answer_valid_i(answer_valid), .answer_ready_o(answer_ready), .answer_data_i,
    .y_valid_o, .y_ready_i, .y_last_o, .y_o
  );

endmodule

// The DMA between a memory and a scratchpad whose answers come from a bench, no earlier than either could
// give them: MemoryCycles after a burst was asked for, LocalCycles after a word was.
module dma_bench #(
  parameter int unsigned WordBytes    = 4,
  parameter int unsigned BurstWords   = 4,
  parameter int unsigned Channels     = 2,
  parameter int unsigned MemoryCycles = 10,
  parameter int unsigned LocalCycles  = 1,
  parameter int unsigned MemoryWidth  = 16,
  parameter int unsigned LocalWidth   = 10,
  parameter int unsigned CountWidth   = 8,
  parameter int unsigned LengthWidth  = $clog2(BurstWords) + 1
) (
  input  logic                      clk_i,
  input  logic                      rst_ni,
  input  logic                      desc_valid_i,
  output logic                      desc_ready_o,
  input  logic                      desc_store_i,
  input  logic [MemoryWidth-1:0]    desc_memory_i,
  input  logic [MemoryWidth-1:0]    desc_memory_stride_i,
  input  logic [LocalWidth-1:0]     desc_local_i,
  input  logic [LocalWidth-1:0]     desc_local_stride_i,
  input  logic [CountWidth-1:0]     desc_row_bytes_i,
  input  logic [CountWidth-1:0]     desc_rows_i,
  output logic                      burst_valid_o,
  input  logic                      burst_ready_i,
  output logic                      burst_write_o,
  output logic [MemoryWidth-1:0]    burst_address_o,
  output logic [LengthWidth-1:0]    burst_words_o,
  input  logic                      read_valid_i,
  output logic                      read_ready_o,
  input  logic [WordBytes-1:0][7:0] read_data_i,
  output logic                      write_valid_o,
  input  logic                      write_ready_i,
  output logic [WordBytes-1:0]      write_strobe_o,
  output logic [WordBytes-1:0][7:0] write_data_o,
  output logic                      word_valid_o,
  input  logic                      word_ready_i,
  output logic                      word_write_o,
  output logic [LocalWidth-1:0]     word_address_o,
  output logic [WordBytes-1:0]      word_strobe_o,
  output logic [WordBytes-1:0][7:0] word_data_o,
  input  logic                      answer_valid_i,
  output logic                      answer_ready_o,
  input  logic [WordBytes-1:0][7:0] answer_data_i,
  output logic                      done_valid_o,
  input  logic                      done_ready_i,
  output logic                      done_store_o
);

  logic read_valid, read_ready, answer_valid, answer_ready;

  response_gate #(.Latency(MemoryCycles), .BeatsWidth(LengthWidth)) u_memory (
    .clk_i, .rst_ni,
    .asked_i(burst_valid_o && burst_ready_i && !burst_write_o), .beats_i(burst_words_o),
    .in_valid_i(read_valid_i), .in_ready_o(read_ready_o), .out_valid_o(read_valid), .out_ready_i(read_ready)
  );

  response_gate #(.Latency(LocalCycles)) u_scratchpad (
    .clk_i, .rst_ni,
    .asked_i(word_valid_o && word_ready_i), .beats_i(1'b1),
    .in_valid_i(answer_valid_i), .in_ready_o(answer_ready_o),
    .out_valid_o(answer_valid), .out_ready_i(answer_ready)
  );

  dma #(
    .WordBytes(WordBytes), .BurstWords(BurstWords), .Channels(Channels), .MemoryWidth(MemoryWidth),
    .LocalWidth(LocalWidth), .CountWidth(CountWidth), .Depth(LocalCycles + 1)
  ) u_dma (
    .clk_i, .rst_ni,
    .desc_valid_i, .desc_ready_o, .desc_store_i, .desc_memory_i, .desc_memory_stride_i, .desc_local_i,
    .desc_local_stride_i, .desc_row_bytes_i, .desc_rows_i,
    .burst_valid_o, .burst_ready_i, .burst_write_o, .burst_address_o, .burst_words_o,
    .read_valid_i(read_valid), .read_ready_o(read_ready), .read_data_i,
    .write_valid_o, .write_ready_i, .write_strobe_o, .write_data_o,
    .word_valid_o, .word_ready_i, .word_write_o, .word_address_o, .word_strobe_o, .word_data_o,
    .answer_valid_i(answer_valid), .answer_ready_o(answer_ready), .answer_data_i,
    .done_valid_o, .done_ready_i, .done_store_o
  );

endmodule

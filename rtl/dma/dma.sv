// Copies rows of bytes between a memory that is asked in bursts and a scratchpad that is asked for words.
//
// Transfers move one after another, a word a cycle, while requests of the next ones, Channels at most at a time,
// are under way. Addresses and strides count words on both sides; a row is a byte or more, a transfer a row or
// more. A store is done when the memory took its last word: that it has landed is the memory's to say.
module dma #(
  parameter int unsigned WordBytes   = 4,  // a power of two
  parameter int unsigned BurstWords  = 4,  // a power of two
  parameter int unsigned Channels    = 2,
  parameter int unsigned MemoryWidth = 16,
  parameter int unsigned LocalWidth  = 10,
  parameter int unsigned CountWidth  = 8,
  parameter int unsigned Depth       = 4,  // words in flight to the scratchpad; its latency and one more
  parameter int unsigned LengthWidth = $clog2(BurstWords) + 1
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
  // Memory: requests for bursts, then their words in order.
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
  // Scratchpad: requests for words, each answered, in order.
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

  localparam int unsigned ByteBits    = $clog2(WordBytes);
  localparam int unsigned TailWidth   = WordBytes > 1 ? ByteBits : 1;
  localparam int unsigned QueuedWidth = 1 + 2 * LocalWidth + TailWidth + 2 * CountWidth;

  logic bursts_ready, queue_ready, queued, finished, store;
  logic [CountWidth-1:0] desc_row_words, row_words, rows;
  logic [TailWidth-1:0] desc_tail, tail;
  logic [LocalWidth-1:0] base, stride;

  // Whole words of a row, and the bytes of a last one that is not whole.
  assign desc_tail      = WordBytes > 1 ? TailWidth'(desc_row_bytes_i) : '0;
  assign desc_row_words = (desc_row_bytes_i >> ByteBits) + CountWidth'(desc_tail != '0);
  assign desc_ready_o   = bursts_ready && queue_ready;

  dma_bursts #(
    .BurstWords(BurstWords), .MemoryWidth(MemoryWidth), .CountWidth(CountWidth), .LengthWidth(LengthWidth)
  ) u_bursts (
    .clk_i, .rst_ni,
    .transfer_valid_i(desc_valid_i && queue_ready), .transfer_ready_o(bursts_ready),
    .store_i(desc_store_i), .memory_i(desc_memory_i), .stride_i(desc_memory_stride_i),
    .row_words_i(desc_row_words), .rows_i(desc_rows_i),
    .burst_valid_o, .burst_ready_i, .burst_write_o, .burst_address_o, .burst_words_o
  );

  fifo #(.Width(QueuedWidth), .Depth(Channels)) u_queue (
    .clk_i, .rst_ni,
    .in_valid_i(desc_valid_i && bursts_ready), .in_ready_o(queue_ready),
    .in_i({desc_store_i, desc_local_i, desc_local_stride_i, desc_row_words, desc_tail, desc_rows_i}),
    .out_valid_o(queued), .out_ready_i(finished), .out_o({store, base, stride, row_words, tail, rows})
  );

  dma_local #(
    .WordBytes(WordBytes), .LocalWidth(LocalWidth), .CountWidth(CountWidth), .TailWidth(TailWidth),
    .Depth(Depth)
  ) u_local (
    .clk_i, .rst_ni, .transfer_valid_i(queued), .transfer_ready_o(finished), .store_i(store),
    .local_i(base), .stride_i(stride), .row_words_i(row_words), .tail_i(tail), .rows_i(rows),
    .read_valid_i, .read_ready_o, .read_data_i, .write_valid_o, .write_ready_i, .write_strobe_o, .write_data_o,
    .word_valid_o, .word_ready_i, .word_write_o, .word_address_o, .word_strobe_o, .word_data_o,
    .answer_valid_i, .answer_ready_o, .answer_data_i, .done_valid_o, .done_ready_i, .done_store_o
  );

endmodule

// The scratchpad's side of transfers that wait in a queue: words are asked for or sent, and answered.
//
// A word moves when all who have to do with it are ready: to load one, the memory too.
module dma_local #(
  parameter int unsigned WordBytes  = 4,
  parameter int unsigned LocalWidth = 10,
  parameter int unsigned CountWidth = 8,
  parameter int unsigned TailWidth  = 2,
  parameter int unsigned Depth      = 4
) (
  input  logic                      clk_i,
  input  logic                      rst_ni,
  input  logic                      transfer_valid_i,
  output logic                      transfer_ready_o,
  input  logic                      store_i,
  input  logic [LocalWidth-1:0]     local_i,
  input  logic [LocalWidth-1:0]     stride_i,
  input  logic [CountWidth-1:0]     row_words_i,
  input  logic [TailWidth-1:0]      tail_i,
  input  logic [CountWidth-1:0]     rows_i,
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

  logic here, room, moving, last;

  dma_words #(
    .WordBytes(WordBytes), .LocalWidth(LocalWidth), .CountWidth(CountWidth), .TailWidth(TailWidth)
  ) u_words (
    .clk_i, .rst_ni, .transfer_valid_i, .transfer_ready_o, .local_i, .stride_i, .row_words_i, .tail_i, .rows_i,
    .word_valid_o(here), .word_ready_i(moving), .word_address_o, .word_strobe_o, .word_last_o(last)
  );

  assign word_valid_o = here && room && (store_i || read_valid_i);
  assign moving       = word_valid_o && word_ready_i;
  assign read_ready_o = here && room && !store_i && word_ready_i;
  assign word_write_o = !store_i;
  assign word_data_o  = read_data_i;

  dma_answers #(.WordBytes(WordBytes), .Depth(Depth)) u_answers (
    .clk_i, .rst_ni,
    .asked_valid_i(moving), .asked_ready_o(room), .asked_store_i(store_i), .asked_last_i(last),
    .asked_strobe_i(word_strobe_o), .answer_valid_i, .answer_ready_o, .answer_data_i,
    .write_valid_o, .write_ready_i, .write_strobe_o, .write_data_o, .done_valid_o, .done_ready_i, .done_store_o
  );

endmodule

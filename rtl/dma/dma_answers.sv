// What becomes of the scratchpad's answers: words that were read go to memory, and a transfer whose last
// word was answered is told done.
//
// Labels of the words asked for wait in order; there are Depth places, which bounds the words in flight.
module dma_answers #(
  parameter int unsigned WordBytes = 4,
  parameter int unsigned Depth     = 4
) (
  input  logic                      clk_i,
  input  logic                      rst_ni,
  input  logic                      asked_valid_i,
  output logic                      asked_ready_o,
  input  logic                      asked_store_i,
  input  logic                      asked_last_i,
  input  logic [WordBytes-1:0]      asked_strobe_i,
  input  logic                      answer_valid_i,
  output logic                      answer_ready_o,
  input  logic [WordBytes-1:0][7:0] answer_data_i,
  output logic                      write_valid_o,
  input  logic                      write_ready_i,
  output logic [WordBytes-1:0]      write_strobe_o,
  output logic [WordBytes-1:0][7:0] write_data_o,
  output logic                      done_valid_o,
  input  logic                      done_ready_i,
  output logic                      done_store_o
);

  logic known, store, last, told, room, answered;

  fifo #(.Width(2 + WordBytes), .Depth(Depth)) u_labels (
    .clk_i, .rst_ni,
    .in_valid_i(asked_valid_i), .in_ready_o(asked_ready_o),
    .in_i({asked_store_i, asked_last_i, asked_strobe_i}),
    .out_valid_o(known), .out_ready_i(answered), .out_o({store, last, write_strobe_o})
  );

  // The end of a transfer waits for a place among those to be told.
  assign told           = room || !last;
  assign write_valid_o  = answer_valid_i && known && store && told;
  assign answer_ready_o = known && told && (write_ready_i || !store);
  assign answered       = answer_valid_i && answer_ready_o;
  assign write_data_o   = answer_data_i;

  fifo #(.Width(1), .Depth(2)) u_done (
    .clk_i, .rst_ni,
    .in_valid_i(answered && last), .in_ready_o(room), .in_i(store),
    .out_valid_o(done_valid_o), .out_ready_i(done_ready_i), .out_o(done_store_o)
  );

endmodule

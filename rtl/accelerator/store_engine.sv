// Copies rows of words from the scratchpad to DRAM; finished when DRAM has taken the last word.
module store_engine
  import commands_pkg::*;
#(
  parameter int unsigned WordWidth    = 128,
  parameter int unsigned AddressWidth = 16,
  parameter int unsigned DramAddress  = 32
) (
  input  logic                    clk_i,
  input  logic                    rst_ni,
  input  logic                    command_valid_i,
  output logic                    command_ready_o,
  input  store_t                  command_i,
  output logic                    finished_o,
  // Scratchpad.
  output logic                    read_valid_o,
  input  logic                    read_ready_i,
  output logic [AddressWidth-1:0] read_address_o,
  input  logic                    answer_valid_i,
  input  logic [WordWidth-1:0]    answer_i,
  // DRAM: a word and where it goes.
  output logic                    data_valid_o,
  input  logic                    data_ready_i,
  output logic [DramAddress-1:0]  data_address_o,
  output logic [WordWidth-1:0]    data_o
);

  store_t [1:0] command;
  logic [1:0] valid, ready, last_here, last_there;
  logic here_valid, here_ready, there_valid, word_valid, unused_label;
  logic [AddressWidth-1:0] here;

  fork_fifo #(.Width($bits(store_t)), .Takers(2), .Depth(2)) u_fork (
    .clk_i, .rst_ni, .in_valid_i(command_valid_i), .in_ready_o(command_ready_o), .in_i(command_i),
    .out_valid_o(valid), .out_ready_i(ready), .out_o(command)
  );

  address_generator #(.Levels(2), .AddressWidth(AddressWidth), .CountWidth(CountWidth)) u_here (
    .clk_i, .rst_ni, .nest_valid_i(valid[0]), .nest_ready_o(ready[0]),
    .base_i(command[0].to), .count_i({command[0].rows, command[0].words}),
    .stride_i({command[0].to_stride, AddressWidth'(1)}),
    .address_valid_o(here_valid), .address_ready_i(here_ready), .address_o(here), .last_o(last_here)
  );

  scratchpad_reader #(.AddressWidth(AddressWidth), .WordWidth(WordWidth)) u_reader (
    .clk_i, .rst_ni, .address_valid_i(here_valid), .address_ready_o(here_ready), .address_i(here),
    .label_i(1'b0), .request_valid_o(read_valid_o), .request_ready_i(read_ready_i),
    .request_o(read_address_o), .answer_valid_i, .answer_i,
    .word_valid_o(word_valid), .word_ready_i(data_ready_i && there_valid), .word_o(data_o),
    .label_o(unused_label)
  );

  address_generator #(.Levels(2), .AddressWidth(DramAddress), .CountWidth(CountWidth)) u_there (
    .clk_i, .rst_ni, .nest_valid_i(valid[1]), .nest_ready_o(ready[1]),
    .base_i(command[1].dram), .count_i({command[1].rows, command[1].words}),
    .stride_i({DramAddress'(command[1].dram_stride), DramAddress'(1)}),
    .address_valid_o(there_valid), .address_ready_i(data_ready_i && word_valid),
    .address_o(data_address_o), .last_o(last_there)
  );

  assign data_valid_o = there_valid && word_valid;
  assign finished_o   = data_valid_o && data_ready_i && (&last_there);

  logic unused;
  assign unused = ^{unused_label, last_here, command};

endmodule

// Copies rows of words from DRAM into the scratchpad; asks for the next ones while these still come.
module load_engine
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
  input  load_t                   command_i,
  output logic                    finished_o,
  // DRAM: rows asked for by their first word and their length.
  output logic                    request_valid_o,
  input  logic                    request_ready_i,
  output logic [DramAddress-1:0]  request_o,
  output logic [CountWidth-1:0]   request_words_o,
  input  logic                    data_valid_i,
  output logic                    data_ready_o,
  input  logic [WordWidth-1:0]    data_i,
  // Scratchpad.
  output logic                    write_valid_o,
  input  logic                    write_ready_i,
  output logic [AddressWidth-1:0] write_address_o,
  output logic [WordWidth-1:0]    write_o
);

  load_t [1:0] command;
  logic [1:0] valid, ready;
  logic [CountWidth-1:0] words_q;
  logic address_valid, unused_last;
  logic [1:0] last;

  fork_fifo #(.Width($bits(load_t)), .Takers(2), .Depth(2)) u_fork (
    .clk_i, .rst_ni, .in_valid_i(command_valid_i), .in_ready_o(command_ready_o), .in_i(command_i),
    .out_valid_o(valid), .out_ready_i(ready), .out_o(command)
  );

  address_generator #(.Levels(1), .AddressWidth(DramAddress), .CountWidth(CountWidth)) u_rows (
    .clk_i, .rst_ni, .nest_valid_i(valid[0]), .nest_ready_o(ready[0]),
    .base_i(command[0].dram), .count_i(command[0].rows), .stride_i(DramAddress'(command[0].dram_stride)),
    .address_valid_o(request_valid_o), .address_ready_i(request_ready_i), .address_o(request_o),
    .last_o(unused_last)
  );

  always_ff @(posedge clk_i) begin : width_of_rows
    if (valid[0] && ready[0]) words_q <= command[0].words;
  end
  assign request_words_o = words_q;

  address_generator #(.Levels(2), .AddressWidth(AddressWidth), .CountWidth(CountWidth)) u_places (
    .clk_i, .rst_ni, .nest_valid_i(valid[1]), .nest_ready_o(ready[1]),
    .base_i(command[1].to), .count_i({command[1].rows, command[1].words}),
    .stride_i({command[1].to_stride, AddressWidth'(1)}),
    .address_valid_o(address_valid), .address_ready_i(data_valid_i && write_ready_i),
    .address_o(write_address_o), .last_o(last)
  );

  assign write_valid_o = address_valid && data_valid_i;
  assign data_ready_o  = address_valid && write_ready_i;
  assign write_o       = data_i;
  assign finished_o    = write_valid_o && write_ready_i && (&last);

  logic unused;
  assign unused = ^{unused_last, command};

endmodule

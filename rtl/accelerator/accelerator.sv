// A whole accelerator: fetches commands from DRAM and runs them on four engines around one scratchpad.
//
// The host writes DRAM, raises `start_i` for a cycle with the word where the commands begin, and waits for
// `done_o`. DRAM answers reads in order and takes writes when it can; nothing else goes in or out.
module accelerator
  import commands_pkg::*;
#(
  parameter int unsigned Size        = 16,    // rows and columns of the array, bytes of a word
  parameter int unsigned Lanes       = 4,     // of the vector engine
  parameter int unsigned Banks       = 8,
  parameter int unsigned BankWords   = 512,
  parameter int unsigned Depth       = 64,    // rows that the accumulators hold
  parameter int unsigned MaxLength   = 256,   // of a row of the vector engine
  parameter int unsigned DramAddress = 32,
  localparam int unsigned WordWidth  = 8 * Size
) (
  input  logic                   clk_i,
  input  logic                   rst_ni,
  input  logic                   start_i,
  input  logic [DramAddress-1:0] program_i,
  output logic                   done_o,
  // Reads: so many words from an address on.
  output logic                   read_valid_o,
  input  logic                   read_ready_i,
  output logic [DramAddress-1:0] read_address_o,
  output logic [CountWidth-1:0]  read_words_o,
  input  logic                   data_valid_i,
  output logic                   data_ready_o,
  input  logic                   data_last_i,
  input  logic [WordWidth-1:0]   data_i,
  // Writes, a word each.
  output logic                   write_valid_o,
  input  logic                   write_ready_i,
  output logic [DramAddress-1:0] write_address_o,
  output logic [WordWidth-1:0]   write_o,
  // For measurements: an engine finishes a command in this cycle.
  output logic [Engines-1:0]     finished_o
);

  localparam int unsigned AddressWidth = CountWidth;  // of commands
  localparam int unsigned SpadAddress  = $clog2(Banks * BankWords);
  localparam int unsigned Ports        = 10;
  localparam int unsigned RequestWidth = DramAddress + CountWidth;

  // Commands.
  logic [Engines-1:0] given_valid, given_ready, command_valid, command_ready, finished;
  logic [CommandWidth-1:0] given;
  logic [Engines-1:0][CommandWidth-1:0] command;
  logic [Engines-1:0][CountWidth-1:0] finished_q;
  logic [1:0] read_valid, read_ready, data_valid, data_ready;
  logic [1:0][RequestWidth-1:0] read;
  logic [DramAddress-1:0] fetch_address, load_address;
  logic [CountWidth-1:0] load_words;

  sequencer #(.WordWidth(WordWidth), .DramAddress(DramAddress)) u_sequencer (
    .clk_i, .rst_ni, .start_i, .program_i, .done_o,
    .request_valid_o(read_valid[0]), .request_ready_i(read_ready[0]), .request_o(fetch_address),
    .data_valid_i(data_valid[0]), .data_i,
    .command_valid_o(given_valid), .command_ready_i(given_ready), .command_o(given), .finished_i(finished_q)
  );
  assign data_ready[0] = 1'b1;
  assign read[0]       = {CountWidth'(CommandWidth / WordWidth), fetch_address};
  assign read[1]       = {load_words, load_address};

  dram_reads #(.RequestWidth(RequestWidth)) u_reads (
    .clk_i, .rst_ni, .request_valid_i(read_valid), .request_ready_o(read_ready), .request_i(read),
    .dram_valid_o(read_valid_o), .dram_ready_i(read_ready_i), .dram_o({read_words_o, read_address_o}),
    .data_valid_i, .data_ready_o, .data_last_i, .data_valid_o(data_valid), .data_ready_i(data_ready)
  );

  for (genvar e = 0; e < int'(Engines); e++) begin : gen_queues
    command_queue #(.Width(CommandWidth), .Engines(Engines), .CountWidth(CountWidth), .NeedsAt(NeedsAt)) u_queue (
      .clk_i, .rst_ni, .command_valid_i(given_valid[e]), .command_ready_o(given_ready[e]), .command_i(given),
      .finished_i(finished_q), .command_valid_o(command_valid[e]), .command_ready_i(command_ready[e]),
      .command_o(command[e])
    );
  end

  logic [Engines-1:0][CountWidth-1:0] finished_d;
  always_comb begin : count
    for (int unsigned e = 0; e < Engines; e++) finished_d[e] = finished_q[e] + CountWidth'(finished[e]);
    if (start_i) finished_d = '0;
  end
  always_ff @(posedge clk_i or negedge rst_ni) begin : counts
    if (!rst_ni) finished_q <= '0;
    else finished_q <= finished_d;
  end
  assign finished_o = finished;

  // The scratchpad and who uses it: loads, stores, three reads and a write of products, three and one of rows.
  logic [Ports-1:0] port_valid, port_ready, answer_valid;
  logic [Ports-1:0][AddressWidth-1:0] port_address;
  logic [Ports-1:0][SpadAddress-1:0] address;
  logic [Ports-1:0][WordWidth-1:0] port_data, answer;
  localparam logic [Ports-1:0] Writes = Ports'(10'b1000100001);

  always_comb begin : cut
    for (int unsigned p = 0; p < Ports; p++) address[p] = port_address[p][SpadAddress-1:0];
  end

  scratchpad #(.Ports(Ports), .Banks(Banks), .Words(BankWords), .WordBytes(Size)) u_scratchpad (
    .clk_i, .rst_ni, .req_valid_i(port_valid), .req_ready_o(port_ready), .req_write_i(Writes),
    .req_address_i(address), .req_strobe_i('1), .req_data_i(port_data),
    .rsp_valid_o(answer_valid), .rsp_ready_i('1), .rsp_data_o(answer)
  );

  load_engine #(.WordWidth(WordWidth), .AddressWidth(AddressWidth), .DramAddress(DramAddress)) u_load (
    .clk_i, .rst_ni, .command_valid_i(command_valid[0]), .command_ready_o(command_ready[0]),
    .command_i(load_t'(command[0][$bits(load_t)-1:0])), .finished_o(finished[0]),
    .request_valid_o(read_valid[1]), .request_ready_i(read_ready[1]), .request_o(load_address),
    .request_words_o(load_words), .data_valid_i(data_valid[1]), .data_ready_o(data_ready[1]), .data_i,
    .write_valid_o(port_valid[0]), .write_ready_i(port_ready[0]), .write_address_o(port_address[0]),
    .write_o(port_data[0])
  );

  store_engine #(.WordWidth(WordWidth), .AddressWidth(AddressWidth), .DramAddress(DramAddress)) u_store (
    .clk_i, .rst_ni, .command_valid_i(command_valid[1]), .command_ready_o(command_ready[1]),
    .command_i(store_t'(command[1][$bits(store_t)-1:0])), .finished_o(finished[1]),
    .read_valid_o(port_valid[1]), .read_ready_i(port_ready[1]), .read_address_o(port_address[1]),
    .answer_valid_i(answer_valid[1]), .answer_i(answer[1]),
    .data_valid_o(write_valid_o), .data_ready_i(write_ready_i), .data_address_o(write_address_o),
    .data_o(write_o)
  );

  matrix_engine #(.Size(Size), .AddressWidth(AddressWidth), .Depth(Depth)) u_matrix (
    .clk_i, .rst_ni, .command_valid_i(command_valid[2]), .command_ready_o(command_ready[2]),
    .command_i(matrix_t'(command[2][$bits(matrix_t)-1:0])), .finished_o(finished[2]),
    .read_valid_o(port_valid[4:2]), .read_ready_i(port_ready[4:2]), .read_address_o(port_address[4:2]),
    .answer_valid_i(answer_valid[4:2]), .answer_i(answer[4:2]),
    .write_valid_o(port_valid[5]), .write_ready_i(port_ready[5]), .write_address_o(port_address[5]),
    .write_o(port_data[5])
  );

  vector_engine #(.Size(Size), .Lanes(Lanes), .AddressWidth(AddressWidth), .MaxLength(MaxLength)) u_vector (
    .clk_i, .rst_ni, .command_valid_i(command_valid[3]), .command_ready_o(command_ready[3]),
    .command_i(vector_t'(command[3][$bits(vector_t)-1:0])), .finished_o(finished[3]),
    .read_valid_o(port_valid[8:6]), .read_ready_i(port_ready[8:6]), .read_address_o(port_address[8:6]),
    .answer_valid_i(answer_valid[8:6]), .answer_i(answer[8:6]),
    .write_valid_o(port_valid[9]), .write_ready_i(port_ready[9]), .write_address_o(port_address[9]),
    .write_o(port_data[9])
  );

  assign {port_data[8:6], port_data[4:1]} = '0;

  logic unused;
  assign unused = ^{port_address, command, answer_valid, answer[0], answer[5], answer[9]};

endmodule

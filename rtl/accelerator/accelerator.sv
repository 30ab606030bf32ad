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
  parameter int unsigned HeldWords   = 0,     // of the matrix engine's unit of signs; 0 for none
  parameter int unsigned HashLanes   = 0,     // of the hash engine, whose parameters follow; 0 for none
  parameter int unsigned HashBits    = 16,
  parameter int unsigned HashAnchors = 32,
  parameter int unsigned HashChunks  = 16,
  parameter int unsigned HashKeys    = 256,
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
  localparam int unsigned HashPorts    = HashLanes != 0 ? 4 : 0;
  localparam int unsigned Ports        = 10 + HashPorts;
  localparam int unsigned RequestWidth = DramAddress + CountWidth;

  // Commands.
  logic [Engines-1:0] given_valid, given_ready, command_valid, command_ready, finished;
  logic [CommandWidth-1:0] given;
  logic [Engines-1:0][CommandWidth-1:0] command;
  logic [Events-1:0] event_now;
  logic [Events-1:0][CountWidth-1:0] happened_d, happened_q;
  logic [1:0] read_valid, read_ready, data_valid, data_ready;
  logic [1:0][RequestWidth-1:0] read;
  logic [DramAddress-1:0] fetch_address, load_address;
  logic [CountWidth-1:0] load_words;

  sequencer #(.WordWidth(WordWidth), .DramAddress(DramAddress)) u_sequencer (
    .clk_i, .rst_ni, .start_i, .program_i, .done_o,
    .request_valid_o(read_valid[0]), .request_ready_i(read_ready[0]), .request_o(fetch_address),
    .data_valid_i(data_valid[0]), .data_i,
    .command_valid_o(given_valid), .command_ready_i(given_ready), .command_o(given),
    .finished_i(happened_q[Engines-1:0])
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
    command_queue #(.Width(CommandWidth), .Events(Events), .CountWidth(CountWidth), .NeedsAt(NeedsAt)) u_queue (
      .clk_i, .rst_ni, .command_valid_i(given_valid[e]), .command_ready_o(given_ready[e]), .command_i(given),
      .happened_i(happened_q), .command_valid_o(command_valid[e]), .command_ready_i(command_ready[e]),
      .command_o(command[e])
    );
  end

  assign event_now[Engines-1:0] = finished;
  always_comb begin : count
    for (int unsigned e = 0; e < Events; e++) happened_d[e] = happened_q[e] + CountWidth'(event_now[e]);
    if (start_i) happened_d = '0;
  end
  always_ff @(posedge clk_i or negedge rst_ni) begin : counts
    if (!rst_ni) happened_q <= '0;
    else happened_q <= happened_d;
  end
  assign finished_o = finished;

  // The scratchpad and who uses it. The lower port is served first: streams that lose a cycle whenever they wait
  // come first, those that run ahead come last.
  localparam int unsigned Act = 0, A = 1, B = 2, Result = 3, Row = 4, Weight = 5, Setting = 6, Norm = 7, Load = 8,
                          Store = 9, HashFirst = 10;
  localparam logic [Ports-1:0] Writes = Ports'((32'd1 << Result) | (32'd1 << Row) | (32'd1 << Load)
                                              | (32'd1 << (HashFirst + 3)));
  logic [Ports-1:0] port_valid, port_ready, answer_valid;
  logic [Ports-1:0][AddressWidth-1:0] port_address;
  logic [Ports-1:0][SpadAddress-1:0] address;
  logic [Ports-1:0][WordWidth-1:0] port_data, answer;

  always_comb begin : cut
    for (int unsigned p = 0; p < Ports; p++) address[p] = port_address[p][SpadAddress-1:0];
  end

  scratchpad #(
    .Ports(Ports), .Banks(Banks), .Words(BankWords), .WordBytes(Size), .RoundRobin(1'b0)
  ) u_scratchpad (
    .clk_i, .rst_ni, .req_valid_i(port_valid), .req_ready_o(port_ready), .req_write_i(Writes),
    .req_address_i(address), .req_strobe_i('1), .req_data_i(port_data),
    .rsp_valid_o(answer_valid), .rsp_ready_i('1), .rsp_data_o(answer)
  );

  load_engine #(.WordWidth(WordWidth), .AddressWidth(AddressWidth), .DramAddress(DramAddress)) u_load (
    .clk_i, .rst_ni, .command_valid_i(command_valid[0]), .command_ready_o(command_ready[0]),
    .command_i(load_t'(command[0][$bits(load_t)-1:0])), .finished_o(finished[0]),
    .request_valid_o(read_valid[1]), .request_ready_i(read_ready[1]), .request_o(load_address),
    .request_words_o(load_words), .data_valid_i(data_valid[1]), .data_ready_o(data_ready[1]), .data_i,
    .write_valid_o(port_valid[Load]), .write_ready_i(port_ready[Load]),
    .write_address_o(port_address[Load]), .write_o(port_data[Load])
  );

  store_engine #(.WordWidth(WordWidth), .AddressWidth(AddressWidth), .DramAddress(DramAddress)) u_store (
    .clk_i, .rst_ni, .command_valid_i(command_valid[1]), .command_ready_o(command_ready[1]),
    .command_i(store_t'(command[1][$bits(store_t)-1:0])), .finished_o(finished[1]),
    .read_valid_o(port_valid[Store]), .read_ready_i(port_ready[Store]),
    .read_address_o(port_address[Store]), .answer_valid_i(answer_valid[Store]), .answer_i(answer[Store]),
    .data_valid_o(write_valid_o), .data_ready_i(write_ready_i), .data_address_o(write_address_o),
    .data_o(write_o)
  );

  logic [2:0] matrix_valid, vector_valid;
  logic [2:0][AddressWidth-1:0] matrix_address, vector_address;
  matrix_engine #(
    .Size(Size), .AddressWidth(AddressWidth), .Depth(Depth), .HeldWords(HeldWords)
  ) u_matrix (
    .clk_i, .rst_ni, .command_valid_i(command_valid[2]), .command_ready_o(command_ready[2]),
    .command_i(matrix_t'(command[2][$bits(matrix_t)-1:0])), .finished_o(finished[2]),
    .reads_done_o(event_now[EventMatrixReads]), .read_valid_o(matrix_valid),
    .read_ready_i({port_ready[Setting], port_ready[Weight], port_ready[Act]}),
    .read_address_o(matrix_address),
    .answer_valid_i({answer_valid[Setting], answer_valid[Weight], answer_valid[Act]}),
    .answer_i({answer[Setting], answer[Weight], answer[Act]}),
    .write_valid_o(port_valid[Result]), .write_ready_i(port_ready[Result]),
    .write_address_o(port_address[Result]), .write_o(port_data[Result])
  );
  assign {port_valid[Setting], port_valid[Weight], port_valid[Act]}       = matrix_valid;
  assign {port_address[Setting], port_address[Weight], port_address[Act]} = matrix_address;

  vector_engine #(.Size(Size), .Lanes(Lanes), .AddressWidth(AddressWidth), .MaxLength(MaxLength)) u_vector (
    .clk_i, .rst_ni, .command_valid_i(command_valid[3]), .command_ready_o(command_ready[3]),
    .command_i(vector_t'(command[3][$bits(vector_t)-1:0])), .finished_o(finished[3]),
    .reads_done_o(event_now[EventVectorReads]), .read_valid_o(vector_valid),
    .read_ready_i({port_ready[Norm], port_ready[B], port_ready[A]}), .read_address_o(vector_address),
    .answer_valid_i({answer_valid[Norm], answer_valid[B], answer_valid[A]}),
    .answer_i({answer[Norm], answer[B], answer[A]}),
    .write_valid_o(port_valid[Row]), .write_ready_i(port_ready[Row]),
    .write_address_o(port_address[Row]), .write_o(port_data[Row])
  );
  assign {port_valid[Norm], port_valid[B], port_valid[A]}       = vector_valid;
  assign {port_address[Norm], port_address[B], port_address[A]} = vector_address;

  if (HashLanes != 0) begin : gen_hash
    hash_engine #(
      .Size(Size), .Lanes(HashLanes), .Bits(HashBits), .Anchors(HashAnchors), .Chunks(HashChunks), .Keys(HashKeys),
      .AddressWidth(AddressWidth)
    ) u_hash (
      .clk_i, .rst_ni, .command_valid_i(command_valid[EngineHash]), .command_ready_o(command_ready[EngineHash]),
      .command_i(hash_t'(command[EngineHash][$bits(hash_t)-1:0])), .finished_o(finished[EngineHash]),
      .reads_done_o(event_now[EventHashReads]), .read_valid_o(port_valid[HashFirst+:3]),
      .read_ready_i(port_ready[HashFirst+:3]), .read_address_o(port_address[HashFirst+:3]),
      .answer_valid_i(answer_valid[HashFirst+:3]), .answer_i(answer[HashFirst+:3]),
      .write_valid_o(port_valid[HashFirst+3]), .write_ready_i(port_ready[HashFirst+3]),
      .write_address_o(port_address[HashFirst+3]), .write_o(port_data[HashFirst+3])
    );
    assign port_data[HashFirst+:3] = '0;
    logic unused_answer;
    assign unused_answer = ^answer[HashFirst+3];
  end else begin : gen_no_hash
    assign {command_ready[EngineHash], finished[EngineHash], event_now[EventHashReads]} = '0;
    logic unused_hash;
    assign unused_hash = ^{HashBits, HashAnchors, HashChunks, HashKeys, command_valid[EngineHash]};
  end

  assign {port_data[Store], port_data[Norm], port_data[Setting], port_data[Weight]} = '0;
  assign {port_data[B], port_data[A], port_data[Act]}                               = '0;

  logic unused;
  assign unused = ^{port_address, command, answer_valid, answer[Result], answer[Row], answer[Load]};

endmodule

// Fetches commands from DRAM, one after another, and hands each to its engine's queue.
//
// `start_i` begins with the command at word `program_i`; `end` waits until every engine has finished what it
// was given and raises `done_o`, which falls with the next start. What stands behind `end` may be fetched, but
// is thrown away before `done_o` rises, so that the next program begins with nothing in flight.
module sequencer
  import commands_pkg::*;
#(
  parameter int unsigned WordWidth   = 128,
  parameter int unsigned DramAddress = 32,
  parameter int unsigned Ahead       = 4  // commands fetched ahead
) (
  input  logic                               clk_i,
  input  logic                               rst_ni,
  input  logic                               start_i,
  input  logic [DramAddress-1:0]             program_i,
  output logic                               done_o,
  // Reads of one command each.
  output logic                               request_valid_o,
  input  logic                               request_ready_i,
  output logic [DramAddress-1:0]             request_o,
  input  logic                               data_valid_i,
  input  logic [WordWidth-1:0]               data_i,
  // One engine's queue takes a command.
  output logic [Engines-1:0]                 command_valid_o,
  input  logic [Engines-1:0]                 command_ready_i,
  output logic [CommandWidth-1:0]            command_o,
  input  logic [Engines-1:0][CountWidth-1:0] finished_i
);

  localparam int unsigned Words      = CommandWidth / WordWidth;
  localparam int unsigned PlaceWidth = Words > 1 ? $clog2(Words) : 1;
  localparam int unsigned AheadWidth = $clog2(Ahead + 1);

  logic fetching_q, ending_q, taken, asked, gathered, fifo_ready, fifo_valid, is_end, unused;
  logic [AheadWidth-1:0] flight_q;  // commands asked for and not yet taken
  logic [DramAddress-1:0] next_q;
  logic [PlaceWidth-1:0] place_q;
  logic [CommandWidth-1:0] gather_d, gather_q;
  logic [Engines-1:0][CountWidth-1:0] given_d, given_q;
  logic [3:0] opcode;

  // Fetch: a place in the FIFO is taken with the request.
  assign request_valid_o = fetching_q && flight_q != AheadWidth'(Ahead);
  assign request_o       = next_q;
  assign asked           = request_valid_o && request_ready_i;
  assign gather_d        = Words > 1 ? CommandWidth'({data_i, gather_q} >> WordWidth) : CommandWidth'(data_i);
  assign gathered        = data_valid_i && place_q == PlaceWidth'(Words - 1);

  fifo #(.Width(CommandWidth), .Depth(Ahead)) u_commands (
    .clk_i, .rst_ni,
    .in_valid_i(gathered), .in_ready_o(fifo_ready), .in_i(gather_d),
    .out_valid_o(fifo_valid), .out_ready_i(taken), .out_o(command_o)
  );

  // Hand out: to the queue that the opcode names; after `end` everything is thrown away.
  assign opcode = command_o[3:0];
  assign is_end = opcode == OpcodeEnd;
  always_comb begin : hand_out
    taken = ending_q || is_end;
    for (int unsigned e = 0; e < Engines; e++) begin
      command_valid_o[e] = fifo_valid && !ending_q && opcode == 4'(e + 1);
      taken = taken || (command_valid_o[e] && command_ready_i[e]);
      given_d[e] = given_q[e] + CountWidth'(command_valid_o[e] && command_ready_i[e]);
    end
    if (start_i) given_d = '0;
  end

  assign done_o = ending_q && flight_q == '0 && given_q == finished_i;

  always_ff @(posedge clk_i or negedge rst_ni) begin : state
    if (!rst_ni) {fetching_q, ending_q, flight_q, place_q, given_q} <= '0;
    else begin
      fetching_q <= (fetching_q || start_i) && !(fifo_valid && is_end);
      ending_q   <= (ending_q || (fifo_valid && is_end)) && !start_i;
      flight_q   <= flight_q + AheadWidth'(asked) - AheadWidth'(fifo_valid && taken);
      given_q    <= given_d;
      if (data_valid_i) place_q <= gathered ? '0 : place_q + 1'b1;
    end
  end

  always_ff @(posedge clk_i) begin : fetch
    if (start_i) next_q <= program_i;
    else if (asked) next_q <= next_q + DramAddress'(Words);
    if (data_valid_i) gather_q <= gather_d;
  end

  assign unused = fifo_ready;

endmodule

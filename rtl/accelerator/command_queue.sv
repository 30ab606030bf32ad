// Commands that wait for an engine: the first is handed over once everything it needs is finished.
//
// `happened_i` counts how often each event has happened since the start, modulo 2**CountWidth; a need is met
// once the difference is not negative, so that counters may wrap.
module command_queue #(
  parameter int unsigned Width      = 512,
  parameter int unsigned Events     = 6,
  parameter int unsigned CountWidth = 16,
  parameter int unsigned NeedsAt    = 8,  // bit of a command at which the needs begin
  parameter int unsigned Depth      = 4
) (
  input  logic                              clk_i,
  input  logic                              rst_ni,
  input  logic                              command_valid_i,
  output logic                              command_ready_o,
  input  logic [Width-1:0]                  command_i,
  input  logic [Events-1:0][CountWidth-1:0] happened_i,
  output logic                              command_valid_o,
  input  logic                              command_ready_i,
  output logic [Width-1:0]                  command_o
);

  logic waiting, met;
  logic [Events-1:0][CountWidth-1:0] needs, ahead;

  assign needs = command_o[NeedsAt+:Events*CountWidth];

  always_comb begin : compare
    met = 1'b1;
    for (int unsigned e = 0; e < Events; e++) begin
      ahead[e] = happened_i[e] - needs[e];
      met = met && !ahead[e][CountWidth-1];
    end
  end

  fifo #(.Width(Width), .Depth(Depth)) u_fifo (
    .clk_i, .rst_ni,
    .in_valid_i(command_valid_i), .in_ready_o(command_ready_o), .in_i(command_i),
    .out_valid_o(waiting), .out_ready_i(command_ready_i && met), .out_o(command_o)
  );

  assign command_valid_o = waiting && met;

endmodule

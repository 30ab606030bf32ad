// Two readers of one DRAM: requests alternate when both are there, data goes to who asked for it.
//
// DRAM answers in order; the last word of each request says so. Both readers must take data when it comes.
module dram_reads #(
  parameter int unsigned RequestWidth = 48,
  parameter int unsigned Depth        = 16  // requests in flight
) (
  input  logic                         clk_i,
  input  logic                         rst_ni,
  input  logic [1:0]                   request_valid_i,
  output logic [1:0]                   request_ready_o,
  input  logic [1:0][RequestWidth-1:0] request_i,
  output logic                         dram_valid_o,
  input  logic                         dram_ready_i,
  output logic [RequestWidth-1:0]      dram_o,
  input  logic                         data_valid_i,
  output logic                         data_ready_o,
  input  logic                         data_last_i,
  output logic [1:0]                   data_valid_o,
  input  logic [1:0]                   data_ready_i
);

  logic pick, before_q, room, waiting, whose;

  assign pick            = request_valid_i == 2'b11 ? !before_q : request_valid_i[1];
  assign dram_valid_o    = request_valid_i != '0 && room;
  assign dram_o          = request_i[pick];
  assign request_ready_o = {pick, !pick} & {2{dram_ready_i && room}};

  fifo #(.Width(1), .Depth(Depth)) u_order (
    .clk_i, .rst_ni,
    .in_valid_i(dram_valid_o && dram_ready_i), .in_ready_o(room), .in_i(pick),
    .out_valid_o(waiting), .out_ready_i(data_valid_i && data_ready_o && data_last_i), .out_o(whose)
  );

  assign data_valid_o = {whose, !whose} & {2{data_valid_i && waiting}};
  assign data_ready_o = waiting && data_ready_i[whose];

  always_ff @(posedge clk_i or negedge rst_ni) begin : turn
    if (!rst_ni) before_q <= 1'b0;
    else if (dram_valid_o && dram_ready_i) before_q <= pick;
  end

endmodule

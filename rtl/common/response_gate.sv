// For benches: lets answers through only after they were asked for, a given number of cycles later.
//
// Stands between a bench that knows all answers beforehand and the unit that asks: `asked_i` tells that a
// request for `beats_i` answers was taken in this cycle, the first of which can pass Latency cycles later (one
// at least), one a cycle. Who asks faster than it is answered has any number of answers outstanding.
module response_gate #(
  parameter int unsigned Latency    = 1,
  parameter int unsigned BeatsWidth = 1
) (
  input  logic                  clk_i,
  input  logic                  rst_ni,
  input  logic                  asked_i,
  input  logic [BeatsWidth-1:0] beats_i,
  input  logic                  in_valid_i,
  output logic                  in_ready_o,
  output logic                  out_valid_o,
  input  logic                  out_ready_i
);

  localparam int unsigned Stage = Latency > 1 ? Latency - 2 : 0;

  logic [BeatsWidth-1:0] asked, due;
  logic [Latency-1:0][BeatsWidth-1:0] due_q;
  logic [31:0] owed_q;
  logic owing;

  assign asked       = asked_i ? beats_i : '0;
  assign owing       = owed_q != '0;
  assign out_valid_o = in_valid_i && owing;
  assign in_ready_o  = out_ready_i && owing;

  // What was asked for one cycle ago and more; one stage more than is needed, so that one cycle is no case.
  always_ff @(posedge clk_i or negedge rst_ni) begin : delay
    if (!rst_ni) due_q <= '0;
    else due_q <= (Latency * BeatsWidth)'({due_q, asked});
  end
  assign due = Latency > 1 ? due_q[Stage] : asked;

  always_ff @(posedge clk_i or negedge rst_ni) begin : account
    if (!rst_ni) owed_q <= '0;
    else owed_q <= owed_q + 32'(due) - 32'(in_valid_i && in_ready_o);
  end

endmodule

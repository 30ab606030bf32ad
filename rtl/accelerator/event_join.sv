// Streams of one engine each say when they have done their part of a command; this says when all have.
//
// A stream may be up to 2**CountWidth - 1 commands ahead of the slowest.
module event_join #(
  parameter int unsigned Streams    = 3,
  parameter int unsigned CountWidth = 4
) (
  input  logic               clk_i,
  input  logic               rst_ni,
  input  logic [Streams-1:0] done_i,
  output logic               all_done_o
);

  logic [Streams-1:0][CountWidth-1:0] ahead_d, ahead_q;
  logic [Streams-1:0] there;

  always_comb begin : count
    for (int unsigned s = 0; s < Streams; s++) begin
      there[s]   = ahead_q[s] != '0 || done_i[s];
    end
    all_done_o = &there;
    for (int unsigned s = 0; s < Streams; s++) begin
      ahead_d[s] = ahead_q[s] + CountWidth'(done_i[s]) - CountWidth'(all_done_o);
    end
  end

  always_ff @(posedge clk_i or negedge rst_ni) begin : counts
    if (!rst_ni) ahead_q <= '0;
    else ahead_q <= ahead_d;
  end

endmodule

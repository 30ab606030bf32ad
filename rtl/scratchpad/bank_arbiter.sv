// Which of the ports that ask is served: one at most, and one whenever any asks.
//
// Without RoundRobin the lowest; a port may then starve behind a busy lower one. With it, the first one
// behind the port that was served last.
module bank_arbiter #(
  parameter int unsigned Ports      = 2,
  parameter bit          RoundRobin = 1'b1
) (
  input  logic             clk_i,
  input  logic             rst_ni,
  input  logic [Ports-1:0] ask_i,
  output logic [Ports-1:0] serve_o
);

  logic [Ports-1:0] behind, first;

  // The lowest bit that is set, of those whose turn it is if there are any.
  assign first   = |(ask_i & behind) ? ask_i & behind : ask_i;
  assign serve_o = first & (~first + 1'b1);

  if (RoundRobin) begin : gen_turn
    logic [Ports-1:0] behind_q;

    always_ff @(posedge clk_i or negedge rst_ni) begin : turn
      if (!rst_ni) behind_q <= '1;
      else if (|serve_o) behind_q <= ~(serve_o | (serve_o - 1'b1));
    end

    assign behind = behind_q;
  end else begin : gen_fixed
    logic unused;
    assign unused = ^{clk_i, rst_ni};
    assign behind = '1;
  end

endmodule

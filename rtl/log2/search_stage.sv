// One bit of each code: is the value at most the limit in the middle of what is left? One register.
module search_stage #(
  parameter int unsigned Lanes    = 4,
  parameter int unsigned CodeBits = 4,
  parameter int unsigned Bit      = 3  // the bit that is found; those above it are known, those below are 0
) (
  input  logic                             clk_i,
  input  logic                             load_i,
  // The limit of code k - 1 lies at place k.
  input  logic [2**CodeBits-1:0][15:0]     limit_i,
  input  logic [Lanes-1:0][15:0]           x_i,
  input  logic [Lanes-1:0][CodeBits-1:0]   code_i,
  output logic [Lanes-1:0][15:0]           x_o,
  output logic [Lanes-1:0][CodeBits-1:0]   code_o
);

  logic [Lanes-1:0][15:0] x_q;
  logic [Lanes-1:0][CodeBits-1:0] tried, code_d, code_q;

  always_comb begin : find
    for (int unsigned l = 0; l < Lanes; l++) begin
      tried[l]  = code_i[l] | (CodeBits'(1) << Bit);
      code_d[l] = x_i[l] <= limit_i[tried[l]] ? tried[l] : code_i[l];
    end
  end

  always_ff @(posedge clk_i) begin : hold
    if (load_i) {x_q, code_q} <= {x_i, code_d};
  end

  assign x_o    = x_q;
  assign code_o = code_q;

endmodule

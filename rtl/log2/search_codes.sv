// Codes of any base and scale by a search among limits, a bit of the code in each of CodeBits registers.
module search_codes #(
  parameter int unsigned Lanes    = 4,
  parameter int unsigned CodeBits = 4
) (
  input  logic                           clk_i,
  input  logic                           rst_ni,
  input  logic                           limit_valid_i,
  output logic                           limit_ready_o,
  input  logic [15:0]                    limit_i,
  input  logic                           x_valid_i,
  output logic                           x_ready_o,
  input  logic                           x_last_i,
  input  logic [Lanes-1:0][15:0]         x_i,
  output logic                           y_valid_o,
  input  logic                           y_ready_i,
  output logic                           y_last_o,
  output logic [Lanes-1:0][CodeBits-1:0] y_o
);

  localparam int unsigned Limits = 2 ** CodeBits - 1;

  logic open, free;
  logic [CodeBits-1:0] load;
  logic [Limits-1:0][15:0] limit;
  // Place s goes into the s-th stage, place s + 1 comes out of it.
  logic [CodeBits:0][Lanes-1:0][15:0] x;
  logic [CodeBits:0][Lanes-1:0][CodeBits-1:0] code;

  limit_table #(.Limits(Limits), .Width(16)) u_limits (
    .clk_i, .rst_ni, .limit_valid_i, .limit_ready_o, .limit_i, .limit_o(limit), .open_o(open),
    .last_enters_i(x_valid_i && x_ready_o && x_last_i),
    .last_leaves_i(y_valid_o && y_ready_i && y_last_o)
  );

  assign x_ready_o = open && free;

  elastic #(.Stages(CodeBits)) u_flow (
    .clk_i, .rst_ni, .valid_i(x_valid_i && open), .ready_o(free), .valid_o(y_valid_o), .ready_i(y_ready_i),
    .load_o(load)
  );

  elastic_delay #(.Stages(CodeBits), .Width(1)) u_last (
    .clk_i, .load_i(load), .beat_i(x_last_i), .beat_o(y_last_o)
  );

  assign x[0]    = x_i;
  assign code[0] = '0;

  for (genvar s = 0; s < CodeBits; s++) begin : gen_stage
    search_stage #(.Lanes(Lanes), .CodeBits(CodeBits), .Bit(CodeBits - 1 - s)) u_stage (
      .clk_i, .load_i(load[s]), .limit_i({limit, 16'b0}),
      .x_i(x[s]), .code_i(code[s]), .x_o(x[s+1]), .code_o(code[s+1])
    );
  end

  assign y_o = code[CodeBits];

  logic unused;
  assign unused = ^x[CodeBits];

endmodule

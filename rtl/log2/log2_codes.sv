// Probabilities to codes in a logarithm; how they are found is a parameter.
module log2_codes #(
  parameter int unsigned Lanes    = 4,
  parameter int unsigned CodeBits = 4,  // 1 to 8
  parameter bit          Search   = 1'b0  // 0 by the leading one, base two and scale 1; 1 among limits
) (
  input  logic                           clk_i,
  input  logic                           rst_ni,
  // A search only, else never taken: 2**CodeBits - 1 beats before the values that they are for.
  input  logic                           limit_valid_i,
  output logic                           limit_ready_o,
  input  logic [15:0]                    limit_i,
  // Values in Q.15 without a sign; the last beat that the limits are for says so.
  input  logic                           x_valid_i,
  output logic                           x_ready_o,
  input  logic                           x_last_i,
  input  logic [Lanes-1:0][15:0]         x_i,
  output logic                           y_valid_o,
  input  logic                           y_ready_i,
  output logic                           y_last_o,
  output logic [Lanes-1:0][CodeBits-1:0] y_o
);

  if (Search) begin : gen_search
    search_codes #(.Lanes(Lanes), .CodeBits(CodeBits)) u_codes (
      .clk_i, .rst_ni, .limit_valid_i, .limit_ready_o, .limit_i,
      .x_valid_i, .x_ready_o, .x_last_i, .x_i, .y_valid_o, .y_ready_i, .y_last_o, .y_o
    );
  end else begin : gen_leading
    leading_codes #(.Lanes(Lanes), .CodeBits(CodeBits)) u_codes (
      .clk_i, .rst_ni, .x_valid_i, .x_ready_o, .x_last_i, .x_i, .y_valid_o, .y_ready_i, .y_last_o, .y_o
    );
    logic unused;
    assign limit_ready_o = 1'b0;
    assign unused        = ^{limit_valid_i, limit_i};
  end

endmodule

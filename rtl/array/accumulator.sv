// Adds up the folds of a product: row i of a fold's sums is added to row i of the folds before it.
//
// A beat that accumulates is added to what its row holds; one that does not begins the row anew. A beat
// that emits hands the total over in the same cycle; the others leave nothing to wait for. The memory is
// read within the cycle: registers or a register file, not an SRAM with a registered output.
module accumulator #(
  parameter int unsigned Columns  = 4,
  parameter int unsigned SumWidth = 32,
  parameter int unsigned Depth    = 64
) (
  input  logic                             clk_i,
  input  logic                             rst_ni,
  // Rows 0, 1, ... of a fold; the beat that says last is followed by row 0.
  input  logic                             sum_valid_i,
  output logic                             sum_ready_o,
  input  logic                             sum_last_i,
  input  logic                             sum_accumulate_i,
  input  logic                             sum_emit_i,
  input  logic [Columns-1:0][SumWidth-1:0] sum_i,
  // Rows of the product.
  output logic                             total_valid_o,
  input  logic                             total_ready_i,
  output logic [Columns-1:0][SumWidth-1:0] total_o
);

  localparam int unsigned RowWidth = Depth > 1 ? $clog2(Depth) : 1;

  logic [Columns-1:0][SumWidth-1:0] held_q[Depth];
  logic [RowWidth-1:0] row_q;
  logic accepted;

  assign total_valid_o = sum_valid_i && sum_emit_i;
  assign sum_ready_o   = total_ready_i || !sum_emit_i;
  assign accepted      = sum_valid_i && sum_ready_o;

  always_comb begin : add
    for (int unsigned c = 0; c < Columns; c++) begin
      total_o[c] = sum_i[c] + (sum_accumulate_i ? held_q[row_q][c] : '0);
    end
  end

  always_ff @(posedge clk_i) begin : hold
    if (accepted) held_q[row_q] <= total_o;
  end

  always_ff @(posedge clk_i or negedge rst_ni) begin : row
    if (!rst_ni) row_q <= '0;
    else if (accepted) row_q <= sum_last_i ? '0 : row_q + 1'b1;
  end

endmodule

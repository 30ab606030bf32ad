// A fold's counts, handed on a row a cycle as signed sums, the first row first.
//
// The next fold is taken by the edge that hands on the last row, so that folds which are as many words long
// as there are rows follow each other without a gap.
module binary_rows #(
  parameter int unsigned Rows       = 4,
  parameter int unsigned Columns    = 4,
  parameter int unsigned CountWidth = 16,
  parameter int unsigned SumWidth   = CountWidth + 2
) (
  input  logic                                         clk_i,
  input  logic                                         rst_ni,

  input  logic                                         fold_valid_i,
  output logic                                         fold_ready_o,
  input  logic                                         fold_doubled_i,
  input  logic [Rows-1:0][Columns-1:0][CountWidth-1:0] fold_count_i,
  input  logic [Rows-1:0][CountWidth-1:0]              fold_offset_i,

  output logic                                         row_valid_o,
  input  logic                                         row_ready_i,
  output logic                                         row_first_o,
  output logic [Columns-1:0][SumWidth-1:0]             row_sum_o
);

  localparam int unsigned LeftWidth = $clog2(Rows + 1);

  logic [LeftWidth-1:0] left_q;
  logic [Rows-1:0][Columns-1:0][CountWidth-1:0] count_q;
  logic [Rows-1:0][CountWidth-1:0] offset_q;
  logic doubled_q;
  logic leaves, load;

  assign row_valid_o  = left_q != '0;
  assign row_first_o  = left_q == LeftWidth'(Rows);
  assign leaves       = row_valid_o && row_ready_i;
  assign fold_ready_o = !row_valid_o || (leaves && left_q == LeftWidth'(1));
  assign load         = fold_valid_i && fold_ready_o;

  always_comb begin : row
    for (int unsigned c = 0; c < Columns; c++) begin
      row_sum_o[c] = (SumWidth'(count_q[0][c]) << doubled_q) - SumWidth'(offset_q[0]);
    end
  end

  always_ff @(posedge clk_i or negedge rst_ni) begin : left
    if (!rst_ni) left_q <= '0;
    else if (load) left_q <= LeftWidth'(Rows);
    else if (leaves) left_q <= left_q - 1'b1;
  end

  always_ff @(posedge clk_i) begin : rows
    if (load) begin
      {doubled_q, count_q, offset_q} <= {fold_doubled_i, fold_count_i, fold_offset_i};
    end else if (leaves) begin
      count_q  <= count_q >> (Columns * CountWidth);
      offset_q <= offset_q >> CountWidth;
    end
  end

endmodule

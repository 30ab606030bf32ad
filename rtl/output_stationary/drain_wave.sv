// A second register beside each sum: sums are copied out of the cells and leave while the next ones add up.
//
// Column c does what column 0 did c steps ago. A sum is copied in the step after its last product; once the
// bottom row has been copied, a column moves down in each of Rows steps, and in the n-th of them only rows n
// and below still hold anything that has to move. So row r is free again r + 1 steps later, and the next
// copies, a step later in each row too, may follow Rows steps after these.
module drain_wave #(
  parameter int unsigned Rows     = 4,
  parameter int unsigned Columns  = 4,
  parameter int unsigned SumWidth = 32
) (
  input  logic                                       clk_i,
  input  logic                                       advance_i,
  // A fold's last beat entered i + 1 steps ago.
  input  logic [2*Rows+Columns-2:0]                  last_i,
  input  logic [Rows-1:0][Columns-1:0][SumWidth-1:0] sum_i,
  // A row of sums, the last row first.
  output logic [Columns-1:0][SumWidth-1:0]           row_o
);

  logic [Rows-1:0][Columns-1:0][SumWidth-1:0] held_d, held_q;

  always_comb begin : move
    held_d = held_q;
    for (int unsigned c = 0; c < Columns; c++) begin
      automatic logic moves;
      moves = 1'b0;
      for (int unsigned r = 0; r < Rows; r++) begin
        if (moves) held_d[r][c] = held_q[r == 0 ? 0 : r-1][c];
        if (last_i[r+c]) held_d[r][c] = sum_i[r][c];
        moves = moves || last_i[Rows+c+r];
      end
    end
  end

  always_ff @(posedge clk_i) begin : hold
    if (advance_i) held_q <= held_d;
  end

  skew #(.Lanes(Columns), .Width(SumWidth), .Reverse(1'b1)) u_row_skew (
    .clk_i, .advance_i, .lanes_i(held_q[Rows-1]), .lanes_o(row_o)
  );

endmodule

// The sum, the sum of squares and the number of a row's elements, while its beats go by. Three registers.
module norm_sums #(
  parameter int unsigned Lanes        = 4,
  parameter int unsigned ValueWidth   = 24,
  parameter int unsigned CountWidth   = 7,
  parameter int unsigned SumWidth     = ValueWidth + CountWidth,
  parameter int unsigned SquaresWidth = 2 * ValueWidth - 1 + CountWidth
) (
  input  logic                             clk_i,
  input  logic                             rst_ni,
  input  logic                             x_valid_i,
  output logic                             x_ready_o,
  input  logic                             x_last_i,
  input  logic [Lanes-1:0]                 x_keep_i,
  input  logic [Lanes-1:0][ValueWidth-1:0] x_i,
  output logic                             row_valid_o,
  input  logic                             row_ready_i,
  output logic [SumWidth-1:0]              sum_o,
  output logic [SquaresWidth-1:0]          squares_o,
  output logic [CountWidth-1:0]            count_o
);

  localparam int unsigned SquareWidth = 2 * ValueWidth - 1;

  logic [1:0] load;
  logic beat_valid, row_free, taken, first_q, row_valid_q;
  logic [1:0] last_q;
  logic [Lanes-1:0] keep_q;
  logic [Lanes-1:0][ValueWidth-1:0] kept_d, kept_q;
  logic [Lanes-1:0][SquareWidth-1:0] square_d, square_q;
  // Of a beat, and of the row up to it.
  logic [SumWidth-1:0] sum_d, sum_q, row_sum_q;
  logic [SquaresWidth-1:0] squares_d, squares_q, row_squares_q;
  logic [CountWidth-1:0] count_d, count_q, row_count_q;

  elastic #(.Stages(2)) u_flow (
    .clk_i, .rst_ni, .valid_i(x_valid_i), .ready_o(x_ready_o), .valid_o(beat_valid), .ready_i(row_free),
    .load_o(load)
  );

  always_comb begin : lanes
    {sum_d, squares_d, count_d} = '0;
    for (int unsigned l = 0; l < Lanes; l++) begin
      kept_d[l]   = x_keep_i[l] ? x_i[l] : '0;
      square_d[l] = SquareWidth'($signed(kept_d[l])) * SquareWidth'($signed(kept_d[l]));
      sum_d       = sum_d + SumWidth'($signed(kept_q[l]));
      squares_d   = squares_d + SquaresWidth'(square_q[l]);
      count_d     = count_d + CountWidth'(keep_q[l]);
    end
  end

  // A row's sums stay until they are taken: until then no beat of the next row is added.
  assign row_free = row_ready_i || !row_valid_q;
  assign taken    = beat_valid && row_free;

  always_ff @(posedge clk_i) begin : stages
    if (load[0]) {kept_q, square_q, keep_q, last_q[0]} <= {kept_d, square_d, x_keep_i, x_last_i};
    if (load[1]) {sum_q, squares_q, count_q, last_q[1]} <= {sum_d, squares_d, count_d, last_q[0]};
    if (taken) begin
      row_sum_q     <= sum_q + (first_q ? '0 : row_sum_q);
      row_squares_q <= squares_q + (first_q ? '0 : row_squares_q);
      row_count_q   <= count_q + (first_q ? '0 : row_count_q);
    end
  end

  always_ff @(posedge clk_i or negedge rst_ni) begin : row
    if (!rst_ni) {first_q, row_valid_q} <= 2'b10;
    else begin
      if (taken) first_q <= last_q[1];
      if (row_free) row_valid_q <= taken && last_q[1];
    end
  end

  assign row_valid_o = row_valid_q;
  assign sum_o       = row_sum_q;
  assign squares_o   = row_squares_q;
  assign count_o     = row_count_q;

endmodule

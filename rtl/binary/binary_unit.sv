// The binary and ternary matrix unit: products of one- and two-bit elements, counted.
//
// A fold is Rows x Columns sums over the whole of K. Each of its beats brings one word of Width bits to every
// row (x) and every column (w); the last one says so. The fold's sums leave a row a beat, Rows beats long,
// scaled by the beat of settings (scale) that each fold takes. Sums of CountWidth bits must hold the ones of
// all words. Ready goes combinationally from `y_ready_i` to every input.
module binary_unit #(
  parameter int unsigned Rows       = 4,
  parameter int unsigned Columns    = 4,
  parameter int unsigned Width      = 16,
  parameter int unsigned CountWidth = 16,
  localparam int unsigned KeepWidth = $clog2(Width + 1)
) (
  input  logic                          clk_i,
  input  logic                          rst_ni,
  // Modes: 0 binary x binary, 1 binary01 x binary, 2 binary01 x binary01, 3 ternary x ternary. The lowest
  // x_keep_i bits of a beat's words are in use.
  input  logic                          x_valid_i,
  output logic                          x_ready_o,
  input  logic [1:0]                    x_mode_i,
  input  logic                          x_last_i,
  input  logic [KeepWidth-1:0]          x_keep_i,
  input  logic [Rows-1:0][Width-1:0]    x_i,

  input  logic                          w_valid_i,
  output logic                          w_ready_o,
  input  logic [Columns-1:0][Width-1:0] w_i,
  // Modes: 0 int32 sums, 1 int8, 2 bits.
  input  logic                          scale_valid_i,
  output logic                          scale_ready_o,
  input  logic [1:0]                    scale_mode_i,
  input  logic [Columns-1:0][31:0]      scale_factor_i,
  input  logic [Columns-1:0][5:0]       scale_shift_i,

  output logic                          y_valid_o,
  input  logic                          y_ready_i,
  output logic [Columns-1:0][31:0]      y_o
);

  localparam int unsigned SumWidth = CountWidth + 2;  // twice a count, less another, with a sign

  logic ready, fold_valid, fold_ready, fold_doubled, row_valid, row_ready, row_first;
  logic [Rows-1:0][Columns-1:0][CountWidth-1:0] fold_count;
  logic [Rows-1:0][CountWidth-1:0] fold_offset;
  logic [Columns-1:0][SumWidth-1:0] row_sum;

  // Words of rows and columns come together.
  assign x_ready_o = ready && w_valid_i;
  assign w_ready_o = ready && x_valid_i;

  binary_counts #(
    .Rows(Rows), .Columns(Columns), .Width(Width), .CountWidth(CountWidth), .KeepWidth(KeepWidth)
  ) u_counts (
    .clk_i, .rst_ni,
    .valid_i(x_valid_i && w_valid_i), .ready_o(ready), .mode_i(x_mode_i), .last_i(x_last_i),
    .keep_i(x_keep_i), .x_i, .w_i,
    .fold_valid_o(fold_valid), .fold_ready_i(fold_ready), .fold_doubled_o(fold_doubled),
    .fold_count_o(fold_count), .fold_offset_o(fold_offset)
  );

  binary_rows #(.Rows(Rows), .Columns(Columns), .CountWidth(CountWidth), .SumWidth(SumWidth)) u_rows (
    .clk_i, .rst_ni,
    .fold_valid_i(fold_valid), .fold_ready_o(fold_ready), .fold_doubled_i(fold_doubled),
    .fold_count_i(fold_count), .fold_offset_i(fold_offset),
    .row_valid_o(row_valid), .row_ready_i(row_ready), .row_first_o(row_first), .row_sum_o(row_sum)
  );

  binary_scale #(
    .Columns(Columns), .SumWidth(SumWidth), .FactorWidth(32), .ShiftWidth(6), .ResultWidth(8), .OutWidth(32)
  ) u_scale (
    .clk_i, .rst_ni,
    .row_valid_i(row_valid), .row_ready_o(row_ready), .row_first_i(row_first), .row_sum_i(row_sum),
    .scale_valid_i, .scale_ready_o, .scale_mode_i, .scale_factor_i, .scale_shift_i,
    .y_valid_o, .y_ready_i, .y_o
  );

endmodule

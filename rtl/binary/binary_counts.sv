// The grid of cells: words in, a fold's counts out.
//
// Every beat brings a word to each row and each column. Its ones are counted two registers later and added to
// the fold's counts, which leave with its last beat, all at once, in the cycle in which `fold_ready_i` is set.
// Doubled are the counts of modes whose ones and zeros stand for +1 and -1: the lower two.
module binary_counts #(
  parameter int unsigned Rows       = 4,
  parameter int unsigned Columns    = 4,
  parameter int unsigned Width      = 16,
  parameter int unsigned CountWidth = 16,
  parameter int unsigned KeepWidth  = $clog2(Width + 1)
) (
  input  logic                                         clk_i,
  input  logic                                         rst_ni,

  input  logic                                         valid_i,
  output logic                                         ready_o,
  input  logic [1:0]                                   mode_i,
  input  logic                                         last_i,
  input  logic [KeepWidth-1:0]                         keep_i,
  input  logic [Rows-1:0][Width-1:0]                   x_i,
  input  logic [Columns-1:0][Width-1:0]                w_i,

  output logic                                         fold_valid_o,
  input  logic                                         fold_ready_i,
  output logic                                         fold_doubled_o,
  output logic [Rows-1:0][Columns-1:0][CountWidth-1:0] fold_count_o,
  output logic [Rows-1:0][CountWidth-1:0]              fold_offset_o
);

  localparam int unsigned OnesWidth = $clog2(Width + 1);

  logic [1:0] load;
  logic counted, taken;

  elastic #(.Stages(2)) u_flow (
    .clk_i, .rst_ni, .valid_i, .ready_o, .valid_o(counted), .ready_i(taken), .load_o(load)
  );

  // Words.
  logic [1:0] mode_q;
  logic last_q;
  logic [Rows-1:0][Width-1:0] x, x_q, offset, offset_q;
  logic [Columns-1:0][Width-1:0] w, w_q;

  binary_words #(.Rows(Rows), .Columns(Columns), .Width(Width), .KeepWidth(KeepWidth)) u_words (
    .mode_i, .keep_i, .x_i, .w_i, .x_o(x), .w_o(w), .offset_o(offset)
  );

  always_ff @(posedge clk_i) begin : words
    if (load[0]) {mode_q, last_q, x_q, w_q, offset_q} <= {mode_i, last_i, x, w, offset};
  end

  // Ones of each cell's word, and of each row's offset.
  logic ones_doubled_q, ones_last_q;
  logic [Rows-1:0][Columns-1:0][OnesWidth-1:0] ones, ones_q;
  logic [Rows-1:0][OnesWidth-1:0] off, off_q;

  for (genvar r = 0; r < Rows; r++) begin : gen_row
    binary_popcount u_offset (.word_i(offset_q[r]), .count_o(off[r]));
    for (genvar c = 0; c < Columns; c++) begin : gen_cell
      binary_cell #(.Width(Width), .OnesWidth(OnesWidth)) u_cell (
        .mode_i(mode_q), .x_i(x_q[r]), .w_i(w_q[c]), .ones_o(ones[r][c])
      );
    end
  end

  always_ff @(posedge clk_i) begin : counts
    if (load[1]) {ones_doubled_q, ones_last_q, ones_q, off_q} <= {!mode_q[1], last_q, ones, off};
  end

  // Counts of the fold so far.
  logic first_q;
  logic [Rows-1:0][Columns-1:0][CountWidth-1:0] count_q;
  logic [Rows-1:0][CountWidth-1:0] total_q;

  assign taken = fold_ready_i || !ones_last_q;

  always_comb begin : add
    for (int unsigned r = 0; r < Rows; r++) begin
      fold_offset_o[r] = CountWidth'(off_q[r]) + (first_q ? '0 : total_q[r]);
      for (int unsigned c = 0; c < Columns; c++) begin
        fold_count_o[r][c] = CountWidth'(ones_q[r][c]) + (first_q ? '0 : count_q[r][c]);
      end
    end
  end

  always_ff @(posedge clk_i) begin : accumulate
    if (counted && taken) {count_q, total_q} <= {fold_count_o, fold_offset_o};
  end

  always_ff @(posedge clk_i or negedge rst_ni) begin : first
    if (!rst_ni) first_q <= 1'b1;
    else if (counted && taken) first_q <= ones_last_q;
  end

  assign fold_valid_o   = counted && ones_last_q;
  assign fold_doubled_o = ones_doubled_q;

endmodule

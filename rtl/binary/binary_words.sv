// Words as the cells take them: what lies beyond the last element masked, and what rows subtract later.
//
// Combinational. A word's bits from `keep_i` on may be anything: those of a row become 0 and those of a
// column 1, which count as nothing whatever the mode. The offset's ones are what the row's sums are too
// high by: every bit in use, the row's own ones, none, or one for each ternary element.
module binary_words #(
  parameter int unsigned Rows      = 4,
  parameter int unsigned Columns   = 4,
  parameter int unsigned Width     = 16,
  parameter int unsigned KeepWidth = $clog2(Width + 1)
) (
  input  logic [1:0]                    mode_i,
  input  logic [KeepWidth-1:0]          keep_i,
  input  logic [Rows-1:0][Width-1:0]    x_i,
  input  logic [Columns-1:0][Width-1:0] w_i,
  output logic [Rows-1:0][Width-1:0]    x_o,
  output logic [Columns-1:0][Width-1:0] w_o,
  output logic [Rows-1:0][Width-1:0]    offset_o
);

  localparam logic [1:0] Xnor = 2'd0, AndSigned = 2'd1, Ternary = 2'd3;

  logic [Width-1:0] used;

  assign used = ~({Width{1'b1}} << keep_i);

  always_comb begin : rows
    for (int unsigned r = 0; r < Rows; r++) begin
      x_o[r] = x_i[r] & used;
      unique case (mode_i)
        Xnor:      offset_o[r] = used;
        AndSigned: offset_o[r] = x_o[r];
        Ternary:   offset_o[r] = {(Width / 2){2'b01}};
        default:   offset_o[r] = '0;
      endcase
    end
  end

  always_comb begin : columns
    for (int unsigned c = 0; c < Columns; c++) w_o[c] = w_i[c] | ~used;
  end

endmodule

// Cells with exponents: significands meet in a multiplier, and the product is shifted by what both say.
module mac_shifted #(
  parameter int unsigned Rows           = 4,
  parameter int unsigned Columns        = 4,
  parameter int unsigned ActWidth       = 8,
  parameter int unsigned ActExponent    = 0,
  parameter int unsigned WeightWidth    = 8,
  parameter int unsigned WeightExponent = 0,
  parameter bit          LogWeight      = 1'b0,
  parameter int unsigned SumWidth       = 32
) (
  input  logic [Rows-1:0][Columns-1:0][   ActWidth-1:0] act_i,
  input  logic [Rows-1:0][Columns-1:0][WeightWidth-1:0] weight_i,
  input  logic [Rows-1:0][Columns-1:0][   SumWidth-1:0] sum_i,
  output logic [Rows-1:0][Columns-1:0][   SumWidth-1:0] sum_o
);

  localparam int unsigned ActSig      = ActExponent > 0 ? ActWidth - ActExponent + 1 : ActWidth;
  localparam int unsigned ActShift    = ActExponent > 0 ? ActExponent : 1;
  localparam int unsigned FloatSig    = WeightExponent > 0 ? WeightWidth - WeightExponent + 1 : WeightWidth;
  localparam int unsigned FloatShift  = WeightExponent > 0 ? WeightExponent : 1;
  localparam int unsigned WeightSig   = LogWeight ? 2 : FloatSig;
  localparam int unsigned WeightShift = LogWeight ? WeightWidth - 1 : FloatShift;
  localparam int unsigned ProductSig  = ActSig + WeightSig;
  localparam int unsigned ShiftWidth  = 1 + (ActShift > WeightShift ? ActShift : WeightShift);

  logic [Rows-1:0][Columns-1:0][ActSig-1:0] act;
  logic [Rows-1:0][Columns-1:0][ActShift-1:0] act_shift;
  logic [Rows-1:0][Columns-1:0][WeightSig-1:0] weight;
  logic [Rows-1:0][Columns-1:0][WeightShift-1:0] weight_shift;

  cell_operands #(
    .Lanes(Rows * Columns), .Width(ActWidth), .Exponent(ActExponent), .SigWidth(ActSig), .ShiftWidth(ActShift)
  ) u_acts (
    .code_i(act_i), .significand_o(act), .shift_o(act_shift)
  );

  cell_operands #(
    .Lanes(Rows * Columns), .Width(WeightWidth), .Exponent(WeightExponent), .Log(LogWeight),
    .SigWidth(WeightSig), .ShiftWidth(WeightShift)
  ) u_weights (
    .code_i(weight_i), .significand_o(weight), .shift_o(weight_shift)
  );

  function automatic logic signed [ProductSig-1:0] multiply(input logic signed [   ActSig-1:0] a,
                                                            input logic signed [WeightSig-1:0] b);
    multiply = ProductSig'(a) * ProductSig'(b);
  endfunction

  always_comb begin : cells
    for (int unsigned r = 0; r < Rows; r++) begin
      for (int unsigned c = 0; c < Columns; c++) begin
        automatic logic [ShiftWidth-1:0] shift;
        shift = ShiftWidth'(act_shift[r][c]) + ShiftWidth'(weight_shift[r][c]);
        sum_o[r][c] = sum_i[r][c] + (SumWidth'(multiply(act[r][c], weight[r][c])) << shift);
      end
    end
  end

endmodule

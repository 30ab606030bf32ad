// Operands as cells multiply them: a significand with its sign, and by how many places a product with it
// is shifted to the left. Together they count whole steps of the operand's format:
//
//   Exponent = 0   two's complement; no shift
//   Exponent > 0   sign, Exponent bits of exponent e, mantissa m: {e > 0, m}, shifted by max(e, 1) - 1
//   Log            sign and q for +-2**-q: +-1, shifted by as many places as the greatest q is above q
//
// A code that means infinity or no number is taken as the number that its bits would be.
module cell_operands #(
  parameter int unsigned Lanes      = 16,
  parameter int unsigned Width      = 8,
  parameter int unsigned Exponent   = 0,
  parameter bit          Log        = 1'b0,
  parameter int unsigned SigWidth   = 8,  // 2 with Log, else Width without and Width - Exponent + 1 with one
  parameter int unsigned ShiftWidth = 1   // Width - 1 with Log, else Exponent, and 1 without one
) (
  input  logic [Lanes-1:0][     Width-1:0] code_i,
  output logic [Lanes-1:0][  SigWidth-1:0] significand_o,
  output logic [Lanes-1:0][ShiftWidth-1:0] shift_o
);

  if (Log) begin : gen_log
    always_comb begin : decode
      for (int unsigned i = 0; i < Lanes; i++) begin
        significand_o[i] = {code_i[i][Width-1], 1'b1};  // -1 or +1 in two bits
        shift_o[i]       = ~code_i[i][Width-2:0];
      end
    end
  end else if (Exponent > 0) begin : gen_float
    localparam int unsigned Mantissa = Width - 1 - Exponent;
    localparam logic [SigWidth-1:0] MantissaMask = SigWidth'((1 << Mantissa) - 1);

    always_comb begin : decode
      for (int unsigned i = 0; i < Lanes; i++) begin
        automatic logic [Exponent-1:0] exponent;
        automatic logic [SigWidth-1:0] magnitude;
        exponent         = code_i[i][Width-2-:Exponent];
        magnitude        = (SigWidth'(code_i[i]) & MantissaMask) | (SigWidth'(exponent != '0) << Mantissa);
        significand_o[i] = code_i[i][Width-1] ? -magnitude : magnitude;
        shift_o[i]       = exponent - Exponent'(exponent != '0);
      end
    end
  end else begin : gen_integer
    always_comb begin : decode
      for (int unsigned i = 0; i < Lanes; i++) begin
        significand_o[i] = code_i[i];
        shift_o[i]       = '0;
      end
    end
  end

endmodule

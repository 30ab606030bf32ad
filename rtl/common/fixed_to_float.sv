// Fixed point to fp32 (IEEE 754 binary32): lanes of value * 2**Step, rounded half to even. Combinational.
//
// Zero is positive. Every value must have a normal fp32 neighbour: Step >= -126 and Width + Step <= 127.
module fixed_to_float #(
  parameter int unsigned Lanes = 4,
  parameter int unsigned Width = 32,
  parameter int          Step  = 0
) (
  input  logic [Lanes-1:0][Width-1:0] fixed_i,
  output logic [Lanes-1:0][     31:0] float_o
);

  // Below the 24 bits of the significand there is always a bit to round by, and one more.
  localparam int unsigned Normal     = Width + 26;
  localparam int unsigned PlaceWidth = $clog2(Width);

  logic [Lanes-1:0][Width-1:0] magnitude;
  logic [Lanes-1:0][PlaceWidth-1:0] place;  // of the leading one
  logic [Lanes-1:0][Normal-1:0] normal;     // the leading one in the highest bit
  logic [Lanes-1:0][7:0] exponent;
  logic [Lanes-1:0] up;

  always_comb begin : convert
    for (int unsigned i = 0; i < Lanes; i++) begin
      magnitude[i] = fixed_i[i][Width-1] ? -fixed_i[i] : fixed_i[i];
      place[i] = '0;
      for (int unsigned b = 0; b < Width; b++) if (magnitude[i][b]) place[i] = PlaceWidth'(b);
      normal[i]   = {magnitude[i], 26'b0} << (PlaceWidth'(Width - 1) - place[i]);
      exponent[i] = 8'(127 + Step) + 8'(place[i]);
      up[i]       = normal[i][Normal-25] && (normal[i][Normal-24] || normal[i][Normal-26:0] != '0);
      // A significand that rounds up to two carries into the exponent, which is what it should do.
      float_o[i] = {fixed_i[i][Width-1], {exponent[i], normal[i][Normal-2-:23]} + 31'(up[i])};
      if (!normal[i][Normal-1]) float_o[i] = '0;
    end
  end

endmodule

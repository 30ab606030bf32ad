// Divides by 2**places_i to nearest, halves to even, and saturates where OutWidth is narrower than InWidth.
//
// Two's complement on both sides; combinational. Any number of places is exact: 0 leaves the value as it is,
// InWidth or more give 0. A constant number of places is a constant on the port, which synthesis folds.
// To wrap rather than saturate, let OutWidth be InWidth and take the low bits.
module shift_round_even #(
  parameter int unsigned InWidth     = 32,
  parameter int unsigned OutWidth    = 32,
  parameter int unsigned PlacesWidth = 6
) (
  input  logic [InWidth-1:0]     value_i,
  input  logic [PlacesWidth-1:0] places_i,
  output logic [OutWidth-1:0]    value_o
);

  // One zero below the value, so that what is shifted keeps the half beside the whole.
  logic [InWidth:0] grown, kept;
  logic [InWidth-1:0] rounded;
  logic half, rest;

  assign grown = {value_i, 1'b0};
  assign kept  = (InWidth + 1)'($signed(grown) >>> places_i);
  assign half  = kept[0];
  assign rest  = |(grown & ~({(InWidth + 1){1'b1}} << places_i));

  // No overflow: what is shifted by one place or more has room for one more, and what is not has no half.
  assign rounded = kept[InWidth:1] + InWidth'(half && (rest || kept[1]));

  if (OutWidth >= InWidth) begin : gen_extend
    assign value_o = OutWidth'($signed(rounded));
  end else begin : gen_saturate
    logic fits;
    assign fits = rounded[InWidth-1:OutWidth-1] == {(InWidth - OutWidth + 1){rounded[InWidth-1]}};
    assign value_o = fits ? rounded[OutWidth-1:0]
                          : {rounded[InWidth-1], {(OutWidth - 1){!rounded[InWidth-1]}}};
  end

endmodule

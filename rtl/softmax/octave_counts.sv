// The sum of a row of powers, each halved by as many octaves as it lies below the row's greatest, while the
// row goes by: kept as a count for each bit of the terms.
//
// A beat that raises the greatest octave moves the counts down, and the lowest fall off: exactly the bits
// that each earlier term would have lost, had the greatest been known. (A sum in binary would keep carries
// of those bits.) Three registers, the shift, the counts, a part of their sum; the whole is told in the
// cycle after. Takes a beat whenever `valid_i` is set.
module octave_counts #(
  parameter int unsigned Lanes       = 4,
  parameter int unsigned OctaveWidth = 21,
  parameter int unsigned PowerWidth  = 25,
  parameter int unsigned CountWidth  = 7,
  localparam int unsigned SumWidth   = PowerWidth + CountWidth
) (
  input  logic                              clk_i,
  input  logic                              rst_ni,
  input  logic                              valid_i,
  input  logic                              first_i,
  input  logic                              last_i,
  input  logic [OctaveWidth-1:0]            top_i,
  input  logic [OctaveWidth-1:0]            raised_i,
  input  logic [Lanes-1:0][OctaveWidth-1:0] octave_i,
  input  logic [Lanes-1:0][ PowerWidth-1:0] power_i,
  output logic                              valid_o,
  output logic [OctaveWidth-1:0]            top_o,
  output logic [SumWidth-1:0]               sum_o
);

  localparam int unsigned Half = PowerWidth / 2;

  logic [2:0] valid_q;
  logic [1:0] last_q;
  logic first_q;
  logic [2:0][OctaveWidth-1:0] top_q;
  logic [OctaveWidth-1:0] raised_q;
  logic [Lanes-1:0][PowerWidth-1:0] term_d, term_q;
  // Bit b of plane p is bit p of the count of bit b.
  logic [CountWidth-1:0][PowerWidth-1:0] plane_d, plane_q, moved;
  logic [PowerWidth-1:0][CountWidth-1:0] count;
  logic [1:0][SumWidth-1:0] part_d, part_q;

  always_comb begin : shift
    for (int unsigned l = 0; l < Lanes; l++) term_d[l] = power_i[l] >> (top_i - octave_i[l]);
  end

  always_comb begin : counts
    for (int unsigned p = 0; p < CountWidth; p++) moved[p] = first_q ? '0 : plane_q[p] >> raised_q;
    for (int unsigned b = 0; b < PowerWidth; b++) begin
      for (int unsigned p = 0; p < CountWidth; p++) count[b][p] = moved[p][b];
      for (int unsigned l = 0; l < Lanes; l++) count[b] = count[b] + CountWidth'(term_q[l][b]);
      for (int unsigned p = 0; p < CountWidth; p++) plane_d[p][b] = count[b][p];
    end
  end

  // The planes, each a number of its own, are added at their places: an upper and a lower half at once.
  always_comb begin : parts
    part_d = '0;
    for (int unsigned p = 0; p < CountWidth; p++) begin
      part_d[0] = part_d[0] + (SumWidth'(plane_q[p][Half-1:0]) << p);
      part_d[1] = part_d[1] + (SumWidth'(plane_q[p][PowerWidth-1:Half]) << p);
    end
  end

  always_ff @(posedge clk_i or negedge rst_ni) begin : valid
    if (!rst_ni) valid_q <= '0;
    else valid_q <= {valid_q[1] && last_q[1], valid_q[0], valid_i};
  end

  always_ff @(posedge clk_i) begin : values
    if (valid_i) {first_q, last_q[0], top_q[0], raised_q} <= {first_i, last_i, top_i, raised_i};
    if (valid_i) term_q <= term_d;
    if (valid_q[0]) {last_q[1], top_q[1], plane_q} <= {last_q[0], top_q[0], plane_d};
    if (valid_q[1]) {top_q[2], part_q} <= {top_q[1], part_d};
  end

  assign valid_o = valid_q[2];
  assign top_o   = top_q[2];
  assign sum_o   = part_q[0] + (part_q[1] << Half);

endmodule

// The greatest octave and the sum of each row of powers, six cycles after its last beat.
module octave_sum #(
  parameter int unsigned Lanes       = 4,
  parameter int unsigned OctaveWidth = 21,
  parameter int unsigned PowerWidth  = 25,
  parameter int unsigned CountWidth  = 7,
  localparam int unsigned SumWidth   = PowerWidth + CountWidth
) (
  input  logic                              clk_i,
  input  logic                              rst_ni,
  input  logic                              valid_i,
  input  logic                              last_i,
  input  logic [Lanes-1:0]                  keep_i,
  input  logic [Lanes-1:0][OctaveWidth-1:0] octave_i,
  input  logic [Lanes-1:0][ PowerWidth-1:0] power_i,
  output logic                              valid_o,
  output logic [OctaveWidth-1:0]            top_o,
  output logic [SumWidth-1:0]               sum_o
);

  logic valid, first, last;
  logic [OctaveWidth-1:0] top, raised;
  logic [Lanes-1:0][OctaveWidth-1:0] octave;
  logic [Lanes-1:0][PowerWidth-1:0] power;

  octave_top #(.Lanes(Lanes), .OctaveWidth(OctaveWidth), .PowerWidth(PowerWidth)) u_top (
    .clk_i, .rst_ni, .valid_i, .last_i, .keep_i, .octave_i, .power_i,
    .valid_o(valid), .first_o(first), .last_o(last), .top_o(top), .raised_o(raised),
    .octave_o(octave), .power_o(power)
  );

  octave_counts #(
    .Lanes(Lanes), .OctaveWidth(OctaveWidth), .PowerWidth(PowerWidth), .CountWidth(CountWidth)
  ) u_counts (
    .clk_i, .rst_ni, .valid_i(valid), .first_i(first), .last_i(last), .top_i(top), .raised_i(raised),
    .octave_i(octave), .power_i(power), .valid_o, .top_o, .sum_o
  );

endmodule

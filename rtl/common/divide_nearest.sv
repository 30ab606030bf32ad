// Quotients to the nearest integer, one beat a cycle, unsigned: Lanes numerators by one denominator for all,
// or by one for each.
//
// Halves go upwards, as `divide_nearest` of graph_ir/variants/fixed_point.py has them. Of a negative
// numerator divide the magnitude with `halves_down_i` set and negate the quotient: upwards is then towards
// zero. The denominator must be positive, and rounded quotients must fit in QuotientWidth bits: it may be far
// narrower than the numerator where they are known to. The tag comes out with its quotients.
// A beat can leave ceil(QuotientWidth / BitsPerStage) + 1 cycles after it entered.
module divide_nearest #(
  parameter int unsigned Lanes            = 1,
  parameter int unsigned Denominators     = 1,   // or Lanes
  parameter int unsigned NumeratorWidth   = 16,  // DenominatorWidth + QuotientWidth at most
  parameter int unsigned DenominatorWidth = 8,
  parameter int unsigned QuotientWidth    = 16,
  parameter int unsigned BitsPerStage     = 1,
  parameter int unsigned TagWidth         = 1
) (
  input  logic                                          clk_i,
  input  logic                                          rst_ni,
  input  logic                                          valid_i,
  output logic                                          ready_o,
  input  logic [Lanes-1:0][NumeratorWidth-1:0]          numerator_i,
  input  logic [Lanes-1:0]                              halves_down_i,
  input  logic [Denominators-1:0][DenominatorWidth-1:0] denominator_i,
  input  logic [TagWidth-1:0]                           tag_i,
  output logic                                          valid_o,
  input  logic                                          ready_i,
  output logic [Lanes-1:0][QuotientWidth-1:0]           quotient_o,
  output logic [TagWidth-1:0]                           tag_o
);

  localparam int unsigned Steps     = (QuotientWidth + BitsPerStage - 1) / BitsPerStage;
  localparam int unsigned FirstBits = QuotientWidth - (Steps - 1) * BitsPerStage;
  localparam int unsigned Width     = DenominatorWidth + QuotientWidth;

  logic [Steps:0] load;
  // Place s goes into the s-th stage, place s + 1 comes out of it.
  logic [Steps:0][Lanes-1:0][Width-1:0] state;
  logic [Steps:0][Denominators-1:0][DenominatorWidth-1:0] denominator;
  logic [Steps:0][Lanes+TagWidth-1:0] tag;

  elastic #(.Stages(Steps + 1)) u_flow (
    .clk_i, .rst_ni, .valid_i, .ready_o, .valid_o, .ready_i, .load_o(load)
  );

  always_comb begin : enter
    for (int unsigned l = 0; l < Lanes; l++) state[0][l] = Width'(numerator_i[l]);
  end
  assign denominator[0] = denominator_i;
  assign tag[0]         = {halves_down_i, tag_i};

  for (genvar s = 0; s < Steps; s++) begin : gen_stage
    divide_stage #(
      .Lanes(Lanes), .Denominators(Denominators),
      .DenominatorWidth(DenominatorWidth), .QuotientWidth(QuotientWidth),
      .Bits(s == 0 ? FirstBits : BitsPerStage), .TagWidth(Lanes + TagWidth)
    ) u_stage (
      .clk_i, .load_i(load[s]),
      .state_i(state[s]), .denominator_i(denominator[s]), .tag_i(tag[s]),
      .state_o(state[s+1]), .denominator_o(denominator[s+1]), .tag_o(tag[s+1])
    );
  end

  divide_round #(
    .Lanes(Lanes), .Denominators(Denominators),
    .DenominatorWidth(DenominatorWidth), .QuotientWidth(QuotientWidth), .TagWidth(TagWidth)
  ) u_round (
    .clk_i, .load_i(load[Steps]), .state_i(state[Steps]), .denominator_i(denominator[Steps]),
    .halves_down_i(tag[Steps][TagWidth+:Lanes]), .tag_i(tag[Steps][TagWidth-1:0]), .quotient_o, .tag_o
  );

endmodule

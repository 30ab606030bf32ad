// Elements less their row's mean, over its deviation, to nearest: Q.14. One register and a division.
module norm_lanes #(
  parameter int unsigned Lanes         = 4,
  parameter int unsigned ValueWidth    = 24,
  parameter int unsigned RootWidth     = 26,
  parameter int unsigned QuotientWidth = 19,
  parameter int unsigned BitsPerStage  = 1,
  parameter int unsigned TagWidth      = 1
) (
  input  logic                                clk_i,
  input  logic                                rst_ni,
  input  logic                                x_valid_i,
  output logic                                x_ready_o,
  input  logic [Lanes-1:0][ValueWidth-1:0]    x_i,
  input  logic [ValueWidth:0]                 mean_i,
  input  logic [RootWidth-1:0]                deviation_i,
  input  logic [TagWidth-1:0]                 tag_i,
  output logic                                normal_valid_o,
  input  logic                                normal_ready_i,
  output logic [Lanes-1:0][QuotientWidth:0]   normal_o,
  output logic [TagWidth-1:0]                 tag_o
);

  // The operand in Q.14 over a deviation in Q.16 is a quotient in Q.14 once 16 bits are put behind it.
  localparam int unsigned Places = 16;

  logic centred_valid, centred_ready;
  logic [Lanes-1:0][ValueWidth:0] rest_d, rest_q, magnitude;
  logic [Lanes-1:0] negative, below;
  logic [RootWidth-1:0] deviation_q;
  logic [TagWidth-1:0] tag_q;
  logic load;
  logic [Lanes-1:0][ValueWidth+Places:0] numerator;
  logic [Lanes-1:0][QuotientWidth-1:0] quotient;

  elastic #(.Stages(1)) u_flow (
    .clk_i, .rst_ni, .valid_i(x_valid_i), .ready_o(x_ready_o),
    .valid_o(centred_valid), .ready_i(centred_ready), .load_o(load)
  );

  always_comb begin : lanes
    for (int unsigned l = 0; l < Lanes; l++) begin
      rest_d[l]    = (ValueWidth + 1)'($signed(x_i[l])) - mean_i;
      negative[l]  = rest_q[l][ValueWidth];
      magnitude[l] = negative[l] ? -rest_q[l] : rest_q[l];
      numerator[l] = {magnitude[l], Places'(0)};
      normal_o[l]  = below[l] ? -{1'b0, quotient[l]} : {1'b0, quotient[l]};
    end
  end

  always_ff @(posedge clk_i) begin : centre
    if (load) {rest_q, deviation_q, tag_q} <= {rest_d, deviation_i, tag_i};
  end

  divide_nearest #(
    .Lanes(Lanes), .NumeratorWidth(ValueWidth + 1 + Places), .DenominatorWidth(RootWidth),
    .QuotientWidth(QuotientWidth), .BitsPerStage(BitsPerStage), .TagWidth(Lanes + TagWidth)
  ) u_divide (
    .clk_i, .rst_ni, .valid_i(centred_valid), .ready_o(centred_ready),
    .numerator_i(numerator), .halves_down_i(negative), .denominator_i(deviation_q), .tag_i({negative, tag_q}),
    .valid_o(normal_valid_o), .ready_i(normal_ready_i), .quotient_o(quotient), .tag_o({below, tag_o})
  );

endmodule

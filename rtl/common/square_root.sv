// Greatest integers whose squares are at most the radicand, one a cycle, by a digit recurrence.
//
// A beat can leave ceil(RootWidth / BitsPerStage) cycles after it entered; the tag comes out with its root.
module square_root #(
  parameter int unsigned RootWidth    = 8,
  parameter int unsigned BitsPerStage = 1,
  parameter int unsigned TagWidth     = 1
) (
  input  logic                   clk_i,
  input  logic                   rst_ni,
  input  logic                   valid_i,
  output logic                   ready_o,
  input  logic [2*RootWidth-1:0] radicand_i,
  input  logic [   TagWidth-1:0] tag_i,
  output logic                   valid_o,
  input  logic                   ready_i,
  output logic [  RootWidth-1:0] root_o,
  output logic [   TagWidth-1:0] tag_o
);

  localparam int unsigned Steps     = (RootWidth + BitsPerStage - 1) / BitsPerStage;
  localparam int unsigned FirstBits = RootWidth - (Steps - 1) * BitsPerStage;

  logic [Steps-1:0] load;
  // Place s goes into the s-th stage, place s + 1 comes out of it.
  logic [Steps:0][2*RootWidth-1:0] radicand;
  logic [Steps:0][RootWidth+1:0] remainder;
  logic [Steps:0][RootWidth-1:0] root;
  logic [Steps:0][TagWidth-1:0] tag;
  logic unused;

  elastic #(.Stages(Steps)) u_flow (
    .clk_i, .rst_ni, .valid_i, .ready_o, .valid_o, .ready_i, .load_o(load)
  );

  assign {radicand[0], remainder[0], root[0], tag[0]} = {radicand_i, (RootWidth + 2)'(0), RootWidth'(0), tag_i};

  for (genvar s = 0; s < Steps; s++) begin : gen_stage
    root_stage #(
      .RootWidth(RootWidth), .Bits(s == 0 ? FirstBits : BitsPerStage), .TagWidth(TagWidth)
    ) u_stage (
      .clk_i, .load_i(load[s]),
      .radicand_i(radicand[s]), .remainder_i(remainder[s]), .root_i(root[s]), .tag_i(tag[s]),
      .radicand_o(radicand[s+1]), .remainder_o(remainder[s+1]), .root_o(root[s+1]), .tag_o(tag[s+1])
    );
  end

  assign root_o = root[Steps];
  assign tag_o  = tag[Steps];
  assign unused = ^{radicand[Steps], remainder[Steps]};

endmodule

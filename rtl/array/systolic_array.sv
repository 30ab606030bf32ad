// Weight-stationary systolic array: weights stay in the cells, activations march right, sums march down.
//
// A fold is Rows beats of weights, the last row's first, then a stream of activations whose last beat
// says so. A beat of sums leaves Rows + Columns - 1 steps after its beat of activations entered. All
// registers take a step together, or none while a beat of sums waits: ready depends on `sum_ready_i`
// within the cycle, so put a register stage behind the array where that path is too long.
module systolic_array #(
  parameter int unsigned Rows           = 4,
  parameter int unsigned Columns        = 4,
  parameter int unsigned ActWidth       = 8,
  parameter int unsigned ActExponent    = 0,
  parameter int unsigned WeightWidth    = 8,
  parameter int unsigned WeightExponent = 0,
  parameter bit          LogWeight      = 1'b0,
  parameter int unsigned SumWidth       = 32,
  parameter int unsigned TagWidth       = 2,
  parameter bit          DoubleBuffered = 1'b1
) (
  input  logic                                clk_i,
  input  logic                                rst_ni,
  // One row of weights a beat.
  input  logic                                weight_valid_i,
  output logic                                weight_ready_o,
  input  logic [Columns-1:0][WeightWidth-1:0] weight_i,
  // One activation for each row a beat; the tag comes out again with the beat's sums.
  input  logic                                act_valid_i,
  output logic                                act_ready_o,
  input  logic                                act_last_i,
  input  logic [TagWidth-1:0]                 act_tag_i,
  input  logic [Rows-1:0][ActWidth-1:0]       act_i,
  // One sum for each column a beat.
  output logic                                sum_valid_o,
  input  logic                                sum_ready_i,
  output logic                                sum_last_o,
  output logic [TagWidth-1:0]                 sum_tag_o,
  output logic [Columns-1:0][SumWidth-1:0]    sum_o
);

  localparam int unsigned Latency  = Rows + Columns - 1;
  localparam int unsigned RowWidth = Rows > 1 ? $clog2(Rows) : 1;

  localparam logic [Latency-1:0] OutputStage = Latency'(1) << (Latency - 1);

  logic advance, busy, load, fill_set, enter, use_set;
  logic [RowWidth-1:0] beat;
  logic [Latency-1:0] valid_q;
  logic [Latency-1:0][TagWidth:0] label_q;
  logic [Rows-1:0][Columns-1:0][WeightWidth-1:0] weight;

  assign advance = sum_ready_i || !sum_valid_o;
  assign busy    = (valid_q & ~OutputStage) != '0;  // sums at the output need no cell any more

  array_control #(.Rows(Rows), .RowWidth(RowWidth), .DoubleBuffered(DoubleBuffered)) u_control (
    .clk_i, .rst_ni, .advance_i(advance), .busy_i(busy),
    .weight_valid_i, .weight_ready_o, .load_o(load), .fill_o(fill_set), .beat_o(beat),
    .act_valid_i, .act_last_i, .act_ready_o, .enter_o(enter), .use_o(use_set)
  );

  if (DoubleBuffered) begin : gen_double
    weights_double #(
      .Rows(Rows), .Columns(Columns), .WeightWidth(WeightWidth), .RowWidth(RowWidth)
    ) u_weights (
      .clk_i, .advance_i(advance), .load_i(load), .fill_i(fill_set), .beat_i(beat), .weight_i,
      .use_i(use_set), .weight_o(weight)
    );
  end else begin : gen_single
    weights_single #(.Rows(Rows), .Columns(Columns), .WeightWidth(WeightWidth)) u_weights (
      .clk_i, .load_i(load), .weight_i, .weight_o(weight)
    );
    logic unused;
    assign unused = ^{fill_set, use_set, beat};
  end

  array_cells #(
    .Rows(Rows), .Columns(Columns), .ActWidth(ActWidth), .ActExponent(ActExponent), .WeightWidth(WeightWidth),
    .WeightExponent(WeightExponent), .LogWeight(LogWeight), .SumWidth(SumWidth)
  ) u_cells (
    .clk_i, .advance_i(advance), .act_i, .weight_i(weight), .sum_o
  );

  // Valid, last and tag of a beat go beside it and reach the output with its sums.
  always_ff @(posedge clk_i or negedge rst_ni) begin : valid
    if (!rst_ni) valid_q <= '0;
    else if (advance) valid_q <= Latency'({valid_q, enter});
  end
  always_ff @(posedge clk_i) begin : labels
    if (advance) label_q <= (Latency * (TagWidth + 1))'({label_q, act_last_i, act_tag_i});
  end

  assign sum_valid_o              = valid_q[Latency-1];
  assign {sum_last_o, sum_tag_o} = label_q[Latency-1];

endmodule

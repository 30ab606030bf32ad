// Softmax in three passes: the greatest of a row, its exponentials and their sum, the division.
//
// Rows follow each other without a gap, a beat a cycle; each waits in a buffer before the second and before
// the third pass. A row has at most ceil(MaxLength / Lanes) beats and one element at least.
module softmax_rows #(
  parameter int unsigned Lanes        = 4,
  parameter int unsigned MaxLength    = 64,
  parameter bit          Polynomial   = 1'b0,
  parameter bit          Reciprocal   = 1'b0,
  parameter int unsigned BitsPerStage = 1
) (
  input  logic                                              clk_i,
  input  logic                                              rst_ni,
  input  logic                                              x_valid_i,
  output logic                                              x_ready_o,
  input  logic                                              x_last_i,
  input  logic [Lanes-1:0]                                  x_keep_i,
  input  logic [Lanes-1:0][softmax_pkg::ScoreWidth-1:0]     x_i,
  output logic                                              y_valid_o,
  input  logic                                              y_ready_i,
  output logic                                              y_last_o,
  output logic [Lanes-1:0]                                  y_keep_o,
  output logic [Lanes-1:0][softmax_pkg::ProbabilityBits:0]  y_o
);

  localparam int unsigned MaxBeats   = (MaxLength + Lanes - 1) / Lanes;
  localparam int unsigned GrownWidth = Polynomial ? softmax_pkg::SquareWidth + 1 : softmax_pkg::PowerWidth;
  localparam int unsigned TotalWidth = GrownWidth + $clog2(MaxLength);
  // Two beats more come in until what is told about a row is there, or those of a division besides.
  localparam int unsigned Division   = (softmax_pkg::ReciprocalWidth + BitsPerStage - 1) / BitsPerStage + 1;
  localparam int unsigned GrownDepth = MaxBeats + 2 + (Reciprocal ? Division : 0);

  logic grown_valid, grown_ready, grown_last, total_valid;
  logic [Lanes-1:0] grown_keep;
  logic [Lanes-1:0][GrownWidth-1:0] grown;
  logic [TotalWidth-1:0] total;

  score_pass #(
    .Lanes(Lanes), .Depth(MaxBeats + 2), .Polynomial(Polynomial), .GrownWidth(GrownWidth)
  ) u_scores (
    .clk_i, .rst_ni, .x_valid_i, .x_ready_o, .x_last_i, .x_keep_i, .x_i,
    .grown_valid_o(grown_valid), .grown_ready_i(grown_ready), .grown_last_o(grown_last),
    .grown_keep_o(grown_keep), .grown_o(grown)
  );

  row_sum #(.Lanes(Lanes), .Width(GrownWidth), .SumWidth(TotalWidth)) u_sum (
    .clk_i, .rst_ni, .valid_i(grown_valid && grown_ready), .last_i(grown_last), .keep_i(grown_keep),
    .x_i(grown), .valid_o(total_valid), .sum_o(total)
  );

  if (Reciprocal) begin : gen_reciprocal
    normalise_reciprocal #(
      .Lanes(Lanes), .GrownWidth(GrownWidth), .TotalWidth(TotalWidth), .Depth(GrownDepth),
      .BitsPerStage(BitsPerStage)
    ) u_normalise (
      .clk_i, .rst_ni, .grown_valid_i(grown_valid), .grown_ready_o(grown_ready), .grown_last_i(grown_last),
      .grown_keep_i(grown_keep), .grown_i(grown), .total_valid_i(total_valid), .total_i(total),
      .y_valid_o, .y_ready_i, .y_last_o, .y_keep_o, .y_o
    );
  end else begin : gen_divide
    normalise_divide #(
      .Lanes(Lanes), .GrownWidth(GrownWidth), .TotalWidth(TotalWidth), .Depth(GrownDepth),
      .BitsPerStage(BitsPerStage)
    ) u_normalise (
      .clk_i, .rst_ni, .grown_valid_i(grown_valid), .grown_ready_o(grown_ready), .grown_last_i(grown_last),
      .grown_keep_i(grown_keep), .grown_i(grown), .total_valid_i(total_valid), .total_i(total),
      .y_valid_o, .y_ready_i, .y_last_o, .y_keep_o, .y_o
    );
  end

endmodule

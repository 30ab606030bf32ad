// Rows of scores to rows of probabilities, or each score to its sigmoid; what is computed is a parameter.
module softmax #(
  parameter int unsigned Lanes        = 4,
  parameter int unsigned MaxLength    = 64,  // Lanes or more; a row has ceil(MaxLength / Lanes) beats at most
  parameter int unsigned Function     = 0,  // 0 softmax, 1 clipped softmax, 2 sigmoid
  // 0 chords and a divider in each lane, 1 a polynomial and dividers, 2 chords and a reciprocal, 3 online
  parameter int unsigned Numerics     = 2,
  parameter int unsigned BitsPerStage = 1  // of the divisions
) (
  input  logic                                             clk_i,
  input  logic                                             rst_ni,
  // For each row of a clipped softmax: zeta - gamma and gamma, Q.15. Else never taken.
  input  logic                                             clip_valid_i,
  output logic                                             clip_ready_o,
  input  logic [softmax_pkg::ClipWidth-1:0]                clip_stretch_i,
  input  logic [softmax_pkg::ClipWidth-1:0]                clip_shift_i,
  // Scores in int32 Q.12; keep tells which lanes hold one.
  input  logic                                             x_valid_i,
  output logic                                             x_ready_o,
  input  logic                                             x_last_i,
  input  logic [Lanes-1:0]                                 x_keep_i,
  input  logic [Lanes-1:0][softmax_pkg::ScoreWidth-1:0]    x_i,
  // Probabilities in Q.15, unsigned.
  output logic                                             y_valid_o,
  input  logic                                             y_ready_i,
  output logic                                             y_last_o,
  output logic [Lanes-1:0]                                 y_keep_o,
  output logic [Lanes-1:0][softmax_pkg::ProbabilityBits:0] y_o
);

  logic p_valid, p_ready, p_last;
  logic [Lanes-1:0] p_keep;
  logic [Lanes-1:0][softmax_pkg::ProbabilityBits:0] p;

  if (Function == 2) begin : gen_sigmoid
    sigmoid_lanes #(.Lanes(Lanes), .Polynomial(Numerics == 1), .BitsPerStage(BitsPerStage)) u_core (
      .clk_i, .rst_ni, .x_valid_i, .x_ready_o, .x_last_i, .x_keep_i, .x_i,
      .y_valid_o(p_valid), .y_ready_i(p_ready), .y_last_o(p_last), .y_keep_o(p_keep), .y_o(p)
    );
  end else if (Numerics == 3) begin : gen_online
    softmax_online #(.Lanes(Lanes), .MaxLength(MaxLength), .BitsPerStage(BitsPerStage)) u_core (
      .clk_i, .rst_ni, .x_valid_i, .x_ready_o, .x_last_i, .x_keep_i, .x_i,
      .y_valid_o(p_valid), .y_ready_i(p_ready), .y_last_o(p_last), .y_keep_o(p_keep), .y_o(p)
    );
  end else begin : gen_rows
    softmax_rows #(
      .Lanes(Lanes), .MaxLength(MaxLength), .Polynomial(Numerics == 1), .Reciprocal(Numerics == 2),
      .BitsPerStage(BitsPerStage)
    ) u_core (
      .clk_i, .rst_ni, .x_valid_i, .x_ready_o, .x_last_i, .x_keep_i, .x_i,
      .y_valid_o(p_valid), .y_ready_i(p_ready), .y_last_o(p_last), .y_keep_o(p_keep), .y_o(p)
    );
  end

  if (Function == 1) begin : gen_clip
    clip_lanes #(.Lanes(Lanes)) u_clip (
      .clk_i, .rst_ni, .clip_valid_i, .clip_ready_o, .clip_stretch_i, .clip_shift_i,
      .x_valid_i(p_valid), .x_ready_o(p_ready), .x_last_i(p_last), .x_keep_i(p_keep), .x_i(p),
      .y_valid_o, .y_ready_i, .y_last_o, .y_keep_o, .y_o
    );
  end else begin : gen_plain
    assign clip_ready_o = 1'b0;
    assign p_ready      = y_ready_i;
    assign {y_valid_o, y_last_o, y_keep_o, y_o} = {p_valid, p_last, p_keep, p};
    logic unused;
    assign unused = ^{clip_valid_i, clip_stretch_i, clip_shift_i};
  end

endmodule

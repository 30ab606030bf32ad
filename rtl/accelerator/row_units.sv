// The units behind the functions: the one that the command names takes the beats, its results come out.
module row_units
  import commands_pkg::*;
#(
  parameter int unsigned Size         = 16,
  parameter int unsigned Lanes        = 4,
  parameter int unsigned AddressWidth = 16,
  parameter int unsigned MaxLength    = 256,
  localparam int unsigned WordWidth   = 8 * Size
) (
  input  logic                    clk_i,
  input  logic                    rst_ni,
  input  logic                    start_i,
  input  vector_t                 command_i,
  output logic                    read_valid_o,
  input  logic                    read_ready_i,
  output logic [AddressWidth-1:0] read_address_o,
  input  logic                    answer_valid_i,
  input  logic [WordWidth-1:0]    answer_i,
  output logic                    done_o,  // the last word of weights has been asked for
  input  logic [3:0]              function_i,
  input  logic                    x_valid_i,
  output logic                    x_ready_o,
  input  logic                    x_last_i,
  input  logic [Lanes-1:0][19:0]  x_i,
  output logic                    y_valid_o,
  input  logic                    y_ready_i,
  output logic [Lanes-1:0][31:0]  y_o
);

  logic is_softmax, is_gelu, is_norm;
  assign is_softmax = function_i == VectorSoftmax;
  assign is_gelu    = function_i == VectorGelu;
  assign is_norm    = function_i == VectorLayerNorm || function_i == VectorRmsNorm;

  // Softmax: scores in Q.12, probabilities in Q.15.
  logic softmax_ready, softmax_valid, softmax_last, unused_clip;
  logic [Lanes-1:0] softmax_keep;
  logic [Lanes-1:0][31:0] score;
  logic [Lanes-1:0][15:0] probability;
  softmax #(.Lanes(Lanes), .MaxLength(MaxLength), .Function(0), .Numerics(2)) u_softmax (
    .clk_i, .rst_ni, .clip_valid_i(1'b0), .clip_ready_o(unused_clip), .clip_stretch_i('0), .clip_shift_i('0),
    .x_valid_i(x_valid_i && is_softmax), .x_ready_o(softmax_ready), .x_last_i, .x_keep_i('1), .x_i(score),
    .y_valid_o(softmax_valid), .y_ready_i(y_ready_i && is_softmax), .y_last_o(softmax_last),
    .y_keep_o(softmax_keep), .y_o(probability)
  );

  // GELU: int16 in Q.11, saturated, in and out.
  logic gelu_ready, gelu_valid;
  logic [Lanes-1:0][15:0] cut, gelu;
  activation #(.Lanes(Lanes), .Function(1)) u_gelu (
    .clk_i, .rst_ni, .x_valid_i(x_valid_i && is_gelu), .x_ready_o(gelu_ready), .x_i(cut),
    .y_valid_o(gelu_valid), .y_ready_i(y_ready_i && is_gelu), .y_o(gelu)
  );

  // Norms: Q.14 in, Q.12 out.
  logic norm_ready, norm_valid;
  logic [Lanes-1:0][31:0] normal;
  row_norm #(.Size(Size), .Lanes(Lanes), .AddressWidth(AddressWidth), .MaxLength(MaxLength)) u_norm (
    .clk_i, .rst_ni,
    .start_i(start_i && (command_i.fn == VectorLayerNorm || command_i.fn == VectorRmsNorm)), .command_i,
    .read_valid_o, .read_ready_i, .read_address_o, .answer_valid_i, .answer_i, .done_o,
    .x_valid_i(x_valid_i && is_norm), .x_ready_o(norm_ready), .x_last_i, .x_i,
    .y_valid_o(norm_valid), .y_ready_i(y_ready_i && is_norm), .y_o(normal)
  );

  always_comb begin : widths
    for (int unsigned l = 0; l < Lanes; l++) begin
      score[l] = 32'($signed(x_i[l]));
      cut[l]   = x_i[l][19:15] == {5{x_i[l][19]}} ? x_i[l][15:0] : {x_i[l][19], {15{!x_i[l][19]}}};
      y_o[l]   = is_norm ? normal[l] : is_softmax ? 32'(probability[l]) : 32'($signed(gelu[l]));
    end
  end

  assign x_ready_o = is_norm ? norm_ready : is_softmax ? softmax_ready : gelu_ready;
  assign y_valid_o = is_norm ? norm_valid : is_softmax ? softmax_valid : gelu_valid;

  logic unused;
  assign unused = ^{unused_clip, softmax_last, softmax_keep};

endmodule

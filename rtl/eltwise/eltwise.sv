// Sums of two narrow integers at a scale each, at a third scale, lane by lane:
//
//   y = saturate(round_half_even((a * multiplier_a + b * multiplier_b) / 2**shift))
//
// One beat of settings serves all elements up to those that say last. Beats of a and b go in together.
module eltwise #(
  parameter int unsigned Lanes           = 4,
  parameter int unsigned InWidth         = 8,
  parameter int unsigned MultiplierWidth = 31,
  parameter int unsigned OutWidth        = 8,
  localparam int unsigned ShiftWidth     = 6
) (
  input  logic                           clk_i,
  input  logic                           rst_ni,
  // Unsigned, for all lanes.
  input  logic                           settings_valid_i,
  output logic                           settings_ready_o,
  input  logic [MultiplierWidth-1:0]     multiplier_a_i,
  input  logic [MultiplierWidth-1:0]     multiplier_b_i,
  input  logic [ShiftWidth-1:0]          shift_i,
  input  logic                           a_valid_i,
  output logic                           a_ready_o,
  input  logic                           a_last_i,
  input  logic [Lanes-1:0][ InWidth-1:0] a_i,
  input  logic                           b_valid_i,
  output logic                           b_ready_o,
  input  logic [Lanes-1:0][ InWidth-1:0] b_i,
  output logic                           y_valid_o,
  input  logic                           y_ready_i,
  output logic [Lanes-1:0][OutWidth-1:0] y_o
);

  logic held, free, both;
  logic [2:0] load;
  logic [MultiplierWidth-1:0] multiplier_a, multiplier_b;
  logic [ShiftWidth-1:0] shift;

  assign both      = a_valid_i && b_valid_i && held;
  assign a_ready_o = b_valid_i && held && free;
  assign b_ready_o = a_valid_i && held && free;

  settings_register #(.Width(2 * MultiplierWidth + ShiftWidth)) u_settings (
    .clk_i, .rst_ni,
    .in_valid_i(settings_valid_i), .in_ready_o(settings_ready_o),
    .in_i({multiplier_a_i, multiplier_b_i, shift_i}),
    .held_o(held), .settings_o({multiplier_a, multiplier_b, shift}),
    .last_i(both && free && a_last_i)
  );

  elastic #(.Stages(3)) u_flow (
    .clk_i, .rst_ni, .valid_i(both), .ready_o(free), .valid_o(y_valid_o), .ready_i(y_ready_i), .load_o(load)
  );

  eltwise_lanes #(
    .Lanes(Lanes), .InWidth(InWidth), .MultiplierWidth(MultiplierWidth), .ShiftWidth(ShiftWidth),
    .OutWidth(OutWidth)
  ) u_lanes (
    .clk_i, .load_i(load),
    .multiplier_a_i(multiplier_a), .multiplier_b_i(multiplier_b), .shift_i(shift), .a_i, .b_i, .y_o
  );

endmodule

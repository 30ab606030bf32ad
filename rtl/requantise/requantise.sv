// Wide sums to narrow integers, lane by lane:
//
//   y = saturate(round_half_even((sum + bias) * multiplier / 2**shift)), and 0 where that is negative and
//   relu is set.
//
// One beat of settings serves all sums up to the one that says last. A sum with its bias must fit in
// SumWidth bits: it wraps.
module requantise #(
  parameter int unsigned Lanes           = 4,
  parameter int unsigned SumWidth        = 32,
  parameter int unsigned MultiplierWidth = 31,
  parameter int unsigned OutWidth        = 8,
  localparam int unsigned ShiftWidth     = 6
) (
  input  logic                                  clk_i,
  input  logic                                  rst_ni,
  // For each lane; multipliers and shifts are unsigned.
  input  logic                                  settings_valid_i,
  output logic                                  settings_ready_o,
  input  logic [Lanes-1:0][       SumWidth-1:0] bias_i,
  input  logic [Lanes-1:0][MultiplierWidth-1:0] multiplier_i,
  input  logic [Lanes-1:0][     ShiftWidth-1:0] shift_i,
  input  logic                                  relu_i,
  input  logic                                  sum_valid_i,
  output logic                                  sum_ready_o,
  input  logic                                  sum_last_i,
  input  logic [Lanes-1:0][       SumWidth-1:0] sum_i,
  output logic                                  y_valid_o,
  input  logic                                  y_ready_i,
  output logic [Lanes-1:0][       OutWidth-1:0] y_o
);

  localparam int unsigned SettingsWidth = Lanes * (SumWidth + MultiplierWidth + ShiftWidth) + 1;

  logic held, free, relu;
  logic [2:0] load;
  logic [Lanes-1:0][SumWidth-1:0] bias;
  logic [Lanes-1:0][MultiplierWidth-1:0] multiplier;
  logic [Lanes-1:0][ShiftWidth-1:0] shift;

  assign sum_ready_o = held && free;

  settings_register #(.Width(SettingsWidth)) u_settings (
    .clk_i, .rst_ni,
    .in_valid_i(settings_valid_i), .in_ready_o(settings_ready_o),
    .in_i({bias_i, multiplier_i, shift_i, relu_i}),
    .held_o(held), .settings_o({bias, multiplier, shift, relu}),
    .last_i(sum_valid_i && sum_ready_o && sum_last_i)
  );

  elastic #(.Stages(3)) u_flow (
    .clk_i, .rst_ni, .valid_i(sum_valid_i && held), .ready_o(free), .valid_o(y_valid_o), .ready_i(y_ready_i),
    .load_o(load)
  );

  requantise_lanes #(
    .Lanes(Lanes), .SumWidth(SumWidth), .MultiplierWidth(MultiplierWidth), .ShiftWidth(ShiftWidth),
    .OutWidth(OutWidth)
  ) u_lanes (
    .clk_i, .load_i(load), .bias_i(bias), .multiplier_i(multiplier), .shift_i(shift), .relu_i(relu), .sum_i, .y_o
  );

endmodule

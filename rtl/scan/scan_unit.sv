// Linear recurrences h = decay * h + drive in fixed point, Lanes channels a beat, groups of channels in turn.
//
// A beat that says first begins anew from zero; to begin from another state, send that state first, as drive.
// Otherwise the states of the beats before are gone on with, those of Depth groups at most. States are kept
// in registers that are read within the cycle, and not reset.
module scan_unit #(
  parameter int unsigned Lanes         = 4,
  parameter int unsigned DecayWidth    = 16,
  parameter int unsigned DecayFraction = 14,
  parameter int unsigned Width         = 32,
  parameter int unsigned Steps         = 2,  // cycles from a step to the next of the same channel: 1, 2 or 3
  parameter int unsigned Depth         = 64
) (
  input  logic                             clk_i,
  input  logic                             rst_ni,
  input  logic                             x_valid_i,
  output logic                             x_ready_o,
  input  logic                             x_first_i,  // of its sequence
  input  logic                             x_last_i,   // group of its time step
  input  logic [Lanes-1:0][DecayWidth-1:0] decay_i,
  input  logic [Lanes-1:0][Width-1:0]      drive_i,
  output logic                             y_valid_o,
  input  logic                             y_ready_i,
  output logic                             y_last_o,
  output logic [Lanes-1:0][Width-1:0]      y_o
);

  localparam int unsigned GroupWidth = Depth > 1 ? $clog2(Depth) : 1;

  logic advance, write;
  logic [GroupWidth-1:0] read_group, write_group;
  logic [Lanes-1:0][Width-1:0] held, stepped, state_q[Depth], y_q;

  scan_control #(.Steps(Steps), .GroupWidth(GroupWidth)) u_control (
    .clk_i, .rst_ni, .x_valid_i, .x_ready_o, .x_first_i, .x_last_i, .advance_o(advance),
    .read_group_o(read_group), .write_o(write), .write_group_o(write_group),
    .y_valid_o, .y_ready_i, .y_last_o
  );

  assign held = x_first_i ? '0 : state_q[read_group];

  for (genvar l = 0; l < int'(Lanes); l++) begin : gen_lanes
    scan_lane #(
      .DecayWidth(DecayWidth), .DecayFraction(DecayFraction), .Width(Width), .Steps(Steps)
    ) u_lane (
      .clk_i, .advance_i(advance), .decay_i(decay_i[l]), .state_i(held[l]), .drive_i(drive_i[l]),
      .state_o(stepped[l])
    );
  end

  always_ff @(posedge clk_i) begin : states
    if (write) state_q[write_group] <= stepped;
    if (advance) y_q <= stepped;
  end

  assign y_o = y_q;

endmodule

// Beats on their way through a step: which group of channels each belongs to, and who has to wait for whom.
//
// The groups of a time step come in order, the last one says so. A beat waits while one of its own group is
// on its way, unless it begins anew. All beats advance together, or none while the last one waits to leave.
module scan_control #(
  parameter int unsigned Steps      = 2,
  parameter int unsigned GroupWidth = 6
) (
  input  logic                  clk_i,
  input  logic                  rst_ni,
  input  logic                  x_valid_i,
  output logic                  x_ready_o,
  input  logic                  x_first_i,
  input  logic                  x_last_i,
  output logic                  advance_o,
  output logic [GroupWidth-1:0] read_group_o,
  // The step that ends in this cycle.
  output logic                  write_o,
  output logic [GroupWidth-1:0] write_group_o,
  output logic                  y_valid_o,
  input  logic                  y_ready_i,
  output logic                  y_last_o
);

  localparam int unsigned LabelWidth = GroupWidth + 1;

  logic [GroupWidth-1:0] group_d, group_q;
  logic accepted, hazard;
  // Bit s, and label s: a beat that entered s + 1 steps ago; the last one stands at the output.
  logic [Steps-1:0] valid_q;
  logic [Steps-1:0][LabelWidth-1:0] label_q;
  // The same with the beat that enters now in front.
  logic [Steps:0] valid;
  logic [Steps:0][LabelWidth-1:0] label;

  assign advance_o = y_ready_i || !valid_q[Steps-1];
  assign x_ready_o = advance_o && !hazard;
  assign accepted  = x_valid_i && x_ready_o;
  assign group_d   = x_last_i ? '0 : group_q + 1'b1;
  assign valid     = {valid_q, accepted};
  assign label     = {label_q, {x_last_i, group_q}};

  always_comb begin : wait_for_own_group
    hazard = 1'b0;
    for (int unsigned s = 1; s < Steps; s++) begin
      hazard |= valid_q[s-1] && label_q[s-1][GroupWidth-1:0] == group_q && !x_first_i;
    end
  end

  always_ff @(posedge clk_i or negedge rst_ni) begin : state
    if (!rst_ni) {group_q, valid_q} <= '0;
    else if (advance_o) {group_q, valid_q} <= {accepted ? group_d : group_q, valid[Steps-1:0]};
  end

  always_ff @(posedge clk_i) begin : labels
    if (advance_o) label_q <= label[Steps-1:0];
  end

  assign read_group_o  = group_q;
  assign write_o       = advance_o && valid[Steps-1];
  assign write_group_o = label[Steps-1][GroupWidth-1:0];
  assign y_valid_o     = valid[Steps];
  assign y_last_o      = label[Steps][GroupWidth];

endmodule

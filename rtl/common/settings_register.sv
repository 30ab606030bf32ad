// Holds one beat of settings while the beats that it is for go by.
//
// The user says with `last_i` that the last of those beats moves in this cycle; the next settings can be
// taken by the same edge, so that work goes on in the next cycle. What is still in a pipeline behind must
// carry the settings that it needs.
module settings_register #(
  parameter int unsigned Width = 8
) (
  input  logic             clk_i,
  input  logic             rst_ni,
  input  logic             in_valid_i,
  output logic             in_ready_o,
  input  logic [Width-1:0] in_i,
  output logic             held_o,
  output logic [Width-1:0] settings_o,
  input  logic             last_i
);

  logic held_q;
  logic [Width-1:0] settings_q;

  assign in_ready_o = last_i || !held_q;
  assign held_o     = held_q;
  assign settings_o = settings_q;

  always_ff @(posedge clk_i or negedge rst_ni) begin : held
    if (!rst_ni) held_q <= 1'b0;
    else if (in_ready_o) held_q <= in_valid_i;
  end

  always_ff @(posedge clk_i) begin : settings
    if (in_valid_i && in_ready_o) settings_q <= in_i;
  end

endmodule

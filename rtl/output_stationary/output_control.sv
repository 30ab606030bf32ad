// Who may enter the array, and what its rows do: all of it follows from when a fold's last beat entered.
module output_control #(
  parameter int unsigned Rows           = 4,
  parameter int unsigned Columns        = 4,
  parameter int unsigned TagWidth       = 2,
  parameter bit          DoubleBuffered = 1'b1
) (
  input  logic                      clk_i,
  input  logic                      rst_ni,

  input  logic                      weight_valid_i,
  output logic                      weight_ready_o,
  input  logic                      act_valid_i,
  output logic                      act_ready_o,
  input  logic                      act_last_i,
  input  logic [TagWidth-1:0]       act_tag_i,
  // The array takes a step.
  output logic                      advance_o,
  // For each diagonal: its cells add a product; that product is the first of a sum.
  output logic [Rows+Columns-2:0]   add_o,
  output logic [Rows+Columns-2:0]   first_o,
  // A fold's last beat entered i + 1 steps ago.
  output logic [2*Rows+Columns-2:0] last_o,

  output logic                      sum_valid_o,
  input  logic                      sum_ready_i,
  output logic                      sum_last_o,
  output logic [TagWidth-1:0]       sum_tag_o
);

  localparam int unsigned Diagonals = Rows + Columns - 1;
  localparam int unsigned Steps     = 2 * Rows + Columns - 1;

  // Double buffered, the next last beat keeps Rows steps away; else all rows but the one at the output left.
  localparam logic [Steps-1:0] OneRow  = Steps'(1) << (Rows - 1);
  localparam logic [Steps-1:0] AllRows = Steps'(1) << (Steps - 1);
  localparam logic [Steps-1:0] InTheWay = (DoubleBuffered ? OneRow : AllRows) - 1'b1;

  logic clear, enter, begins_q;
  logic [Diagonals-1:0] add_q, first_q;
  logic [Steps-1:0] last_q;
  logic [Diagonals-1:0][TagWidth-1:0] tag_q;
  logic [TagWidth-1:0] sum_tag_q;

  assign clear          = (last_q & InTheWay) == '0 || (DoubleBuffered && !act_last_i);
  assign advance_o      = sum_ready_i || !sum_valid_o;
  assign act_ready_o    = advance_o && clear && weight_valid_i;
  assign weight_ready_o = advance_o && clear && act_valid_i;
  assign enter          = act_valid_i && act_ready_o;

  assign add_o   = Diagonals'({add_q, enter});
  assign first_o = Diagonals'({first_q, begins_q});
  assign last_o  = last_q;

  always_ff @(posedge clk_i or negedge rst_ni) begin : state
    if (!rst_ni) begin
      begins_q <= 1'b1;
      add_q    <= '0;
      last_q   <= '0;
    end else if (advance_o) begin
      begins_q <= enter ? act_last_i : begins_q;
      add_q    <= add_o;
      last_q   <= Steps'({last_q, enter && act_last_i});
    end
  end

  // Sums of a fold follow its last beat by Rows + Columns steps and more; the tag waits there for all of them.
  always_ff @(posedge clk_i) begin : labels
    if (advance_o) begin
      first_q   <= first_o;
      tag_q     <= (Diagonals * TagWidth)'({tag_q, act_tag_i});
      sum_tag_q <= last_q[Diagonals-1] ? tag_q[Diagonals-1] : sum_tag_q;
    end
  end

  assign sum_valid_o = last_q[Steps-1-:Rows] != '0;
  assign sum_last_o  = last_q[Steps-1];
  assign sum_tag_o   = sum_tag_q;

endmodule

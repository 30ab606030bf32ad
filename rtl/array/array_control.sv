// Who may enter the array: counts the beats of a set, says which set is filled and which is used.
module array_control #(
  parameter int unsigned Rows           = 4,
  parameter int unsigned RowWidth       = 2,
  parameter bit          DoubleBuffered = 1'b1
) (
  input  logic                clk_i,
  input  logic                rst_ni,
  // The array takes a step; a cell is computing.
  input  logic                advance_i,
  input  logic                busy_i,

  input  logic                weight_valid_i,
  output logic                weight_ready_o,
  output logic                load_o,
  output logic                fill_o,
  output logic [RowWidth-1:0] beat_o,

  input  logic                act_valid_i,
  input  logic                act_last_i,
  output logic                act_ready_o,
  output logic                enter_o,
  output logic                use_o
);

  logic [1:0] full_d, full_q;  // a set holds all its rows; without double buffering set 0 is the only one
  logic fill_d, fill_q, use_d, use_q;
  logic [RowWidth-1:0] beat_d, beat_q;
  logic set_done, fold_done;

  assign weight_ready_o = advance_i && !full_q[fill_q] && (DoubleBuffered || !busy_i);
  assign act_ready_o    = advance_i && full_q[use_q];
  assign load_o         = weight_valid_i && weight_ready_o;
  assign enter_o        = act_valid_i && act_ready_o;

  assign set_done  = load_o && beat_q == RowWidth'(Rows - 1);
  assign fold_done = enter_o && act_last_i;

  always_comb begin : next
    full_d = full_q;
    if (set_done) full_d[fill_q] = 1'b1;
    if (fold_done) full_d[use_q] = 1'b0;
    fill_d = fill_q ^ (DoubleBuffered && set_done);
    use_d  = use_q ^ (DoubleBuffered && fold_done);
    beat_d = set_done ? '0 : beat_q + RowWidth'(load_o);
  end

  always_ff @(posedge clk_i or negedge rst_ni) begin : state
    if (!rst_ni) {full_q, fill_q, use_q, beat_q} <= '0;
    else {full_q, fill_q, use_q, beat_q} <= {full_d, fill_d, use_d, beat_d};
  end

  assign fill_o = fill_q;
  assign use_o  = use_q;
  assign beat_o = beat_q;

endmodule

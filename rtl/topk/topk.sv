// The Kept best of each row, best first, with their places in the row; the first of equal ones goes first.
//
// Lanes elements enter a cycle, or, with Folds above one, an element every Folds cycles: it passes the places
// in as many parts, one after another. A row leaves as one beat while the next one enters. Elements are signed;
// `x_keep_i` says which lanes hold one. The network of comparators, `insertion_network`, is generated.
module topk #(
  parameter int unsigned Kept       = 4,
  parameter int unsigned Lanes      = 1,  // one if Folds is above one
  parameter int unsigned Folds      = 1,
  parameter int unsigned Width      = 8,
  parameter int unsigned IndexWidth = 8,
  parameter bit          Largest    = 1'b1
) (
  input  logic                             clk_i,
  input  logic                             rst_ni,
  input  logic                             x_valid_i,
  output logic                             x_ready_o,
  input  logic                             x_last_i,  // of its row
  input  logic [Lanes-1:0]                 x_keep_i,
  input  logic [Lanes-1:0][Width-1:0]      x_i,
  output logic                             y_valid_o,
  input  logic                             y_ready_i,
  output logic [Kept-1:0]                  y_keep_o,  // fewer than Kept where the row is shorter
  output logic [Kept-1:0][Width-1:0]       y_o,
  output logic [Kept-1:0][IndexWidth-1:0]  y_index_o
);

  localparam int unsigned EntryWidth = 1 + Width + IndexWidth;
  localparam int unsigned Places     = (Kept + Folds - 1) / Folds;  // of a part
  localparam int unsigned FoldWidth  = Folds > 1 ? $clog2(Folds) : 1;
  // What turns an element into a number from zero up, of which more is better, and back.
  localparam logic [Width-1:0] Turn = Largest ? {1'b1, {(Width - 1){1'b0}}} : {1'b0, {(Width - 1){1'b1}}};

  logic first, fold_ends, row_ends, room, step, shift, shift_d, shift_q, last_q, valid_q;
  logic [FoldWidth-1:0] fold_d, fold_q;
  logic [IndexWidth-1:0] index_d, index_q;
  logic [EntryWidth-1:0] carry_d, carry_q;
  logic [Lanes-1:0][EntryWidth-1:0] fresh, entry;
  logic [Places-1:0][EntryWidth-1:0] held;
  logic [Folds-1:0][Places-1:0][EntryWidth-1:0] held_d, held_q, result_q;

  // An element comes in with the first part; its last part ends the row if it was the row's last.
  assign first     = fold_q == '0;
  assign fold_ends = fold_q == FoldWidth'(Folds - 1);
  assign row_ends  = fold_ends && (first ? x_last_i : last_q);
  assign room      = y_ready_i || !valid_q;
  assign step      = (x_valid_i || !first) && (room || !row_ends);
  assign x_ready_o = first && (room || !row_ends);
  assign y_valid_o = valid_q;

  always_comb begin : enter
    for (int unsigned l = 0; l < Lanes; l++) fresh[l] = {x_keep_i[l], x_i[l] ^ Turn, index_q + IndexWidth'(l)};
    entry = first ? fresh : (Lanes * EntryWidth)'(carry_q);
    shift = !first && shift_q;
  end

  insertion_network u_network (
    .held_i(held_q[fold_q]), .new_i(entry), .shift_i(shift), .held_o(held), .carry_o(carry_d),
    .shift_o(shift_d)
  );

  always_comb begin : next
    held_d = held_q;
    held_d[fold_q] = held;
    fold_d  = fold_ends ? '0 : fold_q + 1'b1;
    index_d = row_ends ? '0 : first ? index_q + IndexWidth'(Lanes) : index_q;
  end

  always_ff @(posedge clk_i or negedge rst_ni) begin : state
    if (!rst_ni) {fold_q, index_q, held_q} <= '0;
    else if (step) {fold_q, index_q, held_q} <= {fold_d, index_d, row_ends ? '0 : held_d};
  end

  always_ff @(posedge clk_i or negedge rst_ni) begin : result_valid
    if (!rst_ni) valid_q <= 1'b0;
    else if (room) valid_q <= step && row_ends;
  end

  always_ff @(posedge clk_i) begin : passing
    if (step) {carry_q, shift_q} <= {carry_d, shift_d};
    if (step && first) last_q <= x_last_i;
    if (step && row_ends) result_q <= held_d;
  end

  always_comb begin : leave
    for (int unsigned k = 0; k < Kept; k++) begin
      {y_keep_o[k], y_o[k], y_index_o[k]} = result_q[k/Places][k%Places] ^ {1'b0, Turn, {IndexWidth{1'b0}}};
    end
  end

endmodule

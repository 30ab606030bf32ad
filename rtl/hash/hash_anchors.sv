// Keeps a set of anchors and lets each token meet all of them, a chunk in a cycle.
//
// First the anchors are stored. Then a token's chunks are taken while they meet the first anchor, and kept
// for the others. After the last token the next set is stored. Both memories are read within the cycle.
module hash_anchors #(
  parameter int unsigned Lanes      = 4,
  parameter int unsigned Anchors    = 32,
  parameter int unsigned Chunks     = 4,
  parameter int unsigned TermsWidth = 8
) (
  input  logic                  clk_i,
  input  logic                  rst_ni,
  input  logic                  anchor_valid_i,
  output logic                  anchor_ready_o,
  input  logic [Lanes-1:0][7:0] anchor_i,
  input  logic [TermsWidth-1:0] anchor_terms_i,
  input  logic                  anchor_end_i,
  input  logic                  anchor_last_i,
  input  logic                  x_valid_i,
  output logic                  x_ready_o,
  input  logic [Lanes-1:0][7:0] x_i,
  input  logic                  x_last_i,
  output logic                  met_valid_o,
  input  logic                  met_ready_i,
  output logic [Lanes-1:0][7:0] met_x_o,
  output logic [Lanes-1:0][7:0] met_anchor_o,
  output logic                  met_first_o,  // an anchor's first chunk
  output logic                  met_end_o,    // its last one
  output logic [TermsWidth+1:0] met_label_o   // whether it is the token's first and its last anchor; its terms
);

  localparam int unsigned PlaceWidth = Anchors * Chunks > 1 ? $clog2(Anchors * Chunks) : 1;
  localparam int unsigned RowWidth   = Anchors > 1 ? $clog2(Anchors) : 1;
  localparam int unsigned ChunkWidth = Chunks > 1 ? $clog2(Chunks) : 1;

  logic [8*Lanes:0] anchor_q[Anchors*Chunks];  // whether it ends the anchor, and the chunk
  logic [TermsWidth-1:0] terms_q[Anchors];
  logic [8*Lanes-1:0] x_q[Chunks];

  logic using_d, using_q, final_q, final_token, fresh, stored, met, step_end, step_last;
  logic [PlaceWidth-1:0] place_d, place_q, end_q;
  logic [RowWidth-1:0] row_d, row_q, end_row_q;
  logic [ChunkWidth-1:0] chunk_d, chunk_q;

  assign fresh          = row_q == '0;
  assign anchor_ready_o = !using_q;
  assign x_ready_o      = using_q && fresh && met_ready_i;
  assign met_valid_o    = using_q && (!fresh || x_valid_i);
  assign stored         = anchor_valid_i && anchor_ready_o;
  assign met            = met_valid_o && met_ready_i;

  assign {met_end_o, met_anchor_o} = anchor_q[place_q];
  assign met_x_o     = fresh ? x_i : x_q[chunk_q];
  assign met_first_o = chunk_q == '0;
  assign met_label_o = {fresh, row_q == end_row_q, terms_q[row_q]};

  // Both phases go through the places in order and begin anew behind the last one.
  assign step_end    = using_q ? met_end_o : anchor_end_i;
  assign step_last   = using_q ? place_q == end_q : anchor_last_i;
  assign final_token = fresh ? x_last_i : final_q;

  always_comb begin : next
    {place_d, row_d, chunk_d, using_d} = {place_q, row_q, chunk_q, using_q};
    if (met || stored) begin
      place_d = step_last ? '0 : place_q + 1'b1;
      row_d   = step_last ? '0 : row_q + RowWidth'(step_end);
      chunk_d = step_end ? '0 : chunk_q + 1'b1;
      using_d = step_last ? !using_q || !final_token : using_q;
    end
  end

  always_ff @(posedge clk_i or negedge rst_ni) begin : counters
    if (!rst_ni) {place_q, row_q, chunk_q, using_q} <= '0;
    else {place_q, row_q, chunk_q, using_q} <= {place_d, row_d, chunk_d, using_d};
  end

  always_ff @(posedge clk_i) begin : memories
    if (stored) begin
      anchor_q[place_q] <= {anchor_end_i, anchor_i};
      terms_q[row_q]    <= anchor_terms_i;
      end_q             <= place_q;
      end_row_q         <= row_q;
    end
    if (met && fresh) begin
      x_q[chunk_q] <= x_i;
      final_q      <= x_last_i;
    end
  end

endmodule

// The greatest element of each row, two cycles after the row's last beat: of the beat, then of the row.
//
// Takes a beat whenever `valid_i` is set; who takes what it tells must have room (see softmax_rows).
module row_maximum #(
  parameter int unsigned Lanes = 4,
  parameter int unsigned Width = 32
) (
  input  logic                        clk_i,
  input  logic                        rst_ni,
  input  logic                        valid_i,
  input  logic                        last_i,
  input  logic [Lanes-1:0]            keep_i,
  input  logic [Lanes-1:0][Width-1:0] x_i,
  output logic                        valid_o,
  output logic [Width-1:0]            maximum_o
);

  localparam logic signed [Width-1:0] Least = {1'b1, {(Width - 1){1'b0}}};

  // A binary tree in one vector: node n has the children 2 n + 1 and 2 n + 2, the lanes are its leaves.
  logic signed [2*Lanes-2:0][Width-1:0] node;
  logic signed [Width-1:0] beat_q, row_q;
  logic valid_q, last_q, first_q;

  always_comb begin : tree
    for (int unsigned l = 0; l < Lanes; l++) node[Lanes-1+l] = keep_i[l] ? x_i[l] : Least;
    for (int n = int'(Lanes) - 2; n >= 0; n--) begin
      node[n] = $signed(node[2*n+1]) > $signed(node[2*n+2]) ? node[2*n+1] : node[2*n+2];
    end
  end

  assign valid_o   = valid_q && last_q;
  assign maximum_o = first_q || beat_q > row_q ? beat_q : row_q;

  always_ff @(posedge clk_i or negedge rst_ni) begin : state
    if (!rst_ni) {valid_q, first_q} <= 2'b01;
    else {valid_q, first_q} <= {valid_i, valid_q ? last_q : first_q};
  end

  always_ff @(posedge clk_i) begin : values
    if (valid_i) {beat_q, last_q} <= {node[0], last_i};
    if (valid_q) row_q <= maximum_o;
  end

endmodule

// The sum of each row, two cycles after the row's last beat: of the beat, then of the row. Unsigned.
//
// Takes a beat whenever `valid_i` is set; who takes what it tells must have room (see softmax_rows).
module row_sum #(
  parameter int unsigned Lanes    = 4,
  parameter int unsigned Width    = 25,
  parameter int unsigned SumWidth = 32
) (
  input  logic                        clk_i,
  input  logic                        rst_ni,
  input  logic                        valid_i,
  input  logic                        last_i,
  input  logic [Lanes-1:0]            keep_i,
  input  logic [Lanes-1:0][Width-1:0] x_i,
  output logic                        valid_o,
  output logic [SumWidth-1:0]         sum_o
);

  localparam int unsigned BeatWidth = Width + $clog2(Lanes);

  // A binary tree in one vector: node n has the children 2 n + 1 and 2 n + 2, the lanes are its leaves.
  logic [2*Lanes-2:0][BeatWidth-1:0] node;
  logic [BeatWidth-1:0] beat_q;
  logic [SumWidth-1:0] row_q;
  logic valid_q, last_q, first_q;

  always_comb begin : tree
    for (int unsigned l = 0; l < Lanes; l++) node[Lanes-1+l] = keep_i[l] ? BeatWidth'(x_i[l]) : '0;
    for (int n = int'(Lanes) - 2; n >= 0; n--) node[n] = node[2*n+1] + node[2*n+2];
  end

  assign valid_o = valid_q && last_q;
  assign sum_o   = SumWidth'(beat_q) + (first_q ? '0 : row_q);

  always_ff @(posedge clk_i or negedge rst_ni) begin : state
    if (!rst_ni) {valid_q, first_q} <= 2'b01;
    else {valid_q, first_q} <= {valid_i, valid_q ? last_q : first_q};
  end

  always_ff @(posedge clk_i) begin : values
    if (valid_i) {beat_q, last_q} <= {node[0], last_i};
    if (valid_q) row_q <= sum_o;
  end

endmodule

// Rows by weight: products in one register, sums in the next; a token's last row leaves rounded to Q.8.
//
// A weight stays while its row's beats come. Sums are 32 bits in Q.16; of all but the last row they are kept,
// read and written within the cycle.
module lookup_rows #(
  parameter int unsigned Lanes   = 4,
  parameter int unsigned Columns = 4
) (
  input  logic                   clk_i,
  input  logic                   rst_ni,
  input  logic                   weight_valid_i,
  output logic                   weight_ready_o,
  input  logic [16:0]            weight_i,
  input  logic                   first_i,
  input  logic                   last_i,
  input  logic                   row_valid_i,
  output logic                   row_ready_o,
  input  logic [Lanes-1:0][7:0]  row_i,
  input  logic                   row_end_i,
  output logic                   y_valid_o,
  input  logic                   y_ready_i,
  output logic [Lanes-1:0][23:0] y_o,
  output logic                   y_last_o
);

  localparam int unsigned ColumnWidth  = Columns > 1 ? $clog2(Columns) : 1;
  localparam int unsigned ProductWidth = 24;  // 2**16 times -128 at least

  logic free, valid, first_q;
  logic [1:0] load, last_q, end_q;
  logic [ColumnWidth-1:0] column_d, column_q, place_q;
  logic [Lanes-1:0][ProductWidth-1:0] product_d, product_q;
  logic [Lanes-1:0][31:0] kept, sum_d, sum_q;
  logic [Lanes*32-1:0] kept_q[Columns];

  assign row_ready_o    = weight_valid_i && free;
  assign weight_ready_o = row_valid_i && free && row_end_i;
  assign column_d       = row_end_i ? '0 : column_q + 1'b1;

  elastic #(.Stages(2)) u_flow (
    .clk_i, .rst_ni, .valid_i(row_valid_i && weight_valid_i), .ready_o(free), .valid_o(valid),
    .ready_i(y_ready_i || !last_q[1]), .load_o(load)
  );

  assign kept = first_q ? '0 : kept_q[place_q];

  always_comb begin : arithmetic
    for (int unsigned l = 0; l < Lanes; l++) begin
      product_d[l] = ProductWidth'($signed({1'b0, weight_i})) * ProductWidth'($signed(row_i[l]));
      sum_d[l]     = kept[l] + 32'($signed(product_q[l]));
    end
  end

  for (genvar l = 0; l < Lanes; l++) begin : gen_round
    shift_round_even #(.InWidth(32), .OutWidth(24), .PlacesWidth(4)) u_round (
      .value_i(sum_q[l]), .places_i(4'd8), .value_o(y_o[l])
    );
  end

  always_ff @(posedge clk_i or negedge rst_ni) begin : columns
    if (!rst_ni) column_q <= '0;
    else if (load[0]) column_q <= column_d;
  end

  always_ff @(posedge clk_i) begin : stages
    if (load[0]) {product_q, first_q, last_q[0], end_q[0], place_q} <= {product_d, first_i, last_i, row_end_i, column_q};
    if (load[1]) {sum_q, last_q[1], end_q[1]} <= {sum_d, last_q[0], end_q[0]};
    if (load[1] && !last_q[0]) kept_q[place_q] <= sum_d;
  end

  assign y_valid_o = valid && last_q[1];
  assign y_last_o  = end_q[1];

endmodule

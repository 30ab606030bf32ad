// What leaves for each row of sums: the sums, narrow integers at another scale, or bits by a threshold.
//
// One beat of settings is taken with each fold's first row. Its factor is a multiplier below 2**31 for narrow
// integers, which are sum * factor / 2**shift rounded half to even and saturated, and the threshold for bits,
// which are set where the sum is at least that. Results are sign-extended to OutWidth.
module binary_scale #(
  parameter int unsigned Columns     = 4,
  parameter int unsigned SumWidth    = 18,
  parameter int unsigned FactorWidth = 32,
  parameter int unsigned ShiftWidth  = 6,
  parameter int unsigned ResultWidth = 8,
  parameter int unsigned OutWidth    = 32
) (
  input  logic                                clk_i,
  input  logic                                rst_ni,

  input  logic                                row_valid_i,
  output logic                                row_ready_o,
  input  logic                                row_first_i,
  input  logic [Columns-1:0][   SumWidth-1:0] row_sum_i,

  input  logic                                scale_valid_i,
  output logic                                scale_ready_o,
  input  logic [1:0]                          scale_mode_i,
  input  logic [Columns-1:0][FactorWidth-1:0] scale_factor_i,
  input  logic [Columns-1:0][ ShiftWidth-1:0] scale_shift_i,

  output logic                                y_valid_o,
  input  logic                                y_ready_i,
  output logic [Columns-1:0][   OutWidth-1:0] y_o
);

  localparam int unsigned ProductWidth = SumWidth + FactorWidth;

  localparam logic [1:0] Narrow = 2'd1, Bits = 2'd2;

  logic [2:0] load;
  logic ready, enters, known;

  assign known         = !row_first_i || scale_valid_i;
  assign enters        = row_valid_i && known;
  assign row_ready_o   = ready && known;
  assign scale_ready_o = ready && row_valid_i && row_first_i;

  elastic #(.Stages(3)) u_flow (
    .clk_i, .rst_ni, .valid_i(enters), .ready_o(ready), .valid_o(y_valid_o), .ready_i(y_ready_i),
    .load_o(load)
  );

  // Sums, and the settings of their fold.
  logic [1:0] mode_q;
  logic [Columns-1:0][SumWidth-1:0] sum_q;
  logic [Columns-1:0][FactorWidth-1:0] factor_q;
  logic [Columns-1:0][ShiftWidth-1:0] shift_q;

  always_ff @(posedge clk_i) begin : sums
    if (load[0]) sum_q <= row_sum_i;
    if (load[0] && row_first_i) begin
      {mode_q, factor_q, shift_q} <= {scale_mode_i, scale_factor_i, scale_shift_i};
    end
  end

  // Products; a sum that stays as it is, or its bit, in their low bits.
  logic narrow_q;
  logic [Columns-1:0][ProductWidth-1:0] product, product_q;
  logic [Columns-1:0][ShiftWidth-1:0] places_q;

  always_comb begin : multiply
    for (int unsigned c = 0; c < Columns; c++) begin
      unique case (mode_q)
        Narrow:  product[c] = $signed(sum_q[c]) * $signed(factor_q[c]);
        Bits:    product[c] = ProductWidth'($signed(sum_q[c]) >= $signed(factor_q[c]));
        default: product[c] = ProductWidth'($signed(sum_q[c]));
      endcase
    end
  end

  always_ff @(posedge clk_i) begin : products
    if (load[1]) {narrow_q, product_q, places_q} <= {mode_q == Narrow, product, shift_q};
  end

  // Results.
  logic [Columns-1:0][OutWidth-1:0] y, y_q;

  for (genvar c = 0; c < Columns; c++) begin : gen_result
    logic [ResultWidth-1:0] rounded;

    shift_round_even #(
      .InWidth(ProductWidth), .OutWidth(ResultWidth), .PlacesWidth(ShiftWidth)
    ) u_round (
      .value_i(product_q[c]), .places_i(places_q[c]), .value_o(rounded)
    );

    assign y[c] = narrow_q ? OutWidth'($signed(rounded)) : product_q[c][OutWidth-1:0];
  end

  always_ff @(posedge clk_i) begin : results
    if (load[2]) y_q <= y;
  end

  assign y_o = y_q;

endmodule

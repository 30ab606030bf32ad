// A chunk's address and the exponent of its weight, from signs and magnitudes.
//
// First the curve is taken: what each magnitude adds to an exponent. Behind the last token's last chunk the
// next curve is. The request for the row and the exponent leave the register at one time or the request first.
module lookup_address #(
  parameter int unsigned Lanes = 4,
  parameter int unsigned Chunk = 8
) (
  input  logic                   clk_i,
  input  logic                   rst_ni,
  input  logic                   curve_valid_i,
  output logic                   curve_ready_o,
  input  logic [Lanes-1:0][12:0] curve_i,
  input  logic                   x_valid_i,
  output logic                   x_ready_o,
  input  logic [Chunk-1:0][7:0]  x_i,
  input  logic [Chunk-1:0]       x_keep_i,
  input  logic                   x_end_i,
  input  logic                   x_last_i,
  output logic                   fetch_valid_o,
  input  logic                   fetch_ready_i,
  output logic [7:0]             fetch_table_o,
  output logic [Chunk-1:0]       fetch_row_o,
  output logic                   address_valid_o,
  input  logic                   address_ready_i,
  output logic [16:0]            exponent_o,
  output logic                   first_o,  // the token's first chunk
  output logic                   last_o    // its last one
);

  localparam int unsigned Magnitudes = 128;
  localparam int unsigned Beats      = (Magnitudes + Lanes - 1) / Lanes;
  localparam int unsigned BeatWidth  = Beats > 1 ? $clog2(Beats) : 1;

  logic full_d, full_q, valid_q, fetched_q, loaded, taken, leaves;
  logic [BeatWidth-1:0] beat_d, beat_q;
  logic [Beats*Lanes-1:0][12:0] curve_q;
  logic [7:0] table_q, number_d, number_q;
  logic [Chunk-1:0] row_d, row_q;
  logic [16:0] exponent_d, exponent_q;
  logic [6:0] magnitude;
  logic last_q;

  assign curve_ready_o   = !full_q;
  assign x_ready_o       = full_q && (!valid_q || leaves);
  assign loaded          = curve_valid_i && curve_ready_o;
  assign taken           = x_valid_i && x_ready_o;
  assign fetch_valid_o   = valid_q && !fetched_q;
  assign address_valid_o = valid_q && (fetched_q || fetch_ready_i);
  assign leaves          = address_valid_o && address_ready_i;

  always_comb begin : address
    exponent_d = '0;
    magnitude  = '0;
    for (int unsigned i = 0; i < Chunk; i++) begin
      row_d[i]  = x_keep_i[i] && !x_i[i][7];  // 0 counts as positive
      magnitude = x_i[i] == 8'h80 ? 7'd127 : 7'(x_i[i][7] ? -x_i[i] : x_i[i]);
      if (x_keep_i[i]) exponent_d = exponent_d + 17'(curve_q[magnitude]);
    end
  end

  always_comb begin : next
    {beat_d, full_d, number_d} = {beat_q, full_q, number_q};
    if (loaded) begin
      beat_d = beat_q == BeatWidth'(Beats - 1) ? '0 : beat_q + 1'b1;
      full_d = beat_q == BeatWidth'(Beats - 1);
    end
    if (taken) begin
      number_d = x_end_i ? '0 : number_q + 1'b1;
      full_d   = !(x_end_i && x_last_i);
    end
  end

  always_ff @(posedge clk_i or negedge rst_ni) begin : control
    if (!rst_ni) {beat_q, full_q, number_q, valid_q, fetched_q} <= '0;
    else begin
      {beat_q, full_q, number_q} <= {beat_d, full_d, number_d};
      valid_q   <= taken || (valid_q && !leaves);
      fetched_q <= valid_q && !leaves && (fetched_q || fetch_ready_i);
    end
  end

  always_ff @(posedge clk_i) begin : data
    if (loaded) curve_q <= (Beats * Lanes * 13)'({curve_i, curve_q} >> (Lanes * 13));
    if (taken) {exponent_q, row_q, table_q, last_q} <= {exponent_d, row_d, number_q, x_end_i};
  end

  assign fetch_table_o = table_q;
  assign fetch_row_o   = row_q;
  assign exponent_o    = exponent_q;
  assign first_o       = table_q == '0;
  assign last_o        = last_q;

endmodule

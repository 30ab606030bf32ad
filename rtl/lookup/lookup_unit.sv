// The look-up layer engine: signs choose a row of each table, and the rows that come are added by weight.
//
// The tables stay in memory. For each chunk of a token the engine asks for a row; rows come in that order.
module lookup_unit #(
  parameter int unsigned Lanes   = 4,
  parameter int unsigned Chunk   = 8,  // elements of a chunk, at most: 1 to 16
  parameter int unsigned Columns = 4   // beats of a row, at most
) (
  input  logic                   clk_i,
  input  logic                   rst_ni,
  // Exponents of magnitudes 0 to 127, in order: 128 / Lanes beats, rounded up.
  input  logic                   curve_valid_i,
  output logic                   curve_ready_o,
  input  logic [Lanes-1:0][12:0] curve_i,
  // A chunk of a token: which lanes hold elements; the token's last chunk; the last token's.
  input  logic                   x_valid_i,
  output logic                   x_ready_o,
  input  logic [Chunk-1:0][7:0]  x_i,
  input  logic [Chunk-1:0]       x_keep_i,
  input  logic                   x_end_i,
  input  logic                   x_last_i,
  // The row that it chooses, and the table by its number.
  output logic                   fetch_valid_o,
  input  logic                   fetch_ready_i,
  output logic [7:0]             fetch_table_o,
  output logic [Chunk-1:0]       fetch_row_o,
  // Rows that were asked for; the last beat of each says so.
  input  logic                   row_valid_i,
  output logic                   row_ready_o,
  input  logic [Lanes-1:0][7:0]  row_i,
  input  logic                   row_end_i,
  // A token's result; its last beat says so.
  output logic                   y_valid_o,
  input  logic                   y_ready_i,
  output logic [Lanes-1:0][23:0] y_o,
  output logic                   y_last_o
);

  logic address_valid, address_ready, weight_valid, weight_ready, first, last, weight_first, weight_last;
  logic [16:0] exponent, power, weight;

  lookup_address #(.Lanes(Lanes), .Chunk(Chunk)) u_address (
    .clk_i, .rst_ni,
    .curve_valid_i, .curve_ready_o, .curve_i,
    .x_valid_i, .x_ready_o, .x_i, .x_keep_i, .x_end_i, .x_last_i,
    .fetch_valid_o, .fetch_ready_i, .fetch_table_o, .fetch_row_o,
    .address_valid_o(address_valid), .address_ready_i(address_ready), .exponent_o(exponent),
    .first_o(first), .last_o(last)
  );

  half_power u_power (.exponent_i(exponent), .power_o(power));

  stream_register #(.Width(19)) u_weight (
    .clk_i, .rst_ni,
    .in_valid_i(address_valid), .in_ready_o(address_ready), .in_i({power, first, last}),
    .out_valid_o(weight_valid), .out_ready_i(weight_ready), .out_o({weight, weight_first, weight_last})
  );

  lookup_rows #(.Lanes(Lanes), .Columns(Columns)) u_rows (
    .clk_i, .rst_ni,
    .weight_valid_i(weight_valid), .weight_ready_o(weight_ready), .weight_i(weight),
    .first_i(weight_first), .last_i(weight_last),
    .row_valid_i, .row_ready_o, .row_i, .row_end_i,
    .y_valid_o, .y_ready_i, .y_o, .y_last_o
  );

endmodule

// Tiles in by rows, out by columns: while one tile fills, the one before it empties.
//
// A tile has up to Side rows, the last of which says so and how many columns there are. Neither valid nor
// ready passes through. Who sends more than Side rows to a tile overwrites its first ones.
module transposer #(
  parameter int unsigned Side      = 4,  // two or more
  parameter int unsigned Width     = 8,
  parameter int unsigned SideWidth = $clog2(Side)
) (
  input  logic                       clk_i,
  input  logic                       rst_ni,
  input  logic                       row_valid_i,
  output logic                       row_ready_o,
  input  logic                       row_last_i,     // of its tile
  input  logic [SideWidth-1:0]       row_columns_i,  // one less than there are; read with the last row
  input  logic [Side-1:0][Width-1:0] row_i,
  output logic                       column_valid_o,
  input  logic                       column_ready_i,
  output logic                       column_last_o,
  output logic [Side-1:0]            column_keep_o,  // which lanes hold rows of the tile
  output logic [Side-1:0][Width-1:0] column_o
);

  logic fill, drain, taken, given;
  logic [SideWidth-1:0] row, column;
  logic [1:0] full_d, full_q;
  logic [1:0][SideWidth-1:0] rows_d, rows_q, columns_d, columns_q;
  logic [1:0][Side-1:0][Width-1:0] elements;

  assign row_ready_o    = !full_q[fill];
  assign column_valid_o = full_q[drain];
  assign taken          = row_valid_i && row_ready_o;
  assign given          = column_valid_o && column_ready_i;

  transpose_side #(.SideWidth(SideWidth)) u_fill (
    .clk_i, .rst_ni, .beat_i(taken), .last_i(row_last_i), .place_o(row), .tile_o(fill)
  );
  transpose_side #(.SideWidth(SideWidth)) u_drain (
    .clk_i, .rst_ni, .beat_i(given), .last_i(column_last_o), .place_o(column), .tile_o(drain)
  );

  for (genvar t = 0; t < 2; t++) begin : gen_tiles
    transpose_tile #(.Side(Side), .Width(Width), .SideWidth(SideWidth)) u_tile (
      .clk_i, .write_i(taken && fill == 1'(t)), .row_i(row), .elements_i(row_i),
      .column_i(column), .elements_o(elements[t])
    );
  end

  always_comb begin : next
    {full_d, rows_d, columns_d} = {full_q, rows_q, columns_q};
    if (given && column_last_o) full_d[drain] = 1'b0;
    if (taken && row_last_i) begin
      full_d[fill]    = 1'b1;
      rows_d[fill]    = row;
      columns_d[fill] = row_columns_i;
    end
  end

  always_ff @(posedge clk_i or negedge rst_ni) begin : full
    if (!rst_ni) full_q <= '0;
    else full_q <= full_d;
  end

  always_ff @(posedge clk_i) begin : sizes
    {rows_q, columns_q} <= {rows_d, columns_d};
  end

  assign column_last_o = column == columns_q[drain];
  assign column_keep_o = ~({Side{1'b1}} << 1 << rows_q[drain]);
  assign column_o      = elements[drain];

endmodule

// One side's place in two tiles that are used in turn: the beat within the tile, and which tile.
module transpose_side #(
  parameter int unsigned SideWidth = 2
) (
  input  logic                 clk_i,
  input  logic                 rst_ni,
  input  logic                 beat_i,
  input  logic                 last_i,
  output logic [SideWidth-1:0] place_o,
  output logic                 tile_o
);

  logic [SideWidth-1:0] place_d, place_q;
  logic tile_q;

  assign place_d = last_i ? '0 : place_q + 1'b1;

  always_ff @(posedge clk_i or negedge rst_ni) begin : place
    if (!rst_ni) {tile_q, place_q} <= '0;
    else if (beat_i) {tile_q, place_q} <= {tile_q ^ last_i, place_d};
  end

  assign place_o = place_q;
  assign tile_o  = tile_q;

endmodule

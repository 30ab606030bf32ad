// Limits that come in one by one, and the work that they are for: load, use, let go.
//
// The first limit is that of code 0: the greatest value whose code is above 0. Work may enter once the last
// limit has come; after the beat that says last none enters until that beat has left and new limits are in.
module limit_table #(
  parameter int unsigned Limits = 15,
  parameter int unsigned Width  = 16
) (
  input  logic                         clk_i,
  input  logic                         rst_ni,
  input  logic                         limit_valid_i,
  output logic                         limit_ready_o,
  input  logic [Width-1:0]             limit_i,
  output logic [Limits-1:0][Width-1:0] limit_o,
  // May work enter; does the last beat of it enter, does it leave.
  output logic                         open_o,
  input  logic                         last_enters_i,
  input  logic                         last_leaves_i
);

  localparam int unsigned CountWidth = $clog2(Limits + 1);

  logic [CountWidth-1:0] count_d, count_q;
  logic [Limits-1:0][Width-1:0] limit_q;
  logic full, loaded, closed_d, closed_q;

  assign full          = count_q == CountWidth'(Limits);
  assign limit_ready_o = !full;
  assign loaded        = limit_valid_i && limit_ready_o;
  assign open_o        = full && !closed_q;

  always_comb begin : next
    count_d = last_leaves_i ? '0 : count_q + CountWidth'(loaded);
    closed_d = (closed_q || last_enters_i) && !last_leaves_i;
  end

  always_ff @(posedge clk_i or negedge rst_ni) begin : state
    if (!rst_ni) {count_q, closed_q} <= '0;
    else {count_q, closed_q} <= {count_d, closed_d};
  end

  // Each limit moves all before it a place down, so that the first ends at place 0.
  always_ff @(posedge clk_i) begin : hold
    if (loaded) limit_q <= (Limits * Width)'({limit_i, limit_q} >> Width);
  end

  assign limit_o = limit_q;

endmodule

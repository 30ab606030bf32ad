// Holds up to Depth beats in registers; first in, first out.
//
// Neither valid nor ready passes through: a beat is offered from the cycle after it was taken, and a
// full FIFO takes none in the cycle in which it hands one over. Depth 2 keeps a beat a cycle; depth 1
// halves that. Registers grow with Depth * Width: this is no memory macro.
module fifo #(
  parameter int unsigned Width = 8,
  parameter int unsigned Depth = 2
) (
  input  logic             clk_i,
  input  logic             rst_ni,
  input  logic             in_valid_i,
  output logic             in_ready_o,
  input  logic [Width-1:0] in_i,
  output logic             out_valid_o,
  input  logic             out_ready_i,
  output logic [Width-1:0] out_o
);

  localparam int unsigned PlaceWidth = Depth > 1 ? $clog2(Depth) : 1;
  localparam int unsigned CountWidth = $clog2(Depth + 1);
  localparam logic [PlaceWidth-1:0] LastPlace = PlaceWidth'(Depth - 1);

  logic [Width-1:0] beat_q[Depth];
  logic [PlaceWidth-1:0] write_d, write_q, read_d, read_q;
  logic [CountWidth-1:0] count_d, count_q;
  logic taken, given;

  assign in_ready_o  = count_q != CountWidth'(Depth);
  assign out_valid_o = count_q != '0;
  assign out_o       = beat_q[read_q];
  assign taken       = in_valid_i && in_ready_o;
  assign given       = out_valid_o && out_ready_i;

  always_comb begin : next
    write_d = !taken ? write_q : write_q == LastPlace ? '0 : write_q + 1'b1;
    read_d  = !given ? read_q : read_q == LastPlace ? '0 : read_q + 1'b1;
    count_d = count_q + CountWidth'(taken) - CountWidth'(given);
  end

  always_ff @(posedge clk_i or negedge rst_ni) begin : places
    if (!rst_ni) {write_q, read_q, count_q} <= '0;
    else {write_q, read_q, count_q} <= {write_d, read_d, count_d};
  end

  always_ff @(posedge clk_i) begin : beats
    if (taken) beat_q[write_q] <= in_i;
  end

endmodule

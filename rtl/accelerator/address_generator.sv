// Addresses of a nest of Levels loops, one a cycle: level 0 is the innermost.
//
// An address is the base plus, for each level, its index times its stride. A nest has at least one iteration
// at every level. `last_o` says at which levels the index is the last one; all of them set ends the nest, and
// the next nest's first address can follow in the next cycle.
module address_generator #(
  parameter int unsigned Levels       = 2,
  parameter int unsigned AddressWidth = 16,
  parameter int unsigned CountWidth   = 16
) (
  input  logic                                clk_i,
  input  logic                                rst_ni,
  input  logic                                nest_valid_i,
  output logic                                nest_ready_o,
  input  logic [AddressWidth-1:0]             base_i,
  input  logic [Levels-1:0][CountWidth-1:0]   count_i,
  input  logic [Levels-1:0][AddressWidth-1:0] stride_i,
  output logic                                address_valid_o,
  input  logic                                address_ready_i,
  output logic [AddressWidth-1:0]             address_o,
  output logic [Levels-1:0]                   last_o
);

  logic busy_q, start, step;
  // Steps that are left at each level after this one, and how far each level's index has come in words.
  logic [Levels-1:0][CountWidth-1:0] count_q, left_d, left_q;
  logic [Levels-1:0][AddressWidth-1:0] stride_q, offset_d, offset_q;
  logic [AddressWidth-1:0] base_q;

  assign step         = busy_q && address_ready_i;
  assign nest_ready_o = !busy_q || (step && (&last_o));
  assign start        = nest_valid_i && nest_ready_o;

  always_comb begin : last
    for (int unsigned l = 0; l < Levels; l++) last_o[l] = left_q[l] == '0;
  end

  always_comb begin : next
    logic carry;
    carry = 1'b1;
    left_d = left_q;
    offset_d = offset_q;
    for (int unsigned l = 0; l < Levels; l++) begin
      if (start) begin
        left_d[l] = count_i[l] - 1'b1;
        offset_d[l] = '0;
      end else if (step && carry) begin
        left_d[l] = last_o[l] ? count_q[l] - 1'b1 : left_q[l] - 1'b1;
        offset_d[l] = last_o[l] ? '0 : offset_q[l] + stride_q[l];
      end
      carry = carry && last_o[l];
    end
  end

  always_comb begin : sum
    address_o = base_q;
    for (int unsigned l = 0; l < Levels; l++) address_o = address_o + offset_q[l];
  end

  assign address_valid_o = busy_q;

  always_ff @(posedge clk_i or negedge rst_ni) begin : busy
    if (!rst_ni) busy_q <= 1'b0;
    else if (nest_ready_o) busy_q <= nest_valid_i;
  end

  always_ff @(posedge clk_i) begin : places
    left_q   <= left_d;
    offset_q <= offset_d;
    if (start) {base_q, count_q, stride_q} <= {base_i, count_i, stride_i};
  end

endmodule

// Addresses of the words of rows that indices choose: base + index * stride, and up from there.
//
// A job tells where the rows lie; its indices follow until the last. A row's first address is made in the
// cycle in which its index is taken; indices and jobs follow without a gap.
module gather_addresses #(
  parameter int unsigned AddressWidth = 12,
  parameter int unsigned IndexWidth   = 8,
  parameter int unsigned CountWidth   = 8
) (
  input  logic                    clk_i,
  input  logic                    rst_ni,
  input  logic                    job_valid_i,
  output logic                    job_ready_o,
  input  logic [AddressWidth-1:0] job_base_i,
  input  logic [AddressWidth-1:0] job_stride_i,
  input  logic [CountWidth-1:0]   job_words_i,  // of a row, one or more
  input  logic                    index_valid_i,
  output logic                    index_ready_o,
  input  logic                    index_last_i,
  input  logic [IndexWidth-1:0]   index_i,
  output logic                    word_valid_o,
  input  logic                    word_ready_i,
  output logic [AddressWidth-1:0] word_address_o,
  output logic                    word_last_o   // of its row
);

  logic active_q, busy_q, taken, moved;
  logic [AddressWidth-1:0] base_q, stride_q, address_d, address_q;
  logic [CountWidth-1:0] words_q, left_d, left_q;

  assign moved         = busy_q && word_ready_i;
  assign index_ready_o = active_q && (!busy_q || (moved && word_last_o));
  assign taken         = index_valid_i && index_ready_o;
  assign job_ready_o   = !active_q || (taken && index_last_i);

  assign word_valid_o   = busy_q;
  assign word_address_o = address_q;
  assign word_last_o    = left_q == CountWidth'(1);

  assign address_d = taken ? base_q + AddressWidth'(index_i) * stride_q : address_q + 1'b1;
  assign left_d    = taken ? words_q : left_q - 1'b1;

  always_ff @(posedge clk_i or negedge rst_ni) begin : state
    if (!rst_ni) {active_q, busy_q} <= '0;
    else {active_q, busy_q} <= {job_ready_o ? job_valid_i : 1'b1, taken || (busy_q && !(moved && word_last_o))};
  end

  always_ff @(posedge clk_i) begin : places
    if (job_ready_o) {base_q, stride_q, words_q} <= {job_base_i, job_stride_i, job_words_i};
    if (taken || moved) {address_q, left_q} <= {address_d, left_d};
  end

endmodule

// Requests of transfers: each row cut into bursts that end where a multiple of BurstWords is reached.
//
// One burst a cycle; a transfer can be taken in the cycle in which the last request of the one before is.
module dma_bursts #(
  parameter int unsigned BurstWords  = 4,  // a power of two
  parameter int unsigned MemoryWidth = 16,
  parameter int unsigned CountWidth  = 8,
  parameter int unsigned LengthWidth = 3
) (
  input  logic                   clk_i,
  input  logic                   rst_ni,
  input  logic                   transfer_valid_i,
  output logic                   transfer_ready_o,
  input  logic                   store_i,
  input  logic [MemoryWidth-1:0] memory_i,
  input  logic [MemoryWidth-1:0] stride_i,
  input  logic [ CountWidth-1:0] row_words_i,
  input  logic [ CountWidth-1:0] rows_i,
  output logic                   burst_valid_o,
  input  logic                   burst_ready_i,
  output logic                   burst_write_o,
  output logic [MemoryWidth-1:0] burst_address_o,
  output logic [LengthWidth-1:0] burst_words_o
);

  logic busy_q, store_q, taken, given, last_of_row, last;
  logic [MemoryWidth-1:0] address_d, address_q, row_d, row_q, stride_q;
  logic [CountWidth-1:0] left_d, left_q, row_words_q, rows_d, rows_q;
  logic [LengthWidth-1:0] room;

  // Words up to the next multiple of BurstWords.
  assign room          = LengthWidth'(BurstWords) - LengthWidth'(address_q & MemoryWidth'(BurstWords - 1));
  assign last_of_row   = left_q <= CountWidth'(room);
  assign last          = last_of_row && rows_q == CountWidth'(1);
  assign burst_words_o = last_of_row ? LengthWidth'(left_q) : room;

  assign burst_valid_o    = busy_q;
  assign burst_write_o    = store_q;
  assign burst_address_o  = address_q;
  assign given            = busy_q && burst_ready_i;
  assign transfer_ready_o = !busy_q || (given && last);
  assign taken            = transfer_valid_i && transfer_ready_o;

  always_comb begin : next
    row_d     = row_q + stride_q;
    address_d = last_of_row ? row_d : address_q + MemoryWidth'(room);
    left_d    = last_of_row ? row_words_q : left_q - CountWidth'(room);
    rows_d    = rows_q - CountWidth'(last_of_row);
  end

  always_ff @(posedge clk_i or negedge rst_ni) begin : busy
    if (!rst_ni) busy_q <= 1'b0;
    else if (transfer_ready_o) busy_q <= transfer_valid_i;
  end

  always_ff @(posedge clk_i) begin : place
    if (taken) begin
      {store_q, stride_q, row_words_q} <= {store_i, stride_i, row_words_i};
      {address_q, row_q, left_q, rows_q} <= {memory_i, memory_i, row_words_i, rows_i};
    end else if (given) begin
      {address_q, left_q, rows_q} <= {address_d, left_d, rows_d};
      if (last_of_row) row_q <= row_d;
    end
  end

endmodule

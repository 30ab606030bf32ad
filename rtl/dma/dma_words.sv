// Words of transfers on the scratchpad's side: where each goes or comes from, and which of its bytes count.
//
// Works on the transfer that is offered, which is taken with its last word.
module dma_words #(
  parameter int unsigned WordBytes  = 4,
  parameter int unsigned LocalWidth = 10,
  parameter int unsigned CountWidth = 8,
  parameter int unsigned TailWidth  = 2
) (
  input  logic                  clk_i,
  input  logic                  rst_ni,
  input  logic                  transfer_valid_i,
  output logic                  transfer_ready_o,
  input  logic [LocalWidth-1:0] local_i,
  input  logic [LocalWidth-1:0] stride_i,
  input  logic [CountWidth-1:0] row_words_i,
  input  logic [ TailWidth-1:0] tail_i,       // bytes of a row's last word; 0 for all
  input  logic [CountWidth-1:0] rows_i,
  output logic                  word_valid_o,
  input  logic                  word_ready_i,
  output logic [LocalWidth-1:0] word_address_o,
  output logic [ WordBytes-1:0] word_strobe_o,
  output logic                  word_last_o   // of the transfer
);

  logic fresh_q, moved, last_of_row;
  logic [LocalWidth-1:0] row, row_d, row_q, address_q;
  logic [CountWidth-1:0] words_d, words_q, rows_d, rows_q;

  assign word_valid_o     = transfer_valid_i;
  assign transfer_ready_o = word_ready_i && word_last_o;
  assign moved            = word_valid_o && word_ready_i;

  assign row            = fresh_q ? local_i : row_q;
  assign word_address_o = fresh_q ? local_i : address_q;
  assign last_of_row    = words_q == row_words_i - 1'b1;
  assign word_last_o    = last_of_row && rows_q == rows_i - 1'b1;
  assign word_strobe_o  = last_of_row && tail_i != '0 ? ~({WordBytes{1'b1}} << tail_i) : '1;

  always_comb begin : next
    row_d   = last_of_row ? row + stride_i : row;
    words_d = last_of_row ? '0 : words_q + 1'b1;
    rows_d  = word_last_o ? '0 : rows_q + CountWidth'(last_of_row);
  end

  always_ff @(posedge clk_i or negedge rst_ni) begin : progress
    if (!rst_ni) {fresh_q, words_q, rows_q} <= {1'b1, {(2 * CountWidth) {1'b0}}};
    else if (moved) {fresh_q, words_q, rows_q} <= {word_last_o, words_d, rows_d};
  end

  always_ff @(posedge clk_i) begin : place
    if (moved) begin
      row_q     <= row_d;
      address_q <= last_of_row ? row_d : word_address_o + 1'b1;
    end
  end

endmodule

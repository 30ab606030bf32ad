// One bank: a memory with one port, written by bytes, that shows a word in the cycle after it was read.
//
// The model of an SRAM macro, which takes its place in a chip; from here, synthesis makes flip-flops. A word
// read stays on `word_o` until the next read. Nothing is reset: what was never written is noise.
module sram_bank #(
  parameter int unsigned Words     = 16,
  parameter int unsigned WordBytes = 4,
  parameter int unsigned RowWidth  = 4
) (
  input  logic                      clk_i,
  input  logic                      read_i,
  input  logic                      write_i,
  input  logic [RowWidth-1:0]       row_i,
  input  logic [WordBytes-1:0]      strobe_i,
  input  logic [WordBytes-1:0][7:0] word_i,
  output logic [WordBytes-1:0][7:0] word_o
);

  for (genvar b = 0; b < int'(WordBytes); b++) begin : gen_bytes
    logic [7:0] byte_q[Words];
    logic [7:0] read_q;

    always_ff @(posedge clk_i) begin : access
      if (write_i && strobe_i[b]) byte_q[row_i] <= word_i[b];
      if (read_i) read_q <= byte_q[row_i];
    end

    assign word_o[b] = read_q;
  end

endmodule

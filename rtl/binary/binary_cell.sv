// One cell's word and how many ones it has; `binary_popcount` is generated for words of that width.
//
// Combinational. Ternary elements are two bits of two's complement: nonzero in the low one, negative in the
// high one. Their product leaves two ones for +1, one for 0 and none for -1, so that the ones less the
// elements are the sum. The code 10 counts as zero.
module binary_cell #(
  parameter int unsigned Width     = 16,
  parameter int unsigned OnesWidth = $clog2(Width + 1)
) (
  input  logic [1:0]           mode_i,
  input  logic [Width-1:0]     x_i,
  input  logic [Width-1:0]     w_i,
  output logic [OnesWidth-1:0] ones_o
);

  localparam logic [1:0] Xnor = 2'd0, Ternary = 2'd3;

  logic [Width-1:0] both, alike, signs, word;

  assign both  = x_i & w_i;
  assign alike = ~(x_i ^ w_i);

  always_comb begin : ternary
    for (int unsigned i = 0; i < Width; i += 2) begin
      signs[i]   = both[i] && alike[i+1];   // both nonzero, of one sign: +1
      signs[i+1] = !both[i] || alike[i+1];  // not -1
    end
  end

  always_comb begin : choose
    unique case (mode_i)
      Xnor:    word = alike;
      Ternary: word = signs;
      default: word = both;
    endcase
  end

  binary_popcount u_popcount (.word_i(word), .count_o(ones_o));

endmodule

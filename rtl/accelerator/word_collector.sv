// Gathers Words words into one wide beat, the first word in the lowest bits.
module word_collector #(
  parameter int unsigned WordWidth = 128,
  parameter int unsigned Words     = 9
) (
  input  logic                       clk_i,
  input  logic                       rst_ni,
  input  logic                       word_valid_i,
  output logic                       word_ready_o,
  input  logic [WordWidth-1:0]       word_i,
  output logic                       beat_valid_o,
  input  logic                       beat_ready_i,
  output logic [Words*WordWidth-1:0] beat_o
);

  localparam int unsigned CountWidth = $clog2(Words + 1);

  logic taken;
  logic [CountWidth-1:0] count_q;
  logic [Words*WordWidth-1:0] beat_q;

  assign beat_valid_o = count_q == CountWidth'(Words);
  assign word_ready_o = !beat_valid_o || beat_ready_i;
  assign taken        = word_valid_i && word_ready_o;
  assign beat_o       = beat_q;

  always_ff @(posedge clk_i or negedge rst_ni) begin : count
    if (!rst_ni) count_q <= '0;
    else if (beat_valid_o && beat_ready_i) count_q <= CountWidth'(taken);
    else if (taken) count_q <= count_q + 1'b1;
  end

  if (Words == 1) begin : gen_one
    always_ff @(posedge clk_i) begin : beat
      if (taken) beat_q <= word_i;
    end
  end else begin : gen_shift
    always_ff @(posedge clk_i) begin : beat
      if (taken) beat_q <= {word_i, beat_q[Words*WordWidth-1:WordWidth]};
    end
  end

endmodule

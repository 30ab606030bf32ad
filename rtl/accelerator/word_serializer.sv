// Hands a word over in Beats parts, the lowest bits first; the label goes with each, and `last_o` with the last.
module word_serializer #(
  parameter int unsigned BeatWidth  = 32,
  parameter int unsigned Beats      = 4,
  parameter int unsigned LabelWidth = 1
) (
  input  logic                       clk_i,
  input  logic                       rst_ni,
  input  logic                       word_valid_i,
  output logic                       word_ready_o,
  input  logic [Beats*BeatWidth-1:0] word_i,
  input  logic [LabelWidth-1:0]      label_i,
  output logic                       beat_valid_o,
  input  logic                       beat_ready_i,
  output logic [BeatWidth-1:0]       beat_o,
  output logic [LabelWidth-1:0]      label_o,
  output logic                       last_o
);

  localparam int unsigned PlaceWidth = Beats > 1 ? $clog2(Beats) : 1;

  logic [PlaceWidth-1:0] place_q;

  assign beat_valid_o = word_valid_i;
  assign last_o       = place_q == PlaceWidth'(Beats - 1);
  assign word_ready_o = beat_ready_i && last_o;
  assign beat_o       = word_i[place_q*BeatWidth+:BeatWidth];
  assign label_o      = label_i;

  always_ff @(posedge clk_i or negedge rst_ni) begin : place
    if (!rst_ni) place_q <= '0;
    else if (word_valid_i && beat_ready_i) place_q <= last_o ? '0 : place_q + 1'b1;
  end

endmodule

// Norms of rows: the norm unit with a reader for its weights and biases, which lie as beats of lanes.
module row_norm
  import commands_pkg::*;
#(
  parameter int unsigned Size         = 16,
  parameter int unsigned Lanes        = 4,  // so many that a beat of weights and biases is whole words
  parameter int unsigned AddressWidth = 16,
  parameter int unsigned MaxLength    = 256,
  localparam int unsigned WordWidth   = 8 * Size
) (
  input  logic                    clk_i,
  input  logic                    rst_ni,
  input  logic                    start_i,
  input  vector_t                 command_i,
  output logic                    read_valid_o,
  input  logic                    read_ready_i,
  output logic [AddressWidth-1:0] read_address_o,
  input  logic                    answer_valid_i,
  input  logic [WordWidth-1:0]    answer_i,
  output logic                    done_o,  // the last word of weights has been asked for
  input  logic                    x_valid_i,
  output logic                    x_ready_o,
  input  logic                    x_last_i,
  input  logic [Lanes-1:0][19:0]  x_i,
  output logic                    y_valid_o,
  input  logic                    y_ready_i,
  output logic [Lanes-1:0][31:0]  y_o
);

  localparam int unsigned Words = 8 * Lanes / Size;  // of a beat: two int32 for each lane

  logic address_valid, address_ready, address_last, word_valid, word_ready, word_last, beat_valid, beat_ready;
  logic due_q, settled, settle_ready, unused_last, unused_nest;
  logic [AddressWidth-1:0] address;
  logic [WordWidth-1:0] word;
  logic [Words-1:0][WordWidth:0] beat;
  logic [Words*WordWidth-1:0] affine;
  logic [Lanes-1:0] unused_keep;
  logic [Lanes-1:0][23:0] x;
  logic [23:0] rows_q;
  logic [31:0] eps_q;
  logic centre_q;

  address_generator #(.Levels(1), .AddressWidth(AddressWidth), .CountWidth(CountWidth)) u_addresses (
    .clk_i, .rst_ni, .nest_valid_i(start_i), .nest_ready_o(unused_nest), .base_i(command_i.weights),
    .count_i(command_i.words << 3), .stride_i(AddressWidth'(1)),
    .address_valid_o(address_valid), .address_ready_i(address_ready), .address_o(address),
    .last_o(address_last)
  );
  assign done_o = address_valid && address_ready && address_last;
  scratchpad_reader #(.AddressWidth(AddressWidth), .WordWidth(WordWidth), .LabelWidth(1)) u_reader (
    .clk_i, .rst_ni, .address_valid_i(address_valid), .address_ready_o(address_ready), .address_i(address),
    .label_i(address_last), .request_valid_o(read_valid_o), .request_ready_i(read_ready_i),
    .request_o(read_address_o), .answer_valid_i, .answer_i,
    .word_valid_o(word_valid), .word_ready_i(word_ready), .word_o(word), .label_o(word_last)
  );
  word_collector #(.WordWidth(WordWidth + 1), .Words(Words)) u_collector (
    .clk_i, .rst_ni, .word_valid_i(word_valid), .word_ready_o(word_ready), .word_i({word_last, word}),
    .beat_valid_o(beat_valid), .beat_ready_i(beat_ready), .beat_o(beat)
  );

  always_comb begin : unpack
    for (int unsigned w = 0; w < Words; w++) affine[w*WordWidth+:WordWidth] = beat[w][WordWidth-1:0];
    for (int unsigned l = 0; l < Lanes; l++) x[l] = 24'($signed(x_i[l]));
  end

  always_ff @(posedge clk_i or negedge rst_ni) begin : due
    if (!rst_ni) due_q <= 1'b0;
    else due_q <= start_i || (due_q && !settled);
  end
  always_ff @(posedge clk_i) begin : settings
    if (start_i) {rows_q, eps_q, centre_q} <= {24'(command_i.rows), command_i.eps, command_i.fn == VectorLayerNorm};
  end
  assign settled = due_q && settle_ready;

  norm #(.Lanes(Lanes), .MaxLength(MaxLength)) u_norm (
    .clk_i, .rst_ni, .settings_valid_i(due_q), .settings_ready_o(settle_ready), .rows_i(rows_q),
    .eps_i(eps_q), .centre_i(centre_q), .affine_valid_i(beat_valid), .affine_ready_o(beat_ready),
    .affine_last_i(beat[Words-1][WordWidth]), .weight_i(affine[0+:32*Lanes]), .bias_i(affine[32*Lanes+:32*Lanes]),
    .x_valid_i, .x_ready_o, .x_last_i, .x_keep_i('1), .x_i(x),
    .y_valid_o, .y_ready_i, .y_last_o(unused_last), .y_keep_o(unused_keep), .y_o
  );

  logic unused;
  assign unused = ^{unused_last, unused_keep, unused_nest, command_i, beat};

endmodule

// What the hash unit gives to words of the scratchpad: codes as a byte a bit, means requantised to int8.
module hash_results
  import commands_pkg::*;
#(
  parameter int unsigned Size         = 16,
  parameter int unsigned Lanes        = 4,
  parameter int unsigned Bits         = 16,
  parameter int unsigned AddressWidth = 16,
  localparam int unsigned WordWidth   = 8 * Size
) (
  input  logic                    clk_i,
  input  logic                    rst_ni,
  input  logic                    start_i,
  input  hash_t                   command_i,
  output logic                    finished_o,
  input  logic                    code_valid_i,
  output logic                    code_ready_o,
  input  logic [Bits-1:0]         code_i,
  input  logic                    y_valid_i,
  output logic                    y_ready_o,
  input  logic [Lanes-1:0][15:0]  y_i,
  output logic                    write_valid_o,
  input  logic                    write_ready_i,
  output logic [AddressWidth-1:0] write_address_o,
  output logic [WordWidth-1:0]    write_o
);

  hash_t command_q;
  logic is_codes, due_q, settled, place_valid, ready, scaled_valid, scaled_ready, code_valid, mean_valid, address_valid;
  logic unused_place, unused_label, unused_last, unused_nest;
  logic [AddressWidth-1:0] unused_address;
  logic [3:0] beat_last, last;
  logic [Lanes-1:0][7:0] scaled;
  logic [Lanes-1:0][31:0] wide;
  logic [Bits-1:0][7:0] signs;
  logic [WordWidth-1:0] code, mean;

  assign is_codes = command_q.fn == HashCodes;
  always_ff @(posedge clk_i) begin : hold
    if (start_i) command_q <= command_i;
  end

  always_comb begin : widen
    for (int unsigned b = 0; b < Bits; b++) signs[b] = code_i[b] ? 8'd1 : '1;
    for (int unsigned l = 0; l < Lanes; l++) wide[l] = 32'($signed(y_i[l]));
  end
  word_serializer #(.BeatWidth(WordWidth), .Beats(Bits / Size), .LabelWidth(1)) u_code (
    .clk_i, .rst_ni, .word_valid_i(code_valid_i), .word_ready_o(code_ready_o), .word_i(signs), .label_i(1'b0),
    .beat_valid_o(code_valid), .beat_ready_i(is_codes && address_valid && write_ready_i), .beat_o(code),
    .label_o(unused_label), .last_o(unused_last)
  );

  // The last beat of all ends the settings.
  always_ff @(posedge clk_i or negedge rst_ni) begin : settings
    if (!rst_ni) due_q <= 1'b0;
    else due_q <= (start_i && command_i.fn == HashAttention) || (due_q && !settled);
  end
  address_generator #(.Levels(4), .AddressWidth(AddressWidth), .CountWidth(CountWidth)) u_places (
    .clk_i, .rst_ni, .nest_valid_i(start_i && command_i.fn == HashAttention), .nest_ready_o(unused_place), .base_i('0),
    .count_i({command_i.groups, command_i.rows, command_i.words, CountWidth'(Size / Lanes)}), .stride_i('0),
    .address_valid_o(place_valid), .address_ready_i(y_valid_i && ready), .address_o(unused_address),
    .last_o(beat_last)
  );
  requantise #(.Lanes(Lanes)) u_scale (
    .clk_i, .rst_ni, .settings_valid_i(due_q), .settings_ready_o(settled), .bias_i('0),
    .multiplier_i({Lanes{command_q.multiplier[30:0]}}), .shift_i({Lanes{command_q.shift[5:0]}}), .relu_i(1'b0),
    .sum_valid_i(y_valid_i && place_valid), .sum_ready_o(ready), .sum_last_i(&beat_last), .sum_i(wide),
    .y_valid_o(scaled_valid), .y_ready_i(scaled_ready), .y_o(scaled)
  );
  assign y_ready_o = ready && place_valid;
  word_collector #(.WordWidth(8 * Lanes), .Words(Size / Lanes)) u_mean (
    .clk_i, .rst_ni, .word_valid_i(scaled_valid), .word_ready_o(scaled_ready), .word_i(scaled),
    .beat_valid_o(mean_valid), .beat_ready_i(address_valid && write_ready_i), .beat_o(mean)
  );

  address_generator #(.Levels(4), .AddressWidth(AddressWidth), .CountWidth(CountWidth)) u_out (
    .clk_i, .rst_ni, .nest_valid_i(start_i), .nest_ready_o(unused_nest), .base_i(command_i.out),
    .count_i({command_i.groups, command_i.batches, command_i.rows,
              command_i.fn == HashCodes ? CountWidth'(Bits / Size) : command_i.words}),
    .stride_i({command_i.out_group, command_i.out_batch, command_i.out_row, AddressWidth'(1)}),
    .address_valid_o(address_valid), .address_ready_i(write_valid_o && write_ready_i),
    .address_o(write_address_o), .last_o(last)
  );
  assign write_valid_o = address_valid && (is_codes ? code_valid : mean_valid);
  assign write_o       = is_codes ? code : mean;
  assign finished_o    = write_valid_o && write_ready_i && (&last);

  logic unused;
  assign unused = ^{command_q, unused_place, unused_label, unused_last, unused_nest, unused_address};

endmodule

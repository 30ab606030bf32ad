// Totals of a product: requantised to int8 by the settings of their columns, and written, a word a row.
module matrix_results
  import commands_pkg::*;
#(
  parameter int unsigned Size         = 16,
  parameter int unsigned AddressWidth = 16,
  localparam int unsigned WordWidth   = 8 * Size
) (
  input  logic                    clk_i,
  input  logic                    rst_ni,
  // The same command for the settings, the totals' places in their tiles, and the results' addresses.
  input  logic [2:0]              command_valid_i,
  output logic [2:0]              command_ready_o,
  input  matrix_t [2:0]           command_i,
  output logic                    finished_o,
  output logic                    read_done_o,  // the last word of settings has been asked for
  output logic                    read_valid_o,
  input  logic                    read_ready_i,
  output logic [AddressWidth-1:0] read_address_o,
  input  logic                    answer_valid_i,
  input  logic [WordWidth-1:0]    answer_i,
  input  logic                    total_valid_i,
  output logic                    total_ready_o,
  input  logic [Size-1:0][31:0]   total_i,
  output logic                    total_signs_o,  // it waits for totals of a product of signs
  output logic                    write_valid_o,
  input  logic                    write_ready_i,
  output logic [AddressWidth-1:0] write_address_o,
  output logic [WordWidth-1:0]    write_o
);

  // Settings of a block of columns: a word of shifts (a byte each), four of biases and four of multipliers.
  localparam int unsigned Words = 9;

  logic address_valid, address_ready, word_valid, word_ready, settings_valid, settings_ready, unused_label;
  logic [AddressWidth-1:0] address;
  logic [2:0] last_settings;
  logic [WordWidth-1:0] word;
  logic [Words*WordWidth-1:0] settings;
  address_generator #(.Levels(3), .AddressWidth(AddressWidth), .CountWidth(CountWidth)) u_settings_addresses (
    .clk_i, .rst_ni, .nest_valid_i(command_valid_i[0]), .nest_ready_o(command_ready_o[0]),
    .base_i(command_i[0].settings),
    .count_i({command_i[0].batches, command_i[0].column_blocks, CountWidth'(Words)}),
    .stride_i({AddressWidth'(0), command_i[0].settings_column, AddressWidth'(1)}),
    .address_valid_o(address_valid), .address_ready_i(address_ready), .address_o(address), .last_o(last_settings)
  );
  assign read_done_o = address_valid && address_ready && (&last_settings);
  scratchpad_reader #(.AddressWidth(AddressWidth), .WordWidth(WordWidth)) u_settings_reader (
    .clk_i, .rst_ni, .address_valid_i(address_valid), .address_ready_o(address_ready), .address_i(address),
    .label_i(1'b0), .request_valid_o(read_valid_o), .request_ready_i(read_ready_i),
    .request_o(read_address_o), .answer_valid_i, .answer_i,
    .word_valid_o(word_valid), .word_ready_i(word_ready), .word_o(word), .label_o(unused_label)
  );
  word_collector #(.WordWidth(WordWidth), .Words(Words)) u_settings (
    .clk_i, .rst_ni, .word_valid_i(word_valid), .word_ready_o(word_ready), .word_i(word),
    .beat_valid_o(settings_valid), .beat_ready_i(settings_ready), .beat_o(settings)
  );

  logic [Size-1:0][5:0] shift;
  logic [Size-1:0][30:0] multiplier;
  always_comb begin : unpack
    for (int unsigned l = 0; l < Size; l++) begin
      shift[l]      = settings[8*l+:6];
      multiplier[l] = settings[5*WordWidth+32*l+:31];
    end
  end

  // Which totals are the last of their tile: addresses are not asked for.
  logic place_valid, sum_ready;
  logic [2:0] last_place;
  logic [AddressWidth-1:0] unused_place;
  address_generator #(.Levels(3), .AddressWidth(AddressWidth), .CountWidth(CountWidth)) u_places (
    .clk_i, .rst_ni, .nest_valid_i(command_valid_i[1]), .nest_ready_o(command_ready_o[1]), .base_i('0),
    .count_i({command_i[1].batches, command_i[1].column_blocks, command_i[1].rows}), .stride_i('0),
    .address_valid_o(place_valid), .address_ready_i(total_valid_i && sum_ready), .address_o(unused_place),
    .last_o(last_place)
  );
  assign total_ready_o = place_valid && sum_ready;
  always_ff @(posedge clk_i) begin : kind
    if (command_valid_i[1] && command_ready_o[1]) total_signs_o <= command_i[1].fn == MatrixSigns;
  end

  logic y_valid, y_ready, out_valid, there_valid;
  logic [2:0] last_there;
  logic [WordWidth-1:0] y;
  requantise #(.Lanes(Size)) u_requantise (
    .clk_i, .rst_ni, .settings_valid_i(settings_valid), .settings_ready_o(settings_ready),
    .bias_i(settings[WordWidth+:4*WordWidth]), .multiplier_i(multiplier), .shift_i(shift), .relu_i(1'b0),
    .sum_valid_i(total_valid_i && place_valid), .sum_ready_o(sum_ready), .sum_last_i(last_place[0]),
    .sum_i(total_i), .y_valid_o(y_valid), .y_ready_i(y_ready), .y_o(y)
  );
  // A bank that is busy now and then does not stop the array.
  fifo #(.Width(WordWidth), .Depth(4)) u_out (
    .clk_i, .rst_ni, .in_valid_i(y_valid), .in_ready_o(y_ready), .in_i(y),
    .out_valid_o(out_valid), .out_ready_i(there_valid && write_ready_i), .out_o(write_o)
  );

  address_generator #(.Levels(3), .AddressWidth(AddressWidth), .CountWidth(CountWidth)) u_results (
    .clk_i, .rst_ni, .nest_valid_i(command_valid_i[2]), .nest_ready_o(command_ready_o[2]),
    .base_i(command_i[2].out),
    .count_i({command_i[2].batches, command_i[2].column_blocks, command_i[2].rows}),
    .stride_i({command_i[2].out_batch, command_i[2].out_column, command_i[2].out_row}),
    .address_valid_o(there_valid), .address_ready_i(out_valid && write_ready_i), .address_o(write_address_o),
    .last_o(last_there)
  );
  assign write_valid_o = there_valid && out_valid;
  assign finished_o    = write_valid_o && write_ready_i && (&last_there);

  logic unused;
  assign unused = ^{unused_label, last_settings, unused_place, last_place, command_i, settings};

endmodule

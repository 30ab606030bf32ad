// A function of rows between two requantisations: int8 to what the function takes, and what it gives to int8.
module row_function
  import commands_pkg::*;
#(
  parameter int unsigned Size         = 16,
  parameter int unsigned Lanes        = 4,
  parameter int unsigned AddressWidth = 16,
  parameter int unsigned MaxLength    = 256,
  localparam int unsigned WordWidth   = 8 * Size
) (
  input  logic                    clk_i,
  input  logic                    rst_ni,
  input  logic                    start_i,
  input  vector_t                 command_i,
  // Reads of a norm's weights.
  output logic                    read_valid_o,
  input  logic                    read_ready_i,
  output logic [AddressWidth-1:0] read_address_o,
  input  logic                    answer_valid_i,
  input  logic [WordWidth-1:0]    answer_i,
  output logic                    done_o,  // the last word of weights has been asked for
  input  logic                    x_valid_i,
  output logic                    x_ready_o,
  input  logic [Lanes-1:0][7:0]   x_i,
  input  logic                    x_row_last_i,
  input  logic                    x_last_i,
  output logic                    y_valid_o,
  input  logic                    y_ready_i,
  output logic [Lanes-1:0][7:0]   y_o
);

  localparam int unsigned Wide = 20;  // bits of what functions take: int20, or int16 cut from it

  vector_t command_q;
  always_ff @(posedge clk_i) begin : hold
    if (start_i) command_q <= command_i;
  end

  // In front.
  logic front_due_q, front_settled, x_ready, label_ready, label_valid, label, wide_valid, wide_ready;
  logic [Lanes-1:0][31:0] x_wide;
  logic [Lanes-1:0][Wide-1:0] wide;
  always_comb begin : extend
    for (int unsigned l = 0; l < Lanes; l++) x_wide[l] = 32'($signed(x_i[l]));
  end
  requantise #(.Lanes(Lanes), .OutWidth(Wide)) u_front (
    .clk_i, .rst_ni, .settings_valid_i(front_due_q), .settings_ready_o(front_settled), .bias_i('0),
    .multiplier_i({Lanes{command_q.first_multiplier[30:0]}}), .shift_i({Lanes{command_q.first_shift[5:0]}}),
    .relu_i(1'b0), .sum_valid_i(x_valid_i && label_ready), .sum_ready_o(x_ready), .sum_last_i(x_last_i),
    .sum_i(x_wide), .y_valid_o(wide_valid), .y_ready_i(wide_ready && label_valid), .y_o(wide)
  );
  // Which beats end a row goes beside the requantiser, which has three places.
  fifo #(.Width(1), .Depth(8)) u_labels (
    .clk_i, .rst_ni, .in_valid_i(x_valid_i && x_ready), .in_ready_o(label_ready), .in_i(x_row_last_i),
    .out_valid_o(label_valid), .out_ready_i(wide_valid && wide_ready), .out_o(label)
  );
  assign x_ready_o = x_ready && label_ready;

  logic value_valid, value_ready;
  logic [Lanes-1:0][31:0] value;
  row_units #(.Size(Size), .Lanes(Lanes), .AddressWidth(AddressWidth), .MaxLength(MaxLength)) u_units (
    .clk_i, .rst_ni, .start_i, .command_i, .read_valid_o, .read_ready_i, .read_address_o, .answer_valid_i,
    .answer_i, .done_o, .function_i(command_q.fn), .x_valid_i(wide_valid && label_valid), .x_ready_o(wide_ready),
    .x_last_i(label), .x_i(wide), .y_valid_o(value_valid), .y_ready_i(value_ready), .y_o(value)
  );

  // Behind: the last beat of all ends the settings.
  logic back_due_q, back_settled, place_valid, ready, unused_nest;
  logic [2:0] last;
  logic [AddressWidth-1:0] unused_place;
  address_generator #(.Levels(3), .AddressWidth(AddressWidth), .CountWidth(CountWidth)) u_places (
    .clk_i, .rst_ni, .nest_valid_i(start_i), .nest_ready_o(unused_nest), .base_i('0),
    .count_i({command_i.rows, command_i.words, CountWidth'(Size / Lanes)}), .stride_i('0),
    .address_valid_o(place_valid), .address_ready_i(value_valid && ready), .address_o(unused_place),
    .last_o(last)
  );
  requantise #(.Lanes(Lanes)) u_back (
    .clk_i, .rst_ni, .settings_valid_i(back_due_q), .settings_ready_o(back_settled), .bias_i('0),
    .multiplier_i({Lanes{command_q.second_multiplier[30:0]}}),
    .shift_i({Lanes{command_q.second_shift[5:0]}}), .relu_i(1'b0),
    .sum_valid_i(value_valid && place_valid), .sum_ready_o(ready), .sum_last_i(&last), .sum_i(value),
    .y_valid_o, .y_ready_i, .y_o
  );
  assign value_ready = ready && place_valid;

  always_ff @(posedge clk_i or negedge rst_ni) begin : settings
    if (!rst_ni) {front_due_q, back_due_q} <= '0;
    else begin
      front_due_q <= start_i || (front_due_q && !front_settled);
      back_due_q  <= start_i || (back_due_q && !back_settled);
    end
  end

  logic unused;
  assign unused = ^{command_q, unused_nest, unused_place};

endmodule

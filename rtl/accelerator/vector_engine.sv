// Functions of int8 rows, one command at a time: words are read, cut into beats of lanes, computed, gathered to
// words again and written. Rows are whole words.
module vector_engine
  import commands_pkg::*;
#(
  parameter int unsigned Size         = 16,
  parameter int unsigned Lanes        = 4,
  parameter int unsigned AddressWidth = 16,
  parameter int unsigned MaxLength    = 256,
  localparam int unsigned WordWidth   = 8 * Size
) (
  input  logic                         clk_i,
  input  logic                         rst_ni,
  input  logic                         command_valid_i,
  output logic                         command_ready_o,
  input  vector_t                      command_i,
  output logic                         finished_o,
  output logic                         reads_done_o,
  // Reads of the scratchpad: operands a and b, weights of norms.
  output logic [2:0]                   read_valid_o,
  input  logic [2:0]                   read_ready_i,
  output logic [2:0][AddressWidth-1:0] read_address_o,
  input  logic [2:0]                   answer_valid_i,
  input  logic [2:0][WordWidth-1:0]    answer_i,
  output logic                         write_valid_o,
  input  logic                         write_ready_i,
  output logic [AddressWidth-1:0]      write_address_o,
  output logic [WordWidth-1:0]         write_o
);

  localparam int unsigned Beats = Size / Lanes;

  vector_t command_q;
  logic busy_q, start, is_add;

  assign command_ready_o = !busy_q || finished_o;
  assign start           = command_valid_i && command_ready_o;
  assign is_add          = command_q.fn == VectorAdd;
  always_ff @(posedge clk_i or negedge rst_ni) begin : busy
    if (!rst_ni) busy_q <= 1'b0;
    else if (command_ready_o) busy_q <= command_valid_i;
  end
  always_ff @(posedge clk_i) begin : hold
    if (start) command_q <= command_i;
  end

  // A stream that a command does not use is done with it at once.
  logic [2:0] read, streams_done;
  logic has_b, has_weights;
  assign has_b        = command_i.fn == VectorAdd;
  assign has_weights  = command_i.fn == VectorLayerNorm || command_i.fn == VectorRmsNorm;
  assign streams_done = read | {start && !has_weights, start && !has_b, 1'b0};
  event_join #(.Streams(3)) u_reads (.clk_i, .rst_ni, .done_i(streams_done), .all_done_o(reads_done_o));

  // Operands, a beat of lanes at a time, with the last beat of a row and of all rows.
  logic [1:0] x_valid, x_ready, x_row_last, x_last;
  logic [1:0][8*Lanes-1:0] x;
  row_reader #(.Size(Size), .Lanes(Lanes), .AddressWidth(AddressWidth)) u_a (
    .clk_i, .rst_ni, .start_i(start), .rows_i(command_i.rows), .words_i(command_i.words), .base_i(command_i.a),
    .stride_i(command_i.a_stride), .read_valid_o(read_valid_o[0]), .read_ready_i(read_ready_i[0]),
    .read_address_o(read_address_o[0]), .answer_valid_i(answer_valid_i[0]), .answer_i(answer_i[0]),
    .done_o(read[0]), .beat_valid_o(x_valid[0]), .beat_ready_i(x_ready[0]), .beat_o(x[0]), .row_last_o(x_row_last[0]),
    .last_o(x_last[0])
  );
  row_reader #(.Size(Size), .Lanes(Lanes), .AddressWidth(AddressWidth)) u_b (
    .clk_i, .rst_ni, .start_i(start && has_b), .rows_i(command_i.rows),
    .words_i(command_i.words), .base_i(command_i.b), .stride_i(command_i.b_stride),
    .read_valid_o(read_valid_o[1]), .read_ready_i(read_ready_i[1]), .read_address_o(read_address_o[1]),
    .answer_valid_i(answer_valid_i[1]), .answer_i(answer_i[1]), .done_o(read[1]), .beat_valid_o(x_valid[1]),
    .beat_ready_i(x_ready[1]), .beat_o(x[1]), .row_last_o(x_row_last[1]), .last_o(x_last[1])
  );

  // Two ways through: a sum of both operands, or a function of one between two requantisations.
  logic sum_valid, sum_ready, sum_a_ready, value_valid, value_ready, x_value_ready, fresh_q;
  logic [8*Lanes-1:0] sum, value;
  logic sum_settled;
  always_ff @(posedge clk_i or negedge rst_ni) begin : settings
    if (!rst_ni) fresh_q <= 1'b0;
    else fresh_q <= start || (fresh_q && !(is_add && sum_settled));
  end
  eltwise #(.Lanes(Lanes)) u_add (
    .clk_i, .rst_ni, .settings_valid_i(fresh_q && is_add), .settings_ready_o(sum_settled),
    .multiplier_a_i(command_q.first_multiplier[30:0]), .multiplier_b_i(command_q.second_multiplier[30:0]),
    .shift_i(command_q.first_shift[5:0]), .a_valid_i(x_valid[0] && is_add), .a_ready_o(sum_a_ready),
    .a_last_i(x_last[0]), .a_i(x[0]), .b_valid_i(x_valid[1]), .b_ready_o(x_ready[1]), .b_i(x[1]),
    .y_valid_o(sum_valid), .y_ready_i(sum_ready), .y_o(sum)
  );
  row_function #(
    .Size(Size), .Lanes(Lanes), .AddressWidth(AddressWidth), .MaxLength(MaxLength)
  ) u_function (
    .clk_i, .rst_ni, .start_i(start && !has_b), .command_i,
    .read_valid_o(read_valid_o[2]), .read_ready_i(read_ready_i[2]), .read_address_o(read_address_o[2]),
    .answer_valid_i(answer_valid_i[2]), .answer_i(answer_i[2]), .done_o(read[2]),
    .x_valid_i(x_valid[0] && !is_add), .x_ready_o(x_value_ready), .x_i(x[0]), .x_row_last_i(x_row_last[0]),
    .x_last_i(x_last[0]), .y_valid_o(value_valid), .y_ready_i(value_ready), .y_o(value)
  );
  assign x_ready[0] = is_add ? sum_a_ready : x_value_ready;

  // Results as words.
  logic y_valid, y_ready, word_valid, address_valid, address_ready;
  logic [1:0] last;
  assign y_valid     = is_add ? sum_valid : value_valid;
  assign sum_ready   = is_add && y_ready;
  assign value_ready = !is_add && y_ready;
  word_collector #(.WordWidth(8 * Lanes), .Words(Beats)) u_collector (
    .clk_i, .rst_ni, .word_valid_i(y_valid), .word_ready_o(y_ready), .word_i(is_add ? sum : value),
    .beat_valid_o(word_valid), .beat_ready_i(address_valid && write_ready_i), .beat_o(write_o)
  );
  address_generator #(.Levels(2), .AddressWidth(AddressWidth), .CountWidth(CountWidth)) u_out (
    .clk_i, .rst_ni, .nest_valid_i(start), .nest_ready_o(address_ready), .base_i(command_i.out),
    .count_i({command_i.rows, command_i.words}), .stride_i({command_i.out_stride, AddressWidth'(1)}),
    .address_valid_o(address_valid), .address_ready_i(word_valid && write_ready_i),
    .address_o(write_address_o), .last_o(last)
  );
  assign write_valid_o = word_valid && address_valid;
  assign finished_o    = write_valid_o && write_ready_i && (&last);

  logic unused;
  assign unused = ^{address_ready, command_q, x_row_last[1], x_last[1]};

endmodule

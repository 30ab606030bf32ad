// Products on the array: four streams of words between scratchpad and array, each with its own addresses.
//
// For every batch, block of columns, block of the sum and row, in this order from outside in: activations
// stream, weights go before them, totals leave when the sum is whole and are requantised by the settings of
// their columns. Streams of one command need not wait for each other, nor for those of the command before.
//
// Of products of signs the same streams go to a unit of its own: rows outside, blocks of the sum inside.
module matrix_engine
  import commands_pkg::*;
#(
  parameter int unsigned Size         = 16,  // rows and columns of the array, bytes of a word
  parameter int unsigned AddressWidth = 16,
  parameter int unsigned Depth        = 64,
  parameter int unsigned HeldWords    = 0,   // of the unit of signs: words of each column; 0 for none
  localparam int unsigned WordWidth   = 8 * Size
) (
  input  logic                         clk_i,
  input  logic                         rst_ni,
  input  logic                         command_valid_i,
  output logic                         command_ready_o,
  input  matrix_t                      command_i,
  output logic                         finished_o,
  output logic                         reads_done_o,
  // Reads of the scratchpad: activations, weights, settings.
  output logic [2:0]                   read_valid_o,
  input  logic [2:0]                   read_ready_i,
  output logic [2:0][AddressWidth-1:0] read_address_o,
  input  logic [2:0]                   answer_valid_i,
  input  logic [2:0][WordWidth-1:0]    answer_i,
  // Writes of results.
  output logic                         write_valid_o,
  input  logic                         write_ready_i,
  output logic [AddressWidth-1:0]      write_address_o,
  output logic [WordWidth-1:0]         write_o
);

  matrix_t [4:0] command;
  logic [4:0] valid, ready;

  fork_fifo #(.Width($bits(matrix_t)), .Takers(5), .Depth(2)) u_fork (
    .clk_i, .rst_ni, .in_valid_i(command_valid_i), .in_ready_o(command_ready_o), .in_i(command_i),
    .out_valid_o(valid), .out_ready_i(ready), .out_o(command)
  );

  logic [2:0] read;
  event_join #(.Streams(3)) u_reads (.clk_i, .rst_ni, .done_i(read), .all_done_o(reads_done_o));

  logic act_valid, act_ready, act_last, act_accumulate, act_emit, act_signs, array_ready, signs_ready;
  logic [WordWidth-1:0] act;
  matrix_activations #(.AddressWidth(AddressWidth), .WordWidth(WordWidth)) u_activations (
    .clk_i, .rst_ni, .command_valid_i(valid[0]), .command_ready_o(ready[0]), .command_i(command[0]),
    .done_o(read[0]),
    .read_valid_o(read_valid_o[0]), .read_ready_i(read_ready_i[0]), .read_address_o(read_address_o[0]),
    .answer_valid_i(answer_valid_i[0]), .answer_i(answer_i[0]),
    .act_valid_o(act_valid), .act_ready_i(act_ready), .act_o(act), .act_last_o(act_last),
    .act_accumulate_o(act_accumulate), .act_emit_o(act_emit), .act_signs_o(act_signs)
  );
  assign act_ready = act_signs ? signs_ready : array_ready;

  logic weight_valid, weight_ready, bits_valid, bits_ready;
  logic [WordWidth-1:0] weight, bits;
  matrix_weights #(.Size(Size), .AddressWidth(AddressWidth)) u_weights (
    .clk_i, .rst_ni, .command_valid_i(valid[1]), .command_ready_o(ready[1]), .command_i(command[1]),
    .done_o(read[1]),
    .read_valid_o(read_valid_o[1]), .read_ready_i(read_ready_i[1]), .read_address_o(read_address_o[1]),
    .answer_valid_i(answer_valid_i[1]), .answer_i(answer_i[1]),
    .weight_valid_o(weight_valid), .weight_ready_i(weight_ready), .weight_o(weight),
    .signs_valid_o(bits_valid), .signs_ready_i(bits_ready), .signs_o(bits)
  );

  logic total_valid, total_ready, total_signs, sum_valid;
  logic [Size-1:0][31:0] total, sum;
  matrix_unit #(.Rows(Size), .Columns(Size), .Depth(Depth)) u_unit (
    .clk_i, .rst_ni, .weight_valid_i(weight_valid), .weight_ready_o(weight_ready), .weight_i(weight),
    .act_valid_i(act_valid && !act_signs), .act_ready_o(array_ready), .act_last_i(act_last),
    .act_accumulate_i(act_accumulate), .act_emit_i(act_emit), .act_i(act),
    .total_valid_o(total_valid), .total_ready_i(total_ready && !total_signs), .total_o(total)
  );

  if (HeldWords != 0) begin : gen_signs
    matrix_signs #(.Size(Size), .HeldWords(HeldWords)) u_signs (
      .clk_i, .rst_ni, .act_valid_i(act_valid && act_signs), .act_ready_o(signs_ready), .act_i(act),
      .act_last_i(act_last), .act_free_i(act_emit), .weight_valid_i(bits_valid), .weight_ready_o(bits_ready),
      .weight_i(bits), .total_valid_o(sum_valid), .total_ready_i(total_ready && total_signs), .total_o(sum)
    );
  end else begin : gen_no_signs
    assign {signs_ready, bits_ready, sum_valid, sum} = '0;
    logic unused;
    assign unused = ^{bits_valid, bits};
  end

  matrix_results #(.Size(Size), .AddressWidth(AddressWidth)) u_results (
    .clk_i, .rst_ni, .command_valid_i(valid[4:2]), .command_ready_o(ready[4:2]), .command_i(command[4:2]),
    .finished_o, .read_done_o(read[2]), .read_valid_o(read_valid_o[2]), .read_ready_i(read_ready_i[2]),
    .read_address_o(read_address_o[2]), .answer_valid_i(answer_valid_i[2]), .answer_i(answer_i[2]),
    .total_valid_i(total_signs ? sum_valid : total_valid), .total_ready_o(total_ready),
    .total_i(total_signs ? sum : total), .total_signs_o(total_signs),
    .write_valid_o, .write_ready_i, .write_address_o, .write_o
  );

endmodule

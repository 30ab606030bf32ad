// Activations of a product, a word a row, with each row's place in its sum.
module matrix_activations
  import commands_pkg::*;
#(
  parameter int unsigned AddressWidth = 16,
  parameter int unsigned WordWidth    = 128
) (
  input  logic                    clk_i,
  input  logic                    rst_ni,
  input  logic                    command_valid_i,
  output logic                    command_ready_o,
  input  matrix_t                 command_i,
  output logic                    done_o,  // its last word has been asked for
  output logic                    read_valid_o,
  input  logic                    read_ready_i,
  output logic [AddressWidth-1:0] read_address_o,
  input  logic                    answer_valid_i,
  input  logic [WordWidth-1:0]    answer_i,
  output logic                    act_valid_o,
  input  logic                    act_ready_i,
  output logic [WordWidth-1:0]    act_o,
  output logic                    act_last_o,
  output logic                    act_accumulate_o,
  output logic                    act_emit_o,
  output logic                    act_signs_o  // of a product of signs
);

  logic address_valid, address_ready, begun_q, signs, signs_q, unused;
  logic [AddressWidth-1:0] address;
  logic [3:0] last;

  // From inside out: rows, blocks of the sum, blocks of columns (the same words again), batches. Of signs a row
  // is whole before the next: blocks of the sum lie inside rows.
  logic [1:0][CountWidth-1:0] count;
  logic [1:0][AddressWidth-1:0] stride;
  assign signs  = command_i.fn == MatrixSigns;
  assign count  = signs ? {command_i.rows, command_i.sum_blocks} : {command_i.sum_blocks, command_i.rows};
  assign stride = signs ? {command_i.act_row, command_i.act_sum} : {command_i.act_sum, command_i.act_row};
  always_ff @(posedge clk_i) begin : kind
    if (command_valid_i && command_ready_o) signs_q <= signs;
  end

  address_generator #(.Levels(4), .AddressWidth(AddressWidth), .CountWidth(CountWidth)) u_addresses (
    .clk_i, .rst_ni, .nest_valid_i(command_valid_i), .nest_ready_o(command_ready_o),
    .base_i(command_i.act),
    .count_i({command_i.batches, command_i.column_blocks, count}),
    .stride_i({command_i.act_batch, AddressWidth'(0), stride}),
    .address_valid_o(address_valid), .address_ready_i(address_ready), .address_o(address), .last_o(last)
  );
  assign done_o = address_valid && address_ready && (&last);

  scratchpad_reader #(.AddressWidth(AddressWidth), .WordWidth(WordWidth), .LabelWidth(3)) u_reader (
    .clk_i, .rst_ni, .address_valid_i(address_valid), .address_ready_o(address_ready), .address_i(address),
    .label_i({signs_q, last[1:0]}), .request_valid_o(read_valid_o), .request_ready_i(read_ready_i),
    .request_o(read_address_o), .answer_valid_i, .answer_i,
    .word_valid_o(act_valid_o), .word_ready_i(act_ready_i), .word_o(act_o),
    .label_o({act_signs_o, act_emit_o, act_last_o})
  );

  // The first block of a sum begins it, the others add to it. Products of signs leave nothing begun.
  assign act_accumulate_o = begun_q;
  always_ff @(posedge clk_i or negedge rst_ni) begin : begun
    if (!rst_ni) begun_q <= 1'b0;
    else if (act_valid_o && act_ready_i && act_last_o) begun_q <= !act_emit_o;
  end

  assign unused = ^{command_i, last};

endmodule

// Attends by codes: keys are added into the state, queries read it, and quotients leave.
//
// With a query's signs the state's rows add up to the numerators of all its lanes; the sums of codes and the
// number of keys add up to the denominator in the same way. The denominator is at least the number of keys.
module hash_mixer #(
  parameter int unsigned Lanes  = 4,
  parameter int unsigned Bits   = 16,
  parameter int unsigned Chunks = 4,
  parameter int unsigned Keys   = 1024
) (
  input  logic                   clk_i,
  input  logic                   rst_ni,
  input  logic                   key_valid_i,
  output logic                   key_ready_o,
  input  logic [Bits-1:0]        key_code_i,
  input  logic [Lanes-1:0][7:0]  key_value_i,
  input  logic                   key_end_i,
  input  logic                   key_last_i,
  input  logic                   query_valid_i,
  output logic                   query_ready_o,
  input  logic [Bits-1:0]        query_code_i,
  input  logic                   query_last_i,
  output logic                   y_valid_o,
  input  logic                   y_ready_i,
  output logic [Lanes-1:0][15:0] y_o
);

  localparam int unsigned ValueWidth = 9 + $clog2(Keys);  // 128 times Keys, either way
  localparam int unsigned CountWidth = 2 + $clog2(Keys);
  localparam int unsigned SumGrowth  = $clog2(2 * Bits + 2);
  localparam int unsigned NumeratorWidth   = ValueWidth + SumGrowth;
  localparam int unsigned DenominatorWidth = CountWidth + SumGrowth;

  logic read_valid, read_ready, sum_valid, sum_ready;
  logic [Lanes-1:0][Bits-1:0][ValueWidth-1:0] row;
  logic [Lanes-1:0][ValueWidth-1:0] row_total;
  logic [Bits-1:0][CountWidth-1:0] code_total;
  logic [CountWidth-1:0] count;
  logic [Lanes-1:0][NumeratorWidth-1:0] numerator, numerator_q;
  logic [DenominatorWidth-1:0] denominator, denominator_q;

  hash_state #(
    .Lanes(Lanes), .Bits(Bits), .Chunks(Chunks), .ValueWidth(ValueWidth), .CountWidth(CountWidth)
  ) u_state (
    .clk_i, .rst_ni,
    .key_valid_i, .key_ready_o, .key_code_i, .key_value_i, .key_end_i, .key_last_i,
    .query_valid_i, .query_ready_o, .query_last_i,
    .read_valid_o(read_valid), .read_ready_i(read_ready), .row_o(row), .row_total_o(row_total),
    .code_total_o(code_total), .count_o(count)
  );

  for (genvar l = 0; l < Lanes; l++) begin : gen_lane
    hash_value_sum u_sum (
      .code_i(query_code_i), .terms_i(row[l]), .total_i(row_total[l]), .sum_o(numerator[l])
    );
  end
  hash_count_sum u_count_sum (
    .code_i(query_code_i), .terms_i(code_total), .total_i(count), .sum_o(denominator)
  );

  stream_register #(.Width(Lanes * NumeratorWidth + DenominatorWidth)) u_sums (
    .clk_i, .rst_ni,
    .in_valid_i(read_valid), .in_ready_o(read_ready), .in_i({numerator, denominator}),
    .out_valid_o(sum_valid), .out_ready_i(sum_ready), .out_o({numerator_q, denominator_q})
  );

  hash_quotient #(
    .Lanes(Lanes), .NumeratorWidth(NumeratorWidth), .DenominatorWidth(DenominatorWidth)
  ) u_quotient (
    .clk_i, .rst_ni,
    .sum_valid_i(sum_valid), .sum_ready_o(sum_ready), .numerator_i(numerator_q),
    .denominator_i(denominator_q), .y_valid_o, .y_ready_i, .y_o
  );

endmodule

// A row's mean to nearest, halves upwards, and the sum of its elements' squares about that mean.
//
// Exact in integers: the sum over (v - m)**2 is the sum of v**2 less m (2 * sum - count * m). Without `centre_i`
// the mean is 0. A division, four bits a register, and three more registers.
module norm_mean #(
  parameter int unsigned ValueWidth   = 24,
  parameter int unsigned CountWidth   = 7,
  parameter int unsigned SumWidth     = ValueWidth + CountWidth,
  parameter int unsigned SquaresWidth = 2 * ValueWidth - 1 + CountWidth
) (
  input  logic                    clk_i,
  input  logic                    rst_ni,
  input  logic                    centre_i,
  input  logic                    row_valid_i,
  output logic                    row_ready_o,
  input  logic [SumWidth-1:0]     sum_i,
  input  logic [SquaresWidth-1:0] squares_i,
  input  logic [CountWidth-1:0]   count_i,
  output logic                    about_valid_o,
  input  logic                    about_ready_i,
  output logic [ValueWidth:0]     mean_o,
  output logic [SquaresWidth-1:0] squares_o,
  output logic [CountWidth-1:0]   count_o
);

  localparam int unsigned TwiceWidth = SumWidth + 2;

  logic negative, below, divided_valid, divided_ready;
  logic [2:0] load;
  logic [SumWidth-1:0] sum;
  logic [ValueWidth-1:0] quotient;
  logic [ValueWidth:0] mean;
  logic [2:0][ValueWidth:0] mean_q;
  logic [SquaresWidth-1:0] squares, product_q, about_q;
  logic [1:0][SquaresWidth-1:0] squares_q;
  logic [CountWidth-1:0] count;
  logic [2:0][CountWidth-1:0] count_q;
  logic [TwiceWidth-1:0] twice_d, twice_q;

  assign negative = sum_i[SumWidth-1];

  divide_nearest #(
    .NumeratorWidth(SumWidth), .DenominatorWidth(CountWidth), .QuotientWidth(ValueWidth), .BitsPerStage(4),
    .TagWidth(1 + SumWidth + SquaresWidth + CountWidth)
  ) u_divide (
    .clk_i, .rst_ni, .valid_i(row_valid_i), .ready_o(row_ready_o),
    .numerator_i(negative ? -sum_i : sum_i), .halves_down_i(negative), .denominator_i(count_i),
    .tag_i({negative, sum_i, squares_i, count_i}),
    .valid_o(divided_valid), .ready_i(divided_ready), .quotient_o(quotient),
    .tag_o({below, sum, squares, count})
  );

  elastic #(.Stages(3)) u_flow (
    .clk_i, .rst_ni, .valid_i(divided_valid), .ready_o(divided_ready),
    .valid_o(about_valid_o), .ready_i(about_ready_i), .load_o(load)
  );

  assign mean    = !centre_i ? '0 : below ? -{1'b0, quotient} : {1'b0, quotient};
  assign twice_d = (TwiceWidth'($signed(sum)) << 1)
                 - TwiceWidth'($signed(mean)) * TwiceWidth'($signed({1'b0, count}));

  always_ff @(posedge clk_i) begin : stages
    if (load[0]) {twice_q, mean_q[0], squares_q[0], count_q[0]} <= {twice_d, mean, squares, count};
    if (load[1]) begin
      // Modulo 2**SquaresWidth, in which the difference below fits.
      product_q <= SquaresWidth'($signed(mean_q[0])) * SquaresWidth'($signed(twice_q));
      {mean_q[1], squares_q[1], count_q[1]} <= {mean_q[0], squares_q[0], count_q[0]};
    end
    if (load[2]) {about_q, mean_q[2], count_q[2]} <= {squares_q[1] - product_q, mean_q[1], count_q[1]};
  end

  assign mean_o    = mean_q[2];
  assign squares_o = about_q;
  assign count_o   = count_q[2];

endmodule

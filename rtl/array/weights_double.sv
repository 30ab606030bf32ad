// Two weights in each cell: one set is in use while the other is filled.
//
// A set is filled as a diagonal wave. Column c is c steps behind column 0, as its activations are, and
// the n-th beat of a set moves rows 0 to n only, so that row r keeps its old weight until r + c steps
// after the fill began: just longer than the activations of the fold before need it. Hence a set may be
// filled from the step after its last activation entered, while that activation still marches.
module weights_double #(
  parameter int unsigned Rows        = 4,
  parameter int unsigned Columns     = 4,
  parameter int unsigned WeightWidth = 8,
  parameter int unsigned RowWidth    = 2
) (
  input  logic                                          clk_i,
  input  logic                                          advance_i,
  // A beat for set `fill_i`, the `beat_i`-th of the set.
  input  logic                                          load_i,
  input  logic                                          fill_i,
  input  logic           [RowWidth-1:0]                 beat_i,
  input  logic           [Columns-1:0][WeightWidth-1:0] weight_i,
  // The set that activations entering in this step use.
  input  logic                                          use_i,
  output logic [Rows-1:0][Columns-1:0][WeightWidth-1:0] weight_o
);

  localparam int unsigned WaveWidth = 2 + RowWidth;
  localparam int unsigned Diagonals = Rows + Columns - 1;

  logic [Columns-1:0][WeightWidth-1:0] entering;
  logic [Columns-1:0][WaveWidth-1:0] wave, wave_q;
  logic [Diagonals-1:0] use_now, use_q;
  logic [1:0][Rows-1:0][Columns-1:0][WeightWidth-1:0] weight_d, weight_q;

  skew #(.Lanes(Columns), .Width(WeightWidth)) u_weight_skew (
    .clk_i, .advance_i, .lanes_i(weight_i), .lanes_o(entering)
  );

  // What column c does in this step is what column 0 did c steps ago; likewise along the diagonals.
  assign wave    = (Columns * WaveWidth)'({wave_q, load_i, fill_i, beat_i});
  assign use_now = Diagonals'({use_q, use_i});

  always_ff @(posedge clk_i) begin : march
    if (advance_i) begin
      wave_q   <= wave;
      use_q    <= use_now;
      weight_q <= weight_d;
    end
  end

  always_comb begin : fill
    weight_d = weight_q;
    for (int unsigned c = 0; c < Columns; c++) begin
      automatic logic load, set;
      automatic logic [RowWidth-1:0] beat;
      {load, set, beat} = wave[c];
      for (int unsigned r = 0; r < Rows; r++) begin
        if (load && RowWidth'(r) <= beat) begin
          weight_d[set][r][c] = r == 0 ? entering[c] : weight_q[set][r-1][c];
        end
      end
    end
  end

  always_comb begin : select
    for (int unsigned r = 0; r < Rows; r++) begin
      for (int unsigned c = 0; c < Columns; c++) weight_o[r][c] = weight_q[use_now[r+c]][r][c];
    end
  end

endmodule

// Weights and biases of a job, a beat of them for each beat of a row.
//
// They are taken once a job, as many beats as a row has; `begin_i` forgets them. They are read within the
// cycle: registers or a register file, not an SRAM with a registered output.
module norm_weights #(
  parameter int unsigned Lanes    = 4,
  parameter int unsigned MaxBeats = 16,
  parameter int unsigned Width    = 32
) (
  input  logic                        clk_i,
  input  logic                        rst_ni,
  input  logic                        begin_i,
  input  logic                        affine_valid_i,
  output logic                        affine_ready_o,
  input  logic                        affine_last_i,
  input  logic [Lanes-1:0][Width-1:0] weight_i,
  input  logic [Lanes-1:0][Width-1:0] bias_i,
  // All of them are there; those of the row's next beat; they are read, and that beat is its last.
  output logic                        whole_o,
  output logic [Lanes-1:0][Width-1:0] weight_o,
  output logic [Lanes-1:0][Width-1:0] bias_o,
  input  logic                        read_i,
  input  logic                        last_i
);

  localparam int unsigned PlaceWidth = MaxBeats > 1 ? $clog2(MaxBeats) : 1;

  logic [2*Lanes*Width-1:0] affine_q[MaxBeats];
  logic [PlaceWidth-1:0] write_q, read_q;
  logic whole_q, written;

  assign affine_ready_o     = !whole_q;
  assign written            = affine_valid_i && affine_ready_o;
  assign whole_o            = whole_q;
  assign {weight_o, bias_o} = affine_q[read_q];

  always_ff @(posedge clk_i) begin : affine
    if (written) affine_q[write_q] <= {weight_i, bias_i};
  end

  always_ff @(posedge clk_i or negedge rst_ni) begin : places
    if (!rst_ni) {whole_q, write_q, read_q} <= {1'b1, PlaceWidth'(0), PlaceWidth'(0)};
    else begin
      if (begin_i) {whole_q, write_q} <= '0;
      else if (written) {whole_q, write_q} <= {affine_last_i, write_q + 1'b1};
      if (read_i) read_q <= last_i ? '0 : read_q + 1'b1;
    end
  end

endmodule

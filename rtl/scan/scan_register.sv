// A register between two parts of a step, or a wire.
module scan_register #(
  parameter int unsigned Width   = 8,
  parameter bit          Present = 1'b1
) (
  input  logic             clk_i,
  input  logic             advance_i,
  input  logic [Width-1:0] data_i,
  output logic [Width-1:0] data_o
);

  if (Present) begin : gen_register
    logic [Width-1:0] data_q;

    always_ff @(posedge clk_i) begin : data
      if (advance_i) data_q <= data_i;
    end

    assign data_o = data_q;
  end else begin : gen_wire
    logic unused;
    assign unused = ^{clk_i, advance_i};
    assign data_o = data_i;
  end

endmodule

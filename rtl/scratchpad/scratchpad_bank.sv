// A bank with its arbiter: of the ports that ask for a word of it, one is served.
module scratchpad_bank #(
  parameter int unsigned Ports      = 2,
  parameter int unsigned Words      = 16,
  parameter int unsigned WordBytes  = 4,
  parameter bit          RoundRobin = 1'b1,
  parameter int unsigned RowWidth   = 4
) (
  input  logic                                 clk_i,
  input  logic                                 rst_ni,
  input  logic [Ports-1:0]                     ask_i,
  output logic [Ports-1:0]                     serve_o,
  input  logic [Ports-1:0]                     write_i,
  input  logic [Ports-1:0][RowWidth-1:0]       row_i,
  input  logic [Ports-1:0][WordBytes-1:0]      strobe_i,
  input  logic [Ports-1:0][WordBytes-1:0][7:0] data_i,
  output logic [WordBytes-1:0][7:0]            word_o
);

  logic served, write;
  logic [RowWidth-1:0] row;
  logic [WordBytes-1:0] strobe;
  logic [WordBytes-1:0][7:0] data;

  bank_arbiter #(.Ports(Ports), .RoundRobin(RoundRobin)) u_arbiter (.clk_i, .rst_ni, .ask_i, .serve_o);

  assign served = |serve_o;
  assign write  = |(serve_o & write_i);

  always_comb begin : select
    {row, strobe, data} = '0;
    for (int unsigned p = 0; p < Ports; p++) begin
      if (serve_o[p]) {row, strobe, data} = {row_i[p], strobe_i[p], data_i[p]};
    end
  end

  sram_bank #(.Words(Words), .WordBytes(WordBytes), .RowWidth(RowWidth)) u_memory (
    .clk_i, .read_i(served && !write), .write_i(served && write), .row_i(row), .strobe_i(strobe),
    .word_i(data), .word_o
  );

endmodule

// The answers of one port: a word in the cycle after its request was served, kept while it waits.
//
// A bank shows a word until it is read again, by any port, so that a word that is not taken at once is
// put aside. A request may be served while an answer waits only if that answer is taken in the same cycle.
module scratchpad_answer #(
  parameter int unsigned Banks     = 4,
  parameter int unsigned WordBytes = 4,
  parameter int unsigned BankWidth = 2
) (
  input  logic                                 clk_i,
  input  logic                                 rst_ni,
  input  logic                                 served_i,
  input  logic [BankWidth-1:0]                 bank_i,
  input  logic [Banks-1:0][WordBytes-1:0][7:0] word_i,
  output logic                                 free_o,
  output logic                                 rsp_valid_o,
  input  logic                                 rsp_ready_i,
  output logic [WordBytes-1:0][7:0]            rsp_data_o
);

  logic valid_q, aside_q;
  logic [BankWidth-1:0] bank_q;
  logic [WordBytes-1:0][7:0] word_q;

  assign free_o      = rsp_ready_i || !valid_q;
  assign rsp_valid_o = valid_q;
  assign rsp_data_o  = aside_q ? word_q : word_i[bank_q];

  always_ff @(posedge clk_i or negedge rst_ni) begin : state
    if (!rst_ni) {valid_q, aside_q} <= '0;
    else {valid_q, aside_q} <= {served_i || !free_o, !free_o};
  end

  always_ff @(posedge clk_i) begin : words
    if (served_i) bank_q <= bank_i;
    if (!free_o) word_q <= rsp_data_o;
  end

endmodule

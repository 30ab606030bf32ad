// Banks of memory behind ports that ask for words: word w lies in bank w mod Banks.
//
// A port asks in order and is answered in order, reads and writes alike, one cycle after it was served; an
// answer to a write says that it is done, and its data mean nothing. A bank serves one port a cycle.
// Ready goes combinationally from rsp_ready_i to req_ready_o, and depends on who else asks.
module scratchpad #(
  parameter int unsigned Ports        = 2,
  parameter int unsigned Banks        = 4,   // a power of two
  parameter int unsigned Words        = 16,  // of a bank, two or more
  parameter int unsigned WordBytes    = 4,
  parameter bit          RoundRobin   = 1'b1,
  parameter int unsigned AddressWidth = $clog2(Banks * Words)
) (
  input  logic                                 clk_i,
  input  logic                                 rst_ni,
  input  logic [Ports-1:0]                     req_valid_i,
  output logic [Ports-1:0]                     req_ready_o,
  input  logic [Ports-1:0]                     req_write_i,
  input  logic [Ports-1:0][AddressWidth-1:0]   req_address_i,  // of a word
  input  logic [Ports-1:0][WordBytes-1:0]      req_strobe_i,   // which bytes are written
  input  logic [Ports-1:0][WordBytes-1:0][7:0] req_data_i,
  output logic [Ports-1:0]                     rsp_valid_o,
  input  logic [Ports-1:0]                     rsp_ready_i,
  output logic [Ports-1:0][WordBytes-1:0][7:0] rsp_data_o
);

  localparam int unsigned BankBits  = $clog2(Banks);
  localparam int unsigned BankWidth = Banks > 1 ? BankBits : 1;
  localparam int unsigned RowWidth  = $clog2(Words);

  logic [Ports-1:0] free;
  logic [Ports-1:0][BankWidth-1:0] bank;
  logic [Ports-1:0][RowWidth-1:0] row;
  logic [Banks-1:0][Ports-1:0] ask, serve;
  logic [Banks-1:0][WordBytes-1:0][7:0] read;

  always_comb begin : route
    req_ready_o = '0;
    for (int unsigned p = 0; p < Ports; p++) begin
      bank[p] = Banks > 1 ? BankWidth'(req_address_i[p]) : '0;
      row[p]  = RowWidth'(req_address_i[p] >> BankBits);
      for (int unsigned b = 0; b < Banks; b++) begin
        ask[b][p] = req_valid_i[p] && free[p] && bank[p] == BankWidth'(b);
        req_ready_o[p] |= serve[b][p];
      end
    end
  end

  for (genvar b = 0; b < int'(Banks); b++) begin : gen_banks
    scratchpad_bank #(
      .Ports(Ports), .Words(Words), .WordBytes(WordBytes), .RoundRobin(RoundRobin), .RowWidth(RowWidth)
    ) u_bank (
      .clk_i, .rst_ni, .ask_i(ask[b]), .serve_o(serve[b]), .write_i(req_write_i), .row_i(row),
      .strobe_i(req_strobe_i), .data_i(req_data_i), .word_o(read[b])
    );
  end

  for (genvar p = 0; p < int'(Ports); p++) begin : gen_answers
    scratchpad_answer #(.Banks(Banks), .WordBytes(WordBytes), .BankWidth(BankWidth)) u_answer (
      .clk_i, .rst_ni, .served_i(req_ready_o[p]), .bank_i(bank[p]), .word_i(read), .free_o(free[p]),
      .rsp_valid_o(rsp_valid_o[p]), .rsp_ready_i(rsp_ready_i[p]), .rsp_data_o(rsp_data_o[p])
    );
  end

endmodule

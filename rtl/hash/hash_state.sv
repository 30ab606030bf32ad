// The state of attention by codes: sums of values with the signs of each bit, of values, of codes, of keys.
//
// A key's values are added to every row of their chunk in the cycle in which they come; the first key of a
// group overwrites. Then a query stays while its chunks are read, one a cycle, within the cycle. Behind the
// last query the next group's keys begin.
module hash_state #(
  parameter int unsigned Lanes      = 4,
  parameter int unsigned Bits       = 16,
  parameter int unsigned Chunks     = 4,
  parameter int unsigned ValueWidth = 19,
  parameter int unsigned CountWidth = 12
) (
  input  logic                                       clk_i,
  input  logic                                       rst_ni,
  input  logic                                       key_valid_i,
  output logic                                       key_ready_o,
  input  logic [Bits-1:0]                            key_code_i,
  input  logic [Lanes-1:0][7:0]                      key_value_i,
  input  logic                                       key_end_i,
  input  logic                                       key_last_i,
  input  logic                                       query_valid_i,
  output logic                                       query_ready_o,
  input  logic                                       query_last_i,
  output logic                                       read_valid_o,
  input  logic                                       read_ready_i,
  output logic [Lanes-1:0][Bits-1:0][ValueWidth-1:0] row_o,
  output logic [Lanes-1:0][ValueWidth-1:0]           row_total_o,
  output logic [Bits-1:0][CountWidth-1:0]            code_total_o,
  output logic [CountWidth-1:0]                      count_o
);

  localparam int unsigned ChunkWidth = Chunks > 1 ? $clog2(Chunks) : 1;
  localparam int unsigned RowWidth   = Lanes * (Bits + 1) * ValueWidth;

  logic reading_d, reading_q, more_d, more_q, added, read, chunk_end;
  logic [ChunkWidth-1:0] chunk_d, chunk_q, end_q;
  logic [RowWidth-1:0] row_q[Chunks];
  logic [Lanes-1:0][Bits-1:0][ValueWidth-1:0] row, row_d;
  logic [Lanes-1:0][ValueWidth-1:0] total, total_d;
  logic [Bits-1:0][CountWidth-1:0] code_d, code_q;
  logic [CountWidth-1:0] count_d, count_q;
  logic [ValueWidth-1:0] value;

  assign key_ready_o   = !reading_q;
  assign read_valid_o  = reading_q && query_valid_i;
  assign query_ready_o = reading_q && read_ready_i && chunk_end;
  assign added         = key_valid_i && key_ready_o;
  assign read          = read_valid_o && read_ready_i;
  assign chunk_end     = reading_q ? chunk_q == end_q : key_end_i;

  assign {row_o, row_total_o} = row_q[chunk_q];
  assign code_total_o         = code_q;
  assign count_o              = count_q;

  always_comb begin : next
    {reading_d, more_d, chunk_d} = {reading_q, more_q, chunk_q};
    if (added || read) begin
      chunk_d = chunk_end ? '0 : chunk_q + 1'b1;
      if (added && chunk_end) {reading_d, more_d} = {key_last_i, !key_last_i};
      if (read && chunk_end) reading_d = !query_last_i;
    end
  end

  always_comb begin : add
    {row, total} = more_q ? row_q[chunk_q] : '0;
    value = '0;
    for (int unsigned l = 0; l < Lanes; l++) begin
      value      = ValueWidth'($signed(key_value_i[l]));
      total_d[l] = total[l] + value;
      for (int unsigned b = 0; b < Bits; b++) begin
        row_d[l][b] = key_code_i[b] ? row[l][b] + value : row[l][b] - value;
      end
    end
    for (int unsigned b = 0; b < Bits; b++) begin
      code_d[b] = (more_q ? code_q[b] : '0) + (key_code_i[b] ? CountWidth'(1) : '1);
    end
    count_d = (more_q ? count_q : '0) + 1'b1;
  end

  always_ff @(posedge clk_i or negedge rst_ni) begin : control
    if (!rst_ni) {reading_q, more_q, chunk_q} <= '0;
    else {reading_q, more_q, chunk_q} <= {reading_d, more_d, chunk_d};
  end

  always_ff @(posedge clk_i) begin : sums
    if (added) row_q[chunk_q] <= {row_d, total_d};
    if (added && chunk_end) {code_q, count_q, end_q} <= {code_d, count_d, chunk_q};
  end

endmodule

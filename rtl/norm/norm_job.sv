// Where a job begins and ends: its settings, and how many of its rows are still to come in.
//
// The settings stay until the job's last beat has gone out (`done_i`); the next ones can be taken by the same
// edge. No beat of the next job's rows goes in before.
module norm_job #(
  parameter int unsigned RowsWidth = 24,
  parameter int unsigned EpsWidth  = 32
) (
  input  logic                 clk_i,
  input  logic                 rst_ni,
  input  logic                 settings_valid_i,
  output logic                 settings_ready_o,
  input  logic [RowsWidth-1:0] rows_i,
  input  logic [EpsWidth-1:0]  eps_i,
  input  logic                 centre_i,
  output logic [EpsWidth-1:0]  eps_o,
  output logic                 centre_o,
  output logic                 begin_o,  // settings are taken in this cycle
  output logic                 open_o,   // a row may go in
  output logic                 final_o,  // and it is the job's last
  input  logic                 row_i,    // a row's last beat goes in in this cycle
  input  logic                 done_i
);

  logic held;
  logic [RowsWidth-1:0] left_q;

  settings_register #(.Width(EpsWidth + 1)) u_settings (
    .clk_i, .rst_ni, .in_valid_i(settings_valid_i), .in_ready_o(settings_ready_o), .in_i({eps_i, centre_i}),
    .held_o(held), .settings_o({eps_o, centre_o}), .last_i(done_i)
  );

  assign begin_o = settings_valid_i && settings_ready_o;
  assign open_o  = held && left_q != '0;
  assign final_o = left_q == RowsWidth'(1);

  always_ff @(posedge clk_i or negedge rst_ni) begin : rows
    if (!rst_ni) left_q <= '0;
    else if (begin_o) left_q <= rows_i;
    else if (row_i) left_q <= left_q - 1'b1;
  end

endmodule

// The greatest octave of a row so far, beat by beat, and by how much each beat raised it. Two registers.
//
// Takes a beat whenever `valid_i` is set. Octaves and powers come out beside; lanes that hold nothing have no
// power.
module octave_top #(
  parameter int unsigned Lanes       = 4,
  parameter int unsigned OctaveWidth = 21,
  parameter int unsigned PowerWidth  = 25
) (
  input  logic                              clk_i,
  input  logic                              rst_ni,
  input  logic                              valid_i,
  input  logic                              last_i,
  input  logic [Lanes-1:0]                  keep_i,
  input  logic [Lanes-1:0][OctaveWidth-1:0] octave_i,
  input  logic [Lanes-1:0][ PowerWidth-1:0] power_i,
  output logic                              valid_o,
  output logic                              first_o,
  output logic                              last_o,
  output logic [OctaveWidth-1:0]            top_o,
  output logic [OctaveWidth-1:0]            raised_o,
  output logic [Lanes-1:0][OctaveWidth-1:0] octave_o,
  output logic [Lanes-1:0][ PowerWidth-1:0] power_o
);

  localparam logic signed [OctaveWidth-1:0] Least = {1'b1, {(OctaveWidth - 1){1'b0}}};

  // A binary tree in one vector: node n has the children 2 n + 1 and 2 n + 2, the lanes are its leaves.
  logic signed [2*Lanes-2:0][OctaveWidth-1:0] node;
  logic [Lanes-1:0][PowerWidth-1:0] kept;
  logic signed [OctaveWidth-1:0] beat_q, top_d, top_q;
  logic [OctaveWidth-1:0] raised_q;
  logic [1:0] valid_q, last_q;
  logic first_d, first_q;
  logic [1:0][Lanes-1:0][OctaveWidth-1:0] octave_q;
  logic [1:0][Lanes-1:0][PowerWidth-1:0] power_q;

  always_comb begin : tree
    for (int unsigned l = 0; l < Lanes; l++) begin
      node[Lanes-1+l] = keep_i[l] ? octave_i[l] : Least;
      kept[l]         = keep_i[l] ? power_i[l] : '0;
    end
    for (int n = int'(Lanes) - 2; n >= 0; n--) begin
      node[n] = $signed(node[2*n+1]) > $signed(node[2*n+2]) ? node[2*n+1] : node[2*n+2];
    end
  end

  // The beat in the second register was a row's last: the one behind it is the next row's first.
  assign top_d = first_d || beat_q > top_q ? beat_q : top_q;

  always_ff @(posedge clk_i or negedge rst_ni) begin : state
    if (!rst_ni) {valid_q, first_d} <= {2'b00, 1'b1};
    else {valid_q, first_d} <= {valid_q[0], valid_i, valid_q[0] ? last_q[0] : first_d};
  end

  always_ff @(posedge clk_i) begin : values
    if (valid_i) {beat_q, octave_q[0], power_q[0], last_q[0]} <= {node[0], octave_i, kept, last_i};
    if (valid_q[0]) begin
      {top_q, raised_q, first_q} <= {top_d, top_d - top_q, first_d};
      {octave_q[1], power_q[1], last_q[1]} <= {octave_q[0], power_q[0], last_q[0]};
    end
  end

  assign valid_o  = valid_q[1];
  assign first_o  = first_q;
  assign last_o   = last_q[1];
  assign top_o    = top_q;
  assign raised_o = raised_q;
  assign octave_o = octave_q[1];
  assign power_o  = power_q[1];

endmodule

// Squared distances: a beat's squares in one register, their sum over an anchor's chunks in the next.
//
// The label of an anchor's last chunk goes along and comes out with the distance.
module hash_distance #(
  parameter int unsigned Lanes         = 4,
  parameter int unsigned DistanceWidth = 20,
  parameter int unsigned LabelWidth    = 8
) (
  input  logic                     clk_i,
  input  logic                     rst_ni,
  input  logic                     met_valid_i,
  output logic                     met_ready_o,
  input  logic [Lanes-1:0][7:0]    x_i,
  input  logic [Lanes-1:0][7:0]    anchor_i,
  input  logic                     first_i,
  input  logic                     end_i,
  input  logic [LabelWidth-1:0]    label_i,
  output logic                     distance_valid_o,
  input  logic                     distance_ready_i,
  output logic [DistanceWidth-1:0] distance_o,
  output logic [LabelWidth-1:0]    label_o
);

  logic valid, first_q;
  logic [1:0] load, end_q;
  logic [1:0][LabelWidth-1:0] label_q;
  logic [Lanes-1:0][15:0] square_d, square_q;
  logic [DistanceWidth-1:0] distance_d, distance_q;
  logic signed [8:0] difference;

  elastic #(.Stages(2)) u_flow (
    .clk_i, .rst_ni, .valid_i(met_valid_i), .ready_o(met_ready_o), .valid_o(valid),
    .ready_i(distance_ready_i || !end_q[1]), .load_o(load)
  );

  always_comb begin : squares
    difference = '0;
    for (int unsigned l = 0; l < Lanes; l++) begin
      difference  = 9'($signed(x_i[l])) - 9'($signed(anchor_i[l]));
      square_d[l] = 16'(17'(difference) * 17'(difference));  // 255 squared at most
    end
  end

  always_comb begin : sum
    distance_d = first_q ? '0 : distance_q;
    for (int unsigned l = 0; l < Lanes; l++) distance_d = distance_d + DistanceWidth'(square_q[l]);
  end

  always_ff @(posedge clk_i) begin : stages
    if (load[0]) {square_q, first_q, end_q[0], label_q[0]} <= {square_d, first_i, end_i, label_i};
    if (load[1]) {distance_q, end_q[1], label_q[1]} <= {distance_d, end_q[0], label_q[0]};
  end

  assign distance_valid_o = valid && end_q[1];
  assign distance_o       = distance_q;
  assign label_o          = label_q[1];

endmodule

// One function of each element, lane by lane: int16 in Q.11 in and out, from -16 to 16.
//
// Function says which: 0 relu, 1 gelu by chords, 2 gelu by a polynomial, 3 silu by chords. A beat goes in a
// cycle; ready goes through combinationally.
module activation #(
  parameter int unsigned Lanes    = 4,
  parameter int unsigned Function = 1
) (
  input  logic                   clk_i,
  input  logic                   rst_ni,
  input  logic                   x_valid_i,
  output logic                   x_ready_o,
  input  logic [Lanes-1:0][15:0] x_i,
  output logic                   y_valid_o,
  input  logic                   y_ready_i,
  output logic [Lanes-1:0][15:0] y_o
);

  localparam int unsigned Relu = 0, Polynomial = 2, Silu = 3;
  localparam int unsigned Stages = Function == Relu ? 1 : Function == Polynomial ? 4 : 2;

  logic [Stages-1:0] load;

  elastic #(.Stages(Stages)) u_flow (
    .clk_i, .rst_ni, .valid_i(x_valid_i), .ready_o(x_ready_o), .valid_o(y_valid_o), .ready_i(y_ready_i),
    .load_o(load)
  );

  for (genvar l = 0; l < Lanes; l++) begin : gen_lane
    if (Function == Relu) begin : gen_relu
      logic [15:0] y_q;
      always_ff @(posedge clk_i) begin : hold
        if (load[0]) y_q <= x_i[l][15] ? '0 : x_i[l];
      end
      assign y_o[l] = y_q;
    end else if (Function == Polynomial) begin : gen_polynomial
      gelu_polynomial u_lane (.clk_i, .load_i(load), .x_i(x_i[l]), .y_o(y_o[l]));
    end else begin : gen_chords
      chord_lane #(.Silu(Function == Silu)) u_lane (.clk_i, .load_i(load), .x_i(x_i[l]), .y_o(y_o[l]));
    end
  end

endmodule

"""A module around the scratchpad in which each port's streams have names of their own, for a bench."""

from __future__ import annotations

_PORT = """\
  input  logic                      req{p}_valid_i,
  output logic                      req{p}_ready_o,
  input  logic                      req{p}_write_i,
  input  logic [AddressWidth-1:0]   req{p}_address_i,
  input  logic [WordBytes-1:0]      req{p}_strobe_i,
  input  logic [WordBytes-1:0][7:0] req{p}_data_i,
  output logic                      rsp{p}_valid_o,
  input  logic                      rsp{p}_ready_i,
  output logic [WordBytes-1:0][7:0] rsp{p}_data_o"""

_BENCH = """\
// The scratchpad with {ports} ports, each of which is a pair of streams.
module scratchpad_bench #(
  parameter int unsigned Ports        = {ports},
  parameter int unsigned Banks        = 4,
  parameter int unsigned Words        = 16,
  parameter int unsigned WordBytes    = 4,
  parameter bit          RoundRobin   = 1'b1,
  parameter int unsigned AddressWidth = $clog2(Banks * Words)
) (
  input  logic                      clk_i,
  input  logic                      rst_ni,
{streams}
);

  scratchpad #(
    .Ports(Ports), .Banks(Banks), .Words(Words), .WordBytes(WordBytes), .RoundRobin(RoundRobin)
  ) u_scratchpad (
    .clk_i, .rst_ni,
{connections}
  );

endmodule
"""

_SIGNALS = (
    "req_valid_i",
    "req_ready_o",
    "req_write_i",
    "req_address_i",
    "req_strobe_i",
    "req_data_i",
    "rsp_valid_o",
    "rsp_ready_i",
    "rsp_data_o",
)


def bench_verilog(ports: int) -> str:
    """The module's text for that many ports."""
    return _BENCH.format(
        ports=ports,
        streams=",\n".join(_PORT.format(p=p) for p in range(ports)),
        connections=",\n".join(f"    .{signal}({_joined(signal, ports)})" for signal in _SIGNALS),
    )


def _joined(signal: str, ports: int) -> str:
    """The ports' signals side by side, port 0 in the lowest bits."""
    stream, _, rest = signal.partition("_")
    return "{" + ", ".join(f"{stream}{p}_{rest}" for p in reversed(range(ports))) + "}"

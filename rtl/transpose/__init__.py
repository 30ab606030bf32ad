"""The transposer in SystemVerilog: tiles in by rows, out by columns."""

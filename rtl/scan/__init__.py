"""The scan unit in SystemVerilog: linear recurrences in fixed point."""

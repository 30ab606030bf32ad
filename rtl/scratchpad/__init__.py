"""The banked scratchpad in SystemVerilog."""

"""The gather engine in SystemVerilog: rows that indices choose."""

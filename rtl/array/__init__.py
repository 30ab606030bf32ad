"""The systolic array in SystemVerilog, and what runs products on its model."""

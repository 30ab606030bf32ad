"""The top-k selector: an insertion network made with PyRTL, in SystemVerilog around it."""

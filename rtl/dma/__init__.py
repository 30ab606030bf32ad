"""The DMA in SystemVerilog: copies of rows between a memory of bursts and a scratchpad of words."""

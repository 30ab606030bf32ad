"""A whole accelerator: sequencer, DMA, scratchpad, array and vector unit, driven by a binary of commands."""

"""Laws of a GPU's kernels: products in tiles, attention in blocks, transfers past a cache, sustained power.

Everything here takes Python ints or NumPy arrays of them and knows nothing of graphs. `Gpu` gathers the
numbers that the laws need from a design; `generation` holds what no data sheet says.
"""

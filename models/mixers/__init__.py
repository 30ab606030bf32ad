"""Token mixers, one file per method: modules that take a stream [B, N, W] and return one of the same shape.

Each is made from ``(width, heads, **choices)``, the choices with the paper's values as defaults, and says in
its docstring which paper and which form of it is built. `siliform.models.methods` lists them.
"""

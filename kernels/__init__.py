"""The torch face of every op, derived from its spec, and the GPU kernels."""

if not __name__.startswith("siliform."):
    raise ImportError(
        "the room 'kernels' was imported as the top-level package '" + __name__ + "'; "
        "import it as siliform.kernels, so that it is loaded once and under one name"
    )

"""PyTorch transformers by name, and tracing from torch.export to a Graph."""

if not __name__.startswith("siliform."):
    raise ImportError(
        "the room 'models' was imported as the top-level package '" + __name__ + "'; "
        "import it as siliform.models, so that it is loaded once and under one name"
    )

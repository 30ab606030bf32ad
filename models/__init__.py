"""PyTorch transformers by name, and tracing from torch.export to a Graph.

Importing this room loads neither torch nor transformers; building a model does.
"""

if not __name__.startswith("siliform."):
    raise ImportError(
        "the room 'models' was imported as the top-level package '" + __name__ + "'; "
        "import it as siliform.models, so that it is loaded once and under one name"
    )

from siliform.models.build import build_graph, prepare, spec_named
from siliform.models.catalogue import MODELS, model_named
from siliform.models.request import Request
from siliform.models.spec import ModelSpec, Prepared

__all__ = [
    "MODELS",
    "ModelSpec",
    "Prepared",
    "Request",
    "build_graph",
    "model_named",
    "prepare",
    "spec_named",
]

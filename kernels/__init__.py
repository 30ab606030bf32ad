"""The torch face of every op, derived from its spec, and the GPU kernels.

``siliform.kernels.<op>`` is the torch operator of the catalogue's op of that name, defined when it
is first asked for: ``from siliform.kernels import selective_scan``.
"""

if __name__.startswith("siliform."):
    from typing import Any
else:
    # The transformers library probes for an unrelated distribution named `kernels` by importing that
    # name, and takes a package without a version for absent. Run from the checkout, the probe finds
    # this folder: an error here would make every transformers model unusable, so this room offers
    # nothing under its bare name (no version, no submodules) instead of refusing.
    __path__ = []


def __getattr__(name: str) -> "Any":
    if name.startswith("__") or not __name__.startswith("siliform."):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from siliform.graph_ir.ops import OPS

    if name not in OPS:
        raise AttributeError(f"no op and no module of siliform.kernels is named {name!r}")
    from siliform.kernels.bridge import torch_op

    return torch_op(OPS[name])

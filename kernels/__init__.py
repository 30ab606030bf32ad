"""The torch face of every op, derived from its spec, and the GPU kernels."""

if not __name__.startswith("siliform."):
    # The transformers library probes for an unrelated distribution named `kernels` by importing that
    # name, and takes a package without a version for absent. Run from the checkout, the probe finds
    # this folder: an error here would make every transformers model unusable, so this room offers
    # nothing under its bare name (no version, no submodules) instead of refusing.
    __path__ = []

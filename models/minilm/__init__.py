"""A pretrained network with real accuracy: the packaged MiniLM, cut, quantised, judged on labelled texts."""

from siliform.models.minilm.design import Design, Layer, LayerFormats
from siliform.models.minilm.network import MiniLM

__all__ = ["Design", "Layer", "LayerFormats", "MiniLM"]

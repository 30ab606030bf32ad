"""Kernels over rows and elements under one name; each is in a file of its own."""

from __future__ import annotations

from siliform.kernels.gpu.activations import gated, gelu, quick_gelu, relu, sigmoid, silu
from siliform.kernels.gpu.norms import layer_norm, residual_layer_norm, residual_rms_norm, rms_norm
from siliform.kernels.gpu.requantise import requantise, requantised_add
from siliform.kernels.gpu.rotary import rotary
from siliform.kernels.gpu.softmax import log_softmax, softmax

__all__ = [
    "gated",
    "gelu",
    "layer_norm",
    "log_softmax",
    "quick_gelu",
    "relu",
    "requantise",
    "requantised_add",
    "residual_layer_norm",
    "residual_rms_norm",
    "rms_norm",
    "rotary",
    "sigmoid",
    "silu",
    "softmax",
]

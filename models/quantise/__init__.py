"""Quantisers: from trained weights and sample activations to number formats and scales.

What a format holds and how it rounds is `graph_ir.formats`' alone; here is chosen which scale it gets, and
what is done to the tensors before: means taken off, channels evened out, logarithms of a better base.
"""

from siliform.models.quantise.adalog import GELU_SHIFT, AdaLog, LogRounding, search_adalog
from siliform.models.quantise.calibrate import Calibrated, Observed, calibrate, observe
from siliform.models.quantise.fp4 import FP4, BiasedFloat, channel_biases, pre_shift, search_float
from siliform.models.quantise.learned import ElasticBinary, LearnedStep
from siliform.models.quantise.levels import round_levels
from siliform.models.quantise.reparameterise import absorb_shift, fold_norm, smooth, smoothing_scales
from siliform.models.quantise.repquant import ChannelScales, Folded, fold, log_root2, to_log2
from siliform.models.quantise.scales import SCALES, row_scales, tensor_scale
from siliform.models.quantise.sensitivity import LayerError, result_error, sensitivity
from siliform.models.quantise.weights import quantise_weight, weight_format

__all__ = [
    "FP4",
    "GELU_SHIFT",
    "SCALES",
    "AdaLog",
    "BiasedFloat",
    "Calibrated",
    "ChannelScales",
    "ElasticBinary",
    "Folded",
    "LayerError",
    "LearnedStep",
    "LogRounding",
    "Observed",
    "absorb_shift",
    "calibrate",
    "channel_biases",
    "fold",
    "fold_norm",
    "log_root2",
    "observe",
    "pre_shift",
    "quantise_weight",
    "result_error",
    "round_levels",
    "row_scales",
    "search_adalog",
    "search_float",
    "sensitivity",
    "smooth",
    "smoothing_scales",
    "tensor_scale",
    "to_log2",
    "weight_format",
]

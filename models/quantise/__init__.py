"""Post-training quantisers: from trained weights and sample activations to number formats and scales.

What a format holds and how it rounds is `graph_ir.formats`' alone; here is chosen which scale it gets, and
what is done to the tensors before: means taken off, channels evened out, logarithms of a better base.
"""

from siliform.models.quantise.adalog import GELU_SHIFT, AdaLog, LogRounding, search_adalog
from siliform.models.quantise.levels import round_levels
from siliform.models.quantise.repquant import ChannelScales, Folded, fold, log_root2, to_log2
from siliform.models.quantise.scales import SCALES, tensor_scale
from siliform.models.quantise.weights import quantise_weight, weight_format

__all__ = [
    "GELU_SHIFT",
    "SCALES",
    "AdaLog",
    "ChannelScales",
    "Folded",
    "LogRounding",
    "fold",
    "log_root2",
    "quantise_weight",
    "round_levels",
    "search_adalog",
    "tensor_scale",
    "to_log2",
    "weight_format",
]

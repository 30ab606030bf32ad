"""DeiT in four bits with logarithms: what RepQuant and AdaLog leave behind after calibration.

Li et al., RepQuant, arXiv 2402.05628, and Wu et al., AdaLog, ECCV 2024: weights and activations of the
blocks in int4, probabilities in codes of a logarithm, in AdaLog what a GELU gives as well. Scales per
channel behind a norm are folded into the norm's affine and into the weights behind it, so that nothing of
them is left in the graph. The first and the last layer keep 8 bits (assumption: the field's habit since
Zhou et al., DoReFa-Net, arXiv 1606.06160, section 3).
"""

from __future__ import annotations

from torch import nn

from siliform.models.blocks.channels import MLP
from siliform.models.blocks.log_attention import LogAttention, LogMLP, ask
from siliform.models.blocks.transformer import TransformerBlock
from siliform.models.networks.deit import DeiT, DeiTSizes
from siliform.models.networks.plain_vit import layer_norm

#: The format of the first and the last layer.
ENDS = "int8"


class LogDeiT(DeiT):
    """An image [B, 3, P, P] -> scores [B, classes].

    Parameters
    ----------
    probabilities : format of what a softmax gives, a logarithm such as ``log2_4``.
    hidden : format of what a GELU gives, a logarithm such as ``adalog20_4``; None for that of other operands.
    operands : element format of weights and of the other operands.
    sizes : those of `DeiTSizes`.
    """

    def __init__(self, probabilities: str, hidden: str | None, operands: str, **sizes: int) -> None:
        known = DeiTSizes(**sizes)

        def block() -> TransformerBlock:
            mixer = LogAttention(known.width, known.heads, probabilities, operands)
            inner = 4 * known.width
            channel: nn.Module = MLP(known.width, inner)
            if hidden is not None:
                channel = LogMLP(known.width, inner, hidden, operands)
            return TransformerBlock(known.width, mixer, channel, layer_norm, bits=operands)

        super().__init__(known, [block() for _ in range(known.layers)])
        for end in (self.embed, self.head):
            ask(end, ENDS)

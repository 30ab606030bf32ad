"""One block of MemoryFormer, and the block of the same width that it is compared with.

Ding et al., MemoryFormer, arXiv 2411.12992, section 3 and figure 3: every linear layer of the block is a
layer of hashed tables, and what is left of multiplications is attention itself. Shapes: B batch, N tokens, W
width of the stream. Position terms are left out; the released code turns a quarter of each head.
"""

from __future__ import annotations

from torch import nn

from siliform.models.blocks.channels import MLP
from siliform.models.blocks.memory import MemoryAttention, MemoryMLP
from siliform.models.blocks.transformer import TransformerBlock
from siliform.models.mixers.softmax import SoftmaxMixer


class MemoryBlock(TransformerBlock):
    """x [B, N, W] -> [B, N, W] by memory layers, chunks of `tau` elements."""

    def __init__(self, width: int, heads: int, tau: int) -> None:
        super().__init__(width, MemoryAttention(width, heads, tau), MemoryMLP(width, tau), norm=nn.RMSNorm)


class LinearBlock(TransformerBlock):
    """x [B, N, W] -> [B, N, W] as Pythia has it, the block that the paper compares with."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__(width, SoftmaxMixer(width, heads, causal=True, bias=True), MLP(width, 4 * width))

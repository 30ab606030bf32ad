"""A decoder-only language model in the shape of Llama, around any mixer of the catalogue.

Touvron et al., LLaMA, arXiv 2302.13971, section 2.2: RMS norm in front of each branch, SwiGLU by default;
the head has weights of its own. Shapes: B batch, N tokens, V vocabulary, W width, n cached tokens.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

from siliform.graph_ir.errors import UserError
from siliform.models.blocks.decoding import Advancing, Decoding
from siliform.models.blocks.ours import class_of
from siliform.models.blocks.transformer import TransformerBlock
from siliform.models.drawing import Draw
from siliform.models.networks.token_model import TokenModel


class LanguageModel(TokenModel):
    """``forward(tokens [B, N]) -> logits [B, N, V]``.

    Parameters
    ----------
    vocabulary, width, layers : V, W and the number of blocks.
    heads : of each mixer.
    inner : width inside each channel mixer.
    mixer : "module:Class" under ``siliform.models``, made as ``Class(width, heads, **choices)``.
    choices : of the mixer.
    channel : likewise of channels, made as ``Class(width, inner)``.
    bits : quantisation policy of the blocks; see `TransformerBlock`.
    """

    def __init__(
        self,
        vocabulary: int,
        width: int,
        heads: int,
        layers: int,
        inner: int,
        mixer: str = "mixers.softmax:SoftmaxMixer",
        choices: Mapping[str, Any] | None = None,
        channel: str = "blocks.channels:GatedMLP",
        bits: str | None = None,
    ) -> None:
        made, made_channel = class_of(mixer), class_of(channel)
        blocks = (
            TransformerBlock(
                width,
                made(width, heads, **(choices or {})),
                made_channel(width, inner),
                norm=nn.RMSNorm,
                bits=bits,
            )
            for _ in range(layers)
        )
        super().__init__(vocabulary, width, blocks, nn.RMSNorm(width))

    def decoding(self, batch: int, context: int, draw: Draw) -> Decoding:
        """As of `TokenModel`; UserError where the mixer keeps no states."""
        if not all(isinstance(mixer, Advancing) for mixer in self.mixers):
            raise UserError(
                asked=f"the decode phase of a language model of {type(self.mixers[0]).__name__}",
                found="this mixer keeps no states across calls",
                where="--phase decode",
                next_step="use --phase prefill (the default)",
            )
        return super().decoding(batch, context, draw)

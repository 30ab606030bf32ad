"""A decoder-only language model in the shape of Llama, around any mixer of the catalogue.

Touvron et al., LLaMA, arXiv 2302.13971, section 2.2: RMS norm in front of each branch, SwiGLU by default;
the head has weights of its own. Shapes: B batch, N tokens, V vocabulary, W width, n cached tokens.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import torch
from torch import nn

from siliform.graph_ir.errors import UserError
from siliform.models.blocks.decoding import Advancing
from siliform.models.blocks.ours import class_of
from siliform.models.blocks.transformer import TransformerBlock
from siliform.models.drawing import Draw


class LanguageModel(nn.Module):
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
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, width)
        made, made_channel = class_of(mixer), class_of(channel)
        self.blocks = nn.ModuleList(
            TransformerBlock(
                width,
                made(width, heads, **(choices or {})),
                made_channel(width, inner),
                norm=nn.RMSNorm,
                bits=bits,
            )
            for _ in range(layers)
        )
        self.norm = nn.RMSNorm(width)
        self.head = nn.Linear(width, vocabulary, bias=False)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        x = self.embedding(tokens)
        for block in self.blocks:
            x = block(x)
        logits: torch.Tensor = self.head(self.norm(x))
        return logits

    def decoding(
        self, batch: int, context: int, draw: Draw
    ) -> tuple[nn.Module, tuple[Any, ...], tuple[str, ...]]:
        """The module of one step behind `context` tokens, its inputs, and which of them are states.

        UserError where the mixer keeps no states.
        """
        mixers = [block.mixer for block in self.blocks]
        if not all(hasattr(mixer, "advance") for mixer in mixers):
            raise UserError(
                asked=f"the decode phase of a language model of {type(mixers[0]).__name__}",
                found="this mixer keeps no states across calls",
                where="--phase decode",
                next_step="use --phase prefill (the default)",
            )
        token = draw.integers(batch, 1, below=self.embedding.num_embeddings)
        states = [
            list(cast(Advancing, mixer).cache(batch, context, draw, stream=16 * (layer + 1)))
            for layer, mixer in enumerate(mixers)
        ]
        return LanguageStep(self), (token, states), ("states",)


class LanguageStep(nn.Module):
    """One new token of a `LanguageModel`.

    ``forward(token [B, 1], states)`` takes a list of states per layer and returns the logits [B, 1, V], then
    the states of each layer after the token.
    """

    def __init__(self, model: LanguageModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, token: torch.Tensor, states: list[list[torch.Tensor]]) -> tuple[torch.Tensor, ...]:
        x, after = self.model.embedding(token), []
        for block, held in zip(self.model.blocks, states, strict=True):
            x, *new = advanced(cast(TransformerBlock, block), x, held)
            after.extend(new)
        return (self.model.head(self.model.norm(x)), *after)


def advanced(block: TransformerBlock, x: torch.Tensor, held: list[torch.Tensor]) -> tuple[torch.Tensor, ...]:
    """The stream [B, 1, W] behind a block, and the block's states behind the token."""
    mixed, *after = cast(Advancing, block.mixer).advance(block.mixer_norm(x), *held)
    x = x + mixed
    if block.channel is None or block.channel_norm is None:
        return (x, *after)
    return (x + block.channel(block.channel_norm(x)), *after)

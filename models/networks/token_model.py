"""What language models of blocks share: an embedding, the blocks, a norm and a head; and their decode step.

Shapes: B batch, N tokens, V vocabulary, W width.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

import torch
from torch import nn

from siliform.models.blocks.decoding import Advancing, Decoding, advanced
from siliform.models.blocks.transformer import TransformerBlock
from siliform.models.drawing import Draw


class TokenModel(nn.Module):
    """``forward(tokens [B, N]) -> logits [B, N, V]``.

    Parameters
    ----------
    vocabulary, width : V and W.
    blocks : in their order.
    norm : in front of the head.
    tied : whether the head is the embedding; `bias` of one that is not.
    """

    def __init__(
        self,
        vocabulary: int,
        width: int,
        blocks: Iterable[TransformerBlock],
        norm: nn.Module,
        tied: bool = False,
        bias: bool = False,
    ) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, width)
        self.blocks = nn.ModuleList(blocks)
        self.norm = norm
        self.head = nn.Linear(width, vocabulary, bias=bias)
        if tied:
            self.head.weight = self.embedding.weight

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        x = self.embedding(tokens)
        for block in self.blocks:
            x = block(x)
        logits: torch.Tensor = self.head(self.norm(x))
        return logits

    @property
    def mixers(self) -> list[nn.Module]:
        """The mixer of each block."""
        return [cast(TransformerBlock, block).mixer for block in self.blocks]

    def decoding(self, batch: int, context: int, draw: Draw) -> Decoding:
        """One step behind `context` tokens; blocks whose mixers keep nothing have no states."""
        token = draw.integers(batch, 1, below=self.embedding.num_embeddings)
        states = [
            list(mixer.cache(batch, context, draw, stream=16 * (layer + 1)))
            if isinstance(mixer, Advancing)
            else []
            for layer, mixer in enumerate(self.mixers)
        ]
        return TokenStep(self), (token, states), ("states",)


class TokenStep(nn.Module):
    """One new token of a `TokenModel`.

    ``forward(token [B, 1], states)`` takes a list of states per block and returns the logits [B, 1, V], then
    the states of each block after the token.
    """

    def __init__(self, model: TokenModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, token: torch.Tensor, states: list[list[torch.Tensor]]) -> tuple[torch.Tensor, ...]:
        x, after = self.model.embedding(token), []
        for block, held in zip(self.model.blocks, states, strict=True):
            x, *new = advanced(cast(TransformerBlock, block), x, held)
            after.extend(new)
        return (self.model.head(self.model.norm(x)), *after)

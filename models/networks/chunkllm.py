"""A language model with ChunkLLM's attention and the head that tells where chunks end.

Ouyang et al., ChunkLLM (arXiv 2510.02361), section 3: one linear layer on the output of the lowest block
gives the probability that a token is the last of its chunk. Shapes: B batch, N tokens, V vocabulary, W width.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import nn

from siliform.models.blocks.decoding import Decoding, advanced
from siliform.models.blocks.transformer import TransformerBlock
from siliform.models.drawing import Draw
from siliform.models.networks.language import LanguageModel
from siliform.models.networks.token_model import TokenStep


class ChunkLLM(LanguageModel):
    """``forward(tokens [B, N]) -> (logits [B, N, V], ends [B, N])``; made as a `LanguageModel` is."""

    def __init__(self, **values: Any) -> None:
        super().__init__(**values)
        self.ends = nn.Linear(self.head.in_features, 1)

    def forward(self, tokens: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:  # type: ignore[override]
        x = self.blocks[0](self.embedding(tokens))
        ends = self.ends(x).squeeze(-1).sigmoid()
        for block in self.blocks[1:]:
            x = block(x)
        return self.head(self.norm(x)), ends

    def decoding(self, batch: int, context: int, draw: Draw) -> Decoding:
        """As `LanguageModel`'s; the step also returns whether its token is an end."""
        _, inputs, states = super().decoding(batch, context, draw)
        return ChunkStep(self), inputs, states


class ChunkStep(TokenStep):
    """One new token: logits [B, 1, V], the states after it, the probability [B, 1] that it ends a chunk."""

    def forward(self, token: torch.Tensor, states: list[list[torch.Tensor]]) -> tuple[torch.Tensor, ...]:
        x, after = self.model.embedding(token), []
        ends: list[torch.Tensor] = []
        for block, held in zip(self.model.blocks, states, strict=True):
            x, *new = advanced(cast(TransformerBlock, block), x, held)
            after.extend(new)
            if not ends:
                ends.append(cast(ChunkLLM, self.model).ends(x).squeeze(-1).sigmoid())
        return (self.model.head(self.model.norm(x)), *after, *ends)

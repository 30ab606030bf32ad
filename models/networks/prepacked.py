"""Prepacking: prompts of different lengths share the rows of a batch instead of being padded.

Zhao et al., Prepacking: A Simple Method for Fast Prefilling and Increased Throughput in Large Language
Models, arXiv 2404.09529. First-fit decreasing puts the prompts into bins as long as the longest of them;
positions begin anew with each, and none sees another. The authors pass a block-diagonal mask, whose zeros
attention then computes; here it runs in each prompt by itself. Shapes: B prompts, L the longest, T rows of
all bins.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch

from siliform.models.blocks.llama import LlamaBlock, angles_at
from siliform.models.blocks.packed import Packing
from siliform.models.drawing import Draw
from siliform.models.networks.prompted import Llama


class PrepackedLlama(Llama):
    """``forward(tokens [B, L]) -> logits [B, vocabulary]`` of the token behind each prompt.

    `shares` are the lengths of the prompts of a batch as shares of L, taken in turn where B is more; what
    lies behind a prompt does not matter.
    """

    def __init__(
        self,
        vocabulary: int,
        width: int,
        layers: int,
        heads: int,
        kv_heads: int,
        inner: int,
        shares: Sequence[float],
    ) -> None:
        super().__init__(vocabulary, width, layers, heads, kv_heads, inner)
        self.shares = tuple(shares)

    def packing(self, batch: int, longest: int) -> Packing:
        """Where the prompts lie in the bins."""
        shares = [self.shares[i % len(self.shares)] for i in range(batch)]
        return Packing.binned([max(1, round(share * longest)) for share in shares], longest)

    def example_inputs(self, batch: int, length: int, draw: Draw) -> tuple[torch.Tensor, ...]:
        """As many prompts as there are shares, `batch` times."""
        return (draw.integers(batch * len(self.shares), length, below=self.embedding.num_embeddings),)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        packing = self.packing(*tokens.shape)
        x = self.embedding(tokens.flatten()[packing.in_batch(tokens.shape[1]).to(tokens.device)]).unsqueeze(0)
        angle = angles_at(packing.positions().to(tokens.device).unsqueeze(0), self.head_width, x)
        for part in self.blocks:
            block = cast(LlamaBlock, part)
            q, keys, values = block.seen(x, angle)
            k, v = (rows[0].unflatten(-1, (block.attention.kv_heads, -1)) for rows in (keys, values))
            mixed = packing.attended(q[0].transpose(0, 1), k, v, causal=True)
            x = block.behind(x, block.attention.out(mixed.flatten(1)).unsqueeze(0))
        return self.read(x[0][packing.last().to(tokens.device)])

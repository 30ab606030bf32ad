"""Sparse Sinkhorn attention: blocks of keys are sorted by a learned, doubly stochastic matrix.

Tay et al., Sparse Sinkhorn Attention, ICML 2020 (arXiv 2002.11296), section 3, without a causal
mask and without the noise of training. A network maps the sum of each block's tokens to one score for each
place; the scores are normalised over rows and columns in turn (Sinkhorn and Knopp, 1967), so that they mix
keys and values of blocks as a soft permutation does. A block's queries see the block that was sorted to its
place and their own, in one softmax. O(N b + (N / b)²) memory; one block is full attention. Shapes: B batch, N
tokens, W width, H heads, c = W / H, b tokens a block, n blocks.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from siliform.models.blocks.chunks import check_multiple
from siliform.models.blocks.heads import HeadLinear, merge_heads, split_heads


class SinkhornMixer(nn.Module):
    """x [B, N, W] -> [B, N, W], for N tokens alone, since the sorting network scores N / b places.

    Parameters
    ----------
    width, heads : W and H.
    sequence : N, a multiple of b.
    block : b (assumption: 64, as many as in a chunk of Reformer, so that both sort pieces of one size).
    iterations : normalisations of rows and of columns, in turn.
    temperature : what scores are divided by; 7 and 0.75 are the paper's best according to the README of
        lucidrains/sinkhorn-transformer, whose defaults they are.
    """

    def __init__(
        self,
        width: int,
        heads: int,
        sequence: int = 1024,
        block: int = 64,
        iterations: int = 7,
        temperature: float = 0.75,
    ) -> None:
        super().__init__()
        check_multiple(sequence, block, f"Sinkhorn attention of {sequence} tokens in blocks of {block}")
        self.heads, self.block = heads, block
        self.iterations, self.temperature = iterations, temperature
        self.query, self.key, self.value, self.out = (nn.Linear(width, width) for _ in range(4))
        self.sort_hidden = nn.Linear(width, width)
        self.sort_places = HeadLinear(heads, width // heads, sequence // block)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        order = self.order(x)
        q, k, v = (
            split_heads(layer(x), self.heads).unflatten(2, (-1, self.block))
            for layer in (self.query, self.key, self.value)
        )
        k, v = (torch.cat([sorted_blocks(order, part), part], dim=3) for part in (k, v))
        mixed = functional.scaled_dot_product_attention(q, k, v).flatten(2, 3)
        projected: torch.Tensor = self.out(merge_heads(mixed))
        return projected

    def order(self, x: torch.Tensor) -> torch.Tensor:
        """Which block goes to which place, softly: [B, H, n, n], rows are places."""
        pooled = x.unflatten(1, (-1, self.block)).sum(dim=2)
        hidden = split_heads(functional.relu(self.sort_hidden(pooled)), self.heads)
        scores: torch.Tensor = self.sort_places(hidden).transpose(-1, -2)
        return balanced(scores / self.temperature, self.iterations).exp()


def balanced(scores: torch.Tensor, iterations: int) -> torch.Tensor:
    """Logarithms [..., n, n] whose rows, then columns, are normalised to sums of one, in turn."""
    for _ in range(iterations):
        scores = scores - scores.logsumexp(dim=-1, keepdim=True)
        scores = scores - scores.logsumexp(dim=-2, keepdim=True)
    return scores


def sorted_blocks(order: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """Blocks x [B, H, n, b, c] mixed by order [B, H, n, n]: the same shape."""
    return (order @ x.flatten(3)).unflatten(3, x.shape[3:])

"""Landmark attention: a landmark token stands for each block, and a query fetches the blocks it needs.

Mohtashami and Jaggi, Random-Access Infinite Context Length for Transformers, NeurIPS 2023 (arXiv 2305.16300),
section 3. Every block of b tokens is followed by a landmark token of the stream. A query's softmax
is grouped: over the tokens of its own block and the landmarks of the k blocks whose landmarks it scores best,
and within each of these blocks over its tokens, whose weights the landmark's weight multiplies::

    out_i = sum_local p_t v_t + sum_blocks p_landmark (sum_t softmax_block(q_i k_tᵀ)_t v_t)

Blocks are chosen for each head and query, as in the paper's most flexible form. With all blocks chosen it is
the grouped softmax that the paper trains with. Shapes: B batch, N tokens with their landmarks, W width, H
heads, c = W / H, b tokens a block, S = b + 1, n blocks, k chosen ones.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from siliform.models.blocks.chunks import ahead, in_pieces
from siliform.models.blocks.decoding import Advancing
from siliform.models.blocks.heads import merge_heads, split_heads
from siliform.models.blocks.selection import best, best_before, rows_at

HIDDEN = float("-inf")


class LandmarkMixer(Advancing):
    """Causal: x [B, N, W] -> [B, N, W]; each token number ``S - 1, 2 S - 1, ...`` is a landmark.

    Parameters
    ----------
    width, heads : W and H.
    block : b; 50 of arXiv 2305.16300, section 4.
    chosen : k; 4 of the same, table 1, which has 2 and 4.
    selector_bits : 8 or 16 where scores of landmarks are compared in fixed point, as a selector does.
    """

    def __init__(
        self, width: int, heads: int, block: int = 50, chosen: int = 4, selector_bits: int | None = None
    ) -> None:
        super().__init__()
        self.heads, self.block, self.chosen = heads, block, chosen
        self.width, self.selector_bits = width, selector_bits
        self.query, self.key, self.value, self.out = (nn.Linear(width, width, bias=False) for _ in range(4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        tokens, stride = x.shape[1], self.block + 1
        q, k, v = (split_heads(layer(x), self.heads) for layer in (self.query, self.key, self.value))
        q, k, v = (in_pieces(part, stride, axis=-2) for part in (q, k, v))  # nothing sees what is filled up
        mixed = self._blocks(q * q.shape[-1] ** -0.5, k, v)
        projected: torch.Tensor = self.out(merge_heads(mixed.flatten(2, 3)[:, :, :tokens]))
        return projected

    def _blocks(self, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        """Scaled q, k, v [B, H, n, S, c] -> [B, H, n, S, c]."""
        gates, index = self._chosen(q, k[:, :, :, -1])
        held = torch.cat([k, v], dim=-1)[:, :, :, :-1]
        keys, values = rows_at(held, index, lead=2).chunk(2, dim=-1)
        fetched = self._means(q, keys, values)
        near = q @ k[:, :, :, :-1].transpose(-1, -2)
        weights = torch.cat([near.masked_fill(ahead(near), HIDDEN), gates], dim=-1).softmax(dim=-1)
        local, landmarks = weights.split([self.block, gates.shape[-1]], dim=-1)
        return local @ v[:, :, :, :-1] + (landmarks.unsqueeze(-2) @ fetched).squeeze(-2)

    def _chosen(self, q: torch.Tensor, landmarks: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Scores of the best landmarks of earlier blocks and their blocks, both [B, H, n, S, k].

        Earlier blocks are a triangle over blocks for each place in a block; what a query of the first blocks
        gets beyond them has no weight.
        """
        scores = q.transpose(2, 3) @ landmarks.unsqueeze(2).transpose(-1, -2)
        index, there = best_before(scores, min(self.chosen, scores.shape[-1]), -1, self.selector_bits)
        gates = scores.gather(-1, index).masked_fill(~there, HIDDEN)
        return gates.transpose(2, 3), index.transpose(2, 3)

    def _means(self, q: torch.Tensor, keys: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
        """Each query [..., c] on its own k blocks [..., k, b, c]: softmax within a block -> [..., k, c]."""
        own = q[..., None, None, :].expand(*keys.shape[:-2], 1, -1)
        return functional.scaled_dot_product_attention(own, keys, values, scale=1.0).squeeze(-2)

    def advance(
        self,
        x: torch.Tensor,
        landmarks: torch.Tensor,
        blocks: torch.Tensor,
        keys: torch.Tensor,
        values: torch.Tensor,
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """One token x [B, 1, W] that is no landmark: its output, and the rows of its own block with its own.

        landmarks [B, H, n, c] and blocks [B, H, n, b, 2 c], keys beside values, are read and stay as they
        are; keys and values [B, H, rows, c] are those of its own block.
        """
        q, k, v = (split_heads(layer(x), self.heads) for layer in (self.query, self.key, self.value))
        q = q * q.shape[-1] ** -0.5
        keys, values = torch.cat([keys, k], dim=2), torch.cat([values, v], dim=2)
        scores = q @ landmarks.transpose(-1, -2)
        index = best(scores, min(self.chosen, landmarks.shape[2]), self.selector_bits)
        fetched = self._means(q, *rows_at(blocks, index, lead=2).chunk(2, dim=-1))
        weights = torch.cat([q @ keys.transpose(-1, -2), scores.gather(-1, index)], dim=-1).softmax(dim=-1)
        near, far = weights.split([keys.shape[2], index.shape[-1]], dim=-1)
        mixed = near @ values + (far.unsqueeze(-2) @ fetched).squeeze(-2)
        return self.out(merge_heads(mixed)), keys, values

    def state_shapes(self, context: int) -> tuple[tuple[int, ...], ...]:
        """Behind `context` tokens beside their landmarks: landmarks, whole blocks, up to b tokens more."""
        blocks = max((context - 1) // self.block, 1)
        rows = max(context - blocks * self.block, 1)
        width, own = self.width // self.heads, (self.heads, rows, self.width // self.heads)
        return (self.heads, blocks, width), (self.heads, blocks, self.block, 2 * width), own, own

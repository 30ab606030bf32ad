"""BigBird: a window of blocks, random blocks and global blocks.

Zaheer et al., Big Bird: Transformers for Longer Sequences, NeurIPS 2020 (arXiv 2007.14062), section 2 and
appendix D, in its form ITC: the first blocks of the sequence are global. Another block sees the global
blocks, itself and its neighbours (the last one's successor is the first), and a few blocks at random, all in
one softmax over gathered blocks; global blocks see everything. O(N) for given numbers of blocks. With as many
random blocks as there are it is full attention. Shapes: B batch, N tokens, W width, H heads, b tokens a
block, g global blocks, n others, r random ones of these.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from siliform.graph_ir.errors import UserError
from siliform.models.blocks.heads import merge_heads, split_heads

#: Multiplier and increment of the generator that draws random blocks (Numerical Recipes, 3rd edition, 7.1).
MULTIPLIER, INCREMENT = 1664525, 1013904223


def random_blocks(blocks: int, count: int, device: torch.device) -> torch.Tensor:
    """[n, r]: of each block, one in each of `count` equal parts of the blocks that are no neighbours of it.

    They are drawn from the positions alone, so that a graph of a length has the same blocks always.
    """
    outside = blocks - 3
    part = torch.arange(count, device=device)
    seed = torch.arange(blocks, device=device)[:, None] * count + part
    drawn = (seed * MULTIPLIER + INCREMENT) % 2**32 // 2**8
    low, high = part * outside // count, (part + 1) * outside // count
    behind = low + drawn % (high - low)
    return (torch.arange(blocks, device=device)[:, None] + 2 + behind) % blocks


class BigBirdMixer(nn.Module):
    """x [B, N, W] -> [B, N, W], N a multiple of the block.

    Parameters
    ----------
    width, heads : W and H.
    block : b.
    global_blocks : g.
    random : r; all blocks outside of the window where there are no more.
    """

    def __init__(
        self, width: int, heads: int, block: int = 64, global_blocks: int = 2, random: int = 3
    ) -> None:
        super().__init__()
        self.heads, self.block, self.global_blocks, self.random = heads, block, global_blocks, random
        self.query, self.key, self.value, self.out = (nn.Linear(width, width) for _ in range(4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if x.shape[1] % self.block:
            raise UserError(
                asked=f"BigBird of {x.shape[1]} tokens in blocks of {self.block}",
                found=f"{x.shape[1]} is no multiple of {self.block}",
                where="--seq",
                next_step=f"give a multiple of {self.block}",
            )
        q, k, v = (split_heads(layer(x), self.heads) for layer in (self.query, self.key, self.value))
        first = self.global_blocks * self.block
        if x.shape[1] <= first + 3 * self.block:
            mixed = functional.scaled_dot_product_attention(q, k, v)
        else:
            everywhere = functional.scaled_dot_product_attention(q[:, :, :first], k, v)
            mixed = torch.cat([everywhere, self._sparse(q, k, v, first)], dim=2)
        projected: torch.Tensor = self.out(merge_heads(mixed))
        return projected

    def _sparse(self, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, first: int) -> torch.Tensor:
        """Blocks behind the global ones, each to the keys that it sees: [B, H, n b, c]."""
        count = q.shape[2] // self.block - self.global_blocks
        index = random_blocks(count, min(self.random, count - 3), q.device)
        queries = q[:, :, first:].unflatten(2, (count, self.block))
        keys, values = (self._seen(x, first, index) for x in (k, v))
        return functional.scaled_dot_product_attention(queries, keys, values).flatten(2, 3)

    def _seen(self, x: torch.Tensor, first: int, index: torch.Tensor) -> torch.Tensor:
        """Keys or values [B, H, N, c] as each of n blocks sees them: [B, H, n, (g + 3 + r) b, c]."""
        rest = x[:, :, first:]
        blocks = rest.unflatten(2, (-1, self.block))
        around = torch.cat([rest[:, :, -self.block :], rest, rest[:, :, : self.block]], dim=2)
        windows = around.unfold(2, 3 * self.block, self.block).transpose(-1, -2)
        shared = x[:, :, None, :first].expand(-1, -1, blocks.shape[2], -1, -1)
        drawn = blocks[:, :, index].flatten(3, 4)
        return torch.cat([shared, windows, drawn], dim=3)

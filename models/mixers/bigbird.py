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

from siliform.models.blocks.chunks import check_multiple
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
    random : r; all blocks outside of the window where there are no more. Blocks of 64, 2 global and 3 random
        ones are those of BigBird-ITC base (arXiv 2007.14062, appendix E.1).
    """

    def __init__(
        self, width: int, heads: int, block: int = 64, global_blocks: int = 2, random: int = 3
    ) -> None:
        super().__init__()
        self.heads, self.block, self.global_blocks, self.random = heads, block, global_blocks, random
        self.query, self.key, self.value, self.out = (nn.Linear(width, width) for _ in range(4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        check_multiple(x.shape[1], self.block, f"BigBird of {x.shape[1]} tokens in blocks of {self.block}")
        q, k, v = self.query(x), self.key(x), self.value(x)
        first = self.global_blocks * self.block
        if x.shape[1] <= first + 3 * self.block:
            mixed = self._attended(q, k, v)
        else:
            mixed = torch.cat([self._attended(q[:, :first], k, v), self._sparse(q, k, v)], dim=1)
        projected: torch.Tensor = self.out(mixed)
        return projected

    def _sparse(self, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        """Blocks of q, k, v [B, N, W] behind the global ones, to the blocks that each sees: [B, n b, W]."""
        queries, keys, values = (part.unflatten(1, (-1, self.block)) for part in (q, k, v))
        index = self.seen(keys.shape[1], q.device)
        keys, values = (part[:, index].flatten(2, 3) for part in (keys, values))
        return self._attended(queries[:, self.global_blocks :], keys, values).flatten(1, 2)

    def _attended(self, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        """Softmax attention by heads of q [..., m, W] to k and v [..., s, W]: [..., m, W]."""
        q, k, v = (split_heads(part, self.heads) for part in (q, k, v))
        return merge_heads(functional.scaled_dot_product_attention(q, k, v))

    def seen(self, blocks: int, device: torch.device) -> torch.Tensor:
        """Which of all blocks each block behind the global ones sees: [n, g + 3 + r]."""
        first, count = self.global_blocks, blocks - self.global_blocks
        own = torch.arange(count, device=device)[:, None]
        around = (own + torch.arange(-1, 2, device=device)) % count
        drawn = random_blocks(count, min(self.random, count - 3), device)
        shared = torch.arange(first, device=device).expand(count, -1)
        return torch.cat([shared, around + first, drawn + first], dim=1)

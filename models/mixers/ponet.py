"""PoNet: pooling at three ranges in place of attention, fused.

Tan et al., PoNet: Pooling Network for Efficient Token Mixing in Long Sequences, arXiv 2110.02442, section
3. Of six projections of the stream (q, k, v, o, s, l):

- global aggregation: the mean of all q attends, head by head, to all k and v: one vector g of W numbers;
- segment pooling: the largest s of each segment, in each channel;
- local pooling: the largest l among a token and its neighbours;
- fusion: ``y_n = g * o_n + (s of n's segment) * o_n + l_n``.

Segments are built as runs of equally many tokens, as the authors take them where a text has no structure.
Shapes: B batch, N tokens, W width, H heads, c width of a head.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from siliform.models.blocks.heads import merge_heads, split_heads


class PoNetMixer(nn.Module):
    """x [B, N, W] -> [B, N, W]; segments of `segment` tokens, the last maybe shorter; `window` near ones.

    Segments of 16 are an assumption between those of the authors' settings for Long Range Arena, most of
    which are pieces of 2 to 62 tokens (lxchtan/PoNet, lra_config.py); a window of 3 is of their code.
    """

    def __init__(self, width: int, heads: int, segment: int = 16, window: int = 3) -> None:
        super().__init__()
        self.heads, self.segment, self.window = heads, segment, window
        self.query, self.key, self.value = (nn.Linear(width, width) for _ in range(3))
        self.of_segment, self.of_near, self.out = (nn.Linear(width, width) for _ in range(3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        near = functional.max_pool1d(
            self.of_near(x).transpose(1, 2), self.window, 1, self.window // 2
        ).transpose(1, 2)
        return (self.whole(x) + self.largest_of_segment(x)) * self.out(x) + near

    def whole(self, x: torch.Tensor) -> torch.Tensor:
        """g [B, 1, W]."""
        mean = self.query(x).mean(1, keepdim=True)
        q, k, v = (split_heads(part, self.heads) for part in (mean, self.key(x), self.value(x)))
        return merge_heads(functional.scaled_dot_product_attention(q, k, v))

    def largest_of_segment(self, x: torch.Tensor) -> torch.Tensor:
        """The segment's largest s at each token, [B, N, W]."""
        pooled = functional.max_pool1d(
            self.of_segment(x).transpose(1, 2), self.segment, self.segment, ceil_mode=True
        )
        return pooled.repeat_interleave(self.segment, dim=2)[..., : x.shape[1]].transpose(1, 2)

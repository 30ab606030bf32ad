"""The Sparse Transformer's strided attention: some heads see a window, the others every l-th token.

Child et al., Generating Long Sequences with Sparse Transformers (arXiv 1904.10509), section 4: the
two factors of the strided pattern, given to separate heads. A token of a window head sees the l tokens up to
its own, one of a column head every l-th token up to its own; in two layers everything reaches everything.
With a stride of about sqrt(N) it takes O(N sqrt(N)). Columns are the columns of the sequence laid out in rows
of l, so that each is an attention of its own. Shapes: B batch, N tokens, W width, H heads, c = W / H, l
stride.
"""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn import functional

from siliform.models.blocks.chunks import in_pieces
from siliform.models.blocks.heads import merge_heads, split_heads
from siliform.models.blocks.windows import window_attention


def nearest_root(tokens: int) -> int:
    """The power of two nearest to the square root of N."""
    return 1 << max(round(math.log2(tokens) / 2), 0)


class SparseTransformerMixer(nn.Module):
    """x [B, N, W] -> [B, N, W].

    Parameters
    ----------
    width, heads : W and H; the first half of the heads see windows.
    stride : l; `nearest_root` of the length where None.
    causal : whether a token sees none behind it, as in the paper; else a window is l on both sides.
    """

    def __init__(self, width: int, heads: int, stride: int | None = None, causal: bool = True) -> None:
        super().__init__()
        self.heads, self.stride, self.causal = heads, stride, causal
        self.query, self.key, self.value, self.out = (nn.Linear(width, width) for _ in range(4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        stride = self.stride or nearest_root(x.shape[1])
        near = self.heads // 2
        q, k, v = (split_heads(layer(x), self.heads) for layer in (self.query, self.key, self.value))
        reach = stride - 1 if self.causal else stride
        windows = window_attention(q[:, :near], k[:, :near], v[:, :near], reach, self.causal)
        columns = self._columns(q[:, near:], k[:, near:], v[:, near:], stride)
        projected: torch.Tensor = self.out(merge_heads(torch.cat([windows, columns], dim=1)))
        return projected

    def _columns(self, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, stride: int) -> torch.Tensor:
        """Each token with those a multiple of the stride away: [B, H, N, c] -> same."""
        tokens = q.shape[2]
        missing = -tokens % stride
        q, k, v = (in_pieces(x, stride, axis=-2).transpose(2, 3) for x in (q, k, v))
        mask = None
        if missing and not self.causal:
            # Where a column's last row lies behind the end, nobody sees it.
            place = torch.arange(stride * q.shape[3], device=q.device).view(-1, stride)
            mask = (place < tokens).T[:, None]
        mixed = functional.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=self.causal)
        return mixed.transpose(2, 3).flatten(2, 3)[:, :, :tokens]

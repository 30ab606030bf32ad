"""Routing attention: clusters by k-means, attention within a cluster, beside heads with a window.

Roy et al., Efficient Content-Based Sparse Attention with Routing Transformers, TACL 2021 (arXiv 2003.05997),
section 4, without a causal mask. Queries and keys of a routing head are put on a sphere by a norm
without weights; each of k centroids takes the w = N / k queries and the w keys nearest to it, and these
queries attend to these keys. A token that several clusters took gets the mean of what they gave it, one that
none took gets nothing; so every cluster has one size. With k = sqrt(N) it takes O(N sqrt(N)); one cluster is
full attention. Centroids are running means of training, no weights. Shapes: B batch, N tokens, W width, H
heads, h of them routing, c = W / H, k clusters, w their size.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from siliform.models.blocks.chunks import check_multiple
from siliform.models.blocks.heads import merge_heads, split_heads
from siliform.models.blocks.selection import best, rows_at
from siliform.models.blocks.windows import window_attention
from siliform.models.mixers.sparse_transformer import nearest_root


class RoutingMixer(nn.Module):
    """x [B, N, W] -> [B, N, W], N a multiple of k.

    Parameters
    ----------
    width, heads : W and H; the second half of the heads route, the first half see a window.
    sequence : N, which sizes the clusters where `clusters` is None.
    clusters : k; `nearest_root` of the sequence where None.
    window : tokens that a head without routing sees, half of them on each side; 0 where every head routes
        (assumption: 256, the block of local attention in the example of the authors' README).
    selector_bits : 8 or 16 where nearness is compared in fixed point, as a selector does.
    """

    def __init__(
        self,
        width: int,
        heads: int,
        sequence: int = 1024,
        clusters: int | None = None,
        window: int = 256,
        selector_bits: int | None = None,
    ) -> None:
        super().__init__()
        self.selector_bits = selector_bits
        self.heads, self.window = heads, window
        self.near = heads // 2 if window else 0
        self.clusters = clusters or nearest_root(sequence)
        self.head_width = width // heads
        self.query, self.key, self.value, self.out = (nn.Linear(width, width) for _ in range(4))
        centroids = functional.normalize(
            torch.randn(heads - self.near, self.clusters, self.head_width), dim=-1
        )
        self.centroids: torch.Tensor
        self.register_buffer("centroids", centroids)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        check_multiple(
            x.shape[1],
            self.clusters,
            f"routing of {x.shape[1]} tokens to {self.clusters} clusters of one size",
            next_step=f"give a multiple of {self.clusters}, or another number of clusters",
        )
        q, k, v = (split_heads(layer(x), self.heads) for layer in (self.query, self.key, self.value))
        parts = []
        if self.near:
            local_q, local_k, local_v = (part[:, : self.near] for part in (q, k, v))
            parts.append(window_attention(local_q, local_k, local_v, self.window // 2))
        parts.append(self._routed(*(part[:, self.near :] for part in (q, k, v))))
        projected: torch.Tensor = self.out(merge_heads(torch.cat(parts, dim=1)))
        return projected

    def members(self, x: torch.Tensor) -> torch.Tensor:
        """The w tokens of x [B, h, N, c] nearest to each centroid: [B, h, k, w]."""
        nearness = self.centroids @ x.transpose(-1, -2) * self.head_width**-0.5
        return best(nearness, x.shape[2] // self.clusters, self.selector_bits)

    def _routed(self, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        """[B, h, N, c] -> same."""
        q, k = (functional.layer_norm(part, (self.head_width,)) for part in (q, k))
        to, held = self.members(q), self.members(k)
        keys, values = rows_at(torch.cat([k, v], dim=-1), held, lead=2).chunk(2, dim=-1)
        mixed = functional.scaled_dot_product_attention(rows_at(q, to, lead=2), keys, values)
        given = functional.pad(mixed, (0, 1), value=1.0).flatten(2, 3)  # a column that counts the clusters
        places = to.flatten(2, 3).unsqueeze(-1).expand(-1, -1, -1, self.head_width + 1)
        total = torch.zeros(*q.shape[:3], self.head_width + 1, dtype=q.dtype, device=q.device)
        total = total.scatter_add(2, places, given)
        return total[..., :-1] / total[..., -1:].clamp(min=1.0)

"""Bi-level routing attention: regions choose regions, tokens attend inside the chosen ones.

Zhu et al., BiFormer: Vision Transformer with Bi-Level Routing Attention, CVPR 2023 (arXiv 2303.08810),
algorithm 1. A map is cut into S x S regions; means of their queries and keys give the affinity of regions, of
which each keeps its k best; keys and values of these are gathered, and the region's tokens attend to them::

    index  = the k largest of mean(Q_r) mean(K_r)ᵀ in each row
    out    = (softmax(Q_r gather(K, index)ᵀ / sqrt(c)) gather(V, index) + LEPE(V)) W_o

LEPE is a depthwise convolution of the values (CSwin, arXiv 2107.00652, section 3.3). With all regions chosen
this is full attention. Shapes: B batch, N tokens that lie row by row on a square map, W width, H heads,
c = W / H, R = S² regions of n = N / R tokens.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from siliform.graph_ir.errors import UserError
from siliform.models.blocks.grids import as_map, as_tokens, side_of
from siliform.models.blocks.heads import merge_heads, split_heads
from siliform.models.blocks.selection import best, rows_at


def balanced_regions(side: int, chosen: int) -> int:
    """S, the divisor of the map's side at which routing and attention cost the least together.

    That is ``S⁴ + 2 k N² / S²`` products of width W, least near ``S = (k N²)^(1/6)``, where both take
    O(N^(4/3)) (arXiv 2303.08810, section 3.3).
    """
    divisors = (d for d in range(1, side + 1) if side % d == 0)
    return min(divisors, key=lambda d: d**4 + 2 * min(chosen, d**2) * side**4 // d**2)


class BiFormerMixer(nn.Module):
    """x [B, N, W] -> [B, N, W].

    Parameters
    ----------
    width, heads : W and H.
    regions : S, a divisor of the map's side; None for `balanced_regions`.
    chosen : k; None where every token sees every other, without routing (the last stage of the paper's); 4 is
        that of its second stage (arXiv 2303.08810).
    kernel : side of the convolution LEPE; 5 of the released configurations.
    selector_bits : 8 or 16 where affinities are compared in fixed point, as a selector does.
    """

    def __init__(
        self,
        width: int,
        heads: int,
        regions: int | None = None,
        chosen: int | None = 4,
        kernel: int = 5,
        selector_bits: int | None = None,
    ) -> None:
        super().__init__()
        self.heads, self.regions, self.chosen = heads, regions, chosen
        self.selector_bits = selector_bits
        self.qkv = nn.Linear(width, 3 * width)
        self.positions = nn.Conv2d(width, width, kernel, padding=kernel // 2, groups=width)
        self.out = nn.Linear(width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        qkv = self.qkv(x)
        mixed = self._attended(qkv) if self.chosen is None else self._routed(qkv, self.chosen)
        values = qkv[..., 2 * x.shape[-1] :]
        projected: torch.Tensor = self.out(mixed + as_tokens(self.positions(as_map(values))))
        return projected

    def _attended(self, qkv: torch.Tensor) -> torch.Tensor:
        q, k, v = (split_heads(part, self.heads) for part in qkv.chunk(3, dim=-1))
        return merge_heads(functional.scaled_dot_product_attention(q, k, v))

    def _routed(self, qkv: torch.Tensor, chosen: int) -> torch.Tensor:
        count = self._count(side_of(qkv.shape[1]), chosen)
        width = qkv.shape[-1] // 3
        tokens = to_regions(qkv, count)
        index = self.route(tokens, min(chosen, count**2))
        held = rows_at(tokens[..., width:], index, lead=1).flatten(2, 3)
        q = split_heads(tokens[..., :width], self.heads)
        k, v = (split_heads(part, self.heads) for part in held.chunk(2, dim=-1))
        return from_regions(merge_heads(functional.scaled_dot_product_attention(q, k, v)))

    def route(self, tokens: torch.Tensor, chosen: int) -> torch.Tensor:
        """Regions [B, R, n, 3 W] -> the regions [B, R, k] that each attends to, the nearest first."""
        width = tokens.shape[-1] // 3
        means = tokens[..., : 2 * width].mean(dim=2)
        affinity = means[..., :width] @ means[..., width:].transpose(1, 2) * width**-0.5
        return best(affinity, chosen, self.selector_bits)

    def _count(self, side: int, chosen: int) -> int:
        count = self.regions or balanced_regions(side, chosen)
        if side % count:
            raise UserError(
                asked=f"a map of {side} x {side} tokens in {count} x {count} regions",
                found=f"{count} does not divide {side}",
                where="BiFormerMixer(regions=...)",
                next_step="give a divisor of the map's side, or None for the balanced one",
            )
        return count


def to_regions(x: torch.Tensor, count: int) -> torch.Tensor:
    """Tokens of a square map [B, N, C] -> [B, S², n, C], regions and the tokens in each row by row."""
    side = side_of(x.shape[1])
    cut = x.view(x.shape[0], count, side // count, count, side // count, x.shape[2])
    return cut.permute(0, 1, 3, 2, 4, 5).reshape(x.shape[0], count**2, -1, x.shape[2])


def from_regions(x: torch.Tensor) -> torch.Tensor:
    """[B, S², n, C] -> [B, N, C], what `to_regions` did undone."""
    batch, regions, tokens, width = x.shape
    count, side = side_of(regions), side_of(tokens)
    cut = x.view(batch, count, count, side, side, width)
    return cut.permute(0, 1, 3, 2, 4, 5).reshape(batch, regions * tokens, width)

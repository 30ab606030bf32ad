"""Combiner: every token sees every other, some directly, the rest through abstractions of regions.

Ren et al., Combiner: Full Attention Transformer with Sparse Computation Cost, NeurIPS 2021 (arXiv
2107.05768), sections 3 and 4, without a causal mask. For a token i the others are parted into a direct set
and regions R::

    p(j | i) = softmax_i(q_i k_j)                     for j in the direct set
    p(j | i) = softmax_i(q_i k_R) softmax_R(q_R k_j)  for j in the region R

where the first softmax goes over direct tokens and regions together, and q_R and k_R are maxima over a
region's queries and keys. Three ways to part the sequence, named for the sparse patterns that they complete:

========= ============================ ====================================== ===============
form      direct                       regions                                products
========= ============================ ====================================== ===============
fixed     the own block of b tokens    every other block                      N (b + N / b)
logsparse the token                    at each level the sibling of its block 2 N log2 N
axial     the own row and column       every other column without its token   N (rows + columns)
                                       in the own row
========= ============================ ====================================== ===============

Levels are those of the binary tree over the sequence, whose siblings part all but the token itself. The pools
of the axial form's regions are those of the whole columns. With regions of one token it is full attention.
Shapes: B batch, N tokens, W width, H heads, c = W / H, b tokens a block, n blocks.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import nn
from torch.nn import functional

from siliform.graph_ir.errors import UserError
from siliform.models.blocks.heads import merge_heads, split_heads
from siliform.models.blocks.partial import joined, with_null
from siliform.models.mixers.sparse_transformer import nearest_root

Form = Literal["fixed", "logsparse", "axial"]


class CombinerMixer(nn.Module):
    """x [B, N, W] -> [B, N, W].

    Parameters
    ----------
    width, heads : W and H.
    form : as above.
    block : b, or the columns of the axial form; `nearest_root` of N where None. N is a multiple of it, and
        for the logsparse form, which has none, a power of two.
    """

    def __init__(self, width: int, heads: int, form: Form = "fixed", block: int | None = None) -> None:
        super().__init__()
        self.heads, self.form, self.block = heads, form, block
        self.query, self.key, self.value, self.out = (nn.Linear(width, width) for _ in range(4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        block = self._block(x.shape[1])
        q, k, v = (split_heads(layer(x), self.heads) for layer in (self.query, self.key, self.value))
        if self.form == "logsparse":
            mixed = logsparse(q, k, v)
        else:
            parts = (part.unflatten(2, (-1, block)) for part in (q, k, v))
            mixed = (fixed if self.form == "fixed" else axial)(*parts).flatten(2, 3)
        projected: torch.Tensor = self.out(merge_heads(mixed))
        return projected

    def _block(self, tokens: int) -> int:
        block = self.block or nearest_root(tokens)
        if self.form == "logsparse":
            wrong, unit = tokens & (tokens - 1), "a power of two"
        else:
            wrong, unit = tokens % block, f"a multiple of {block}"
        if wrong:
            raise UserError(
                asked=f"the {self.form} form of Combiner for {tokens} tokens",
                found=f"{tokens} is not {unit}",
                where="--seq",
                next_step=f"give {unit}",
            )
        return block


def fixed(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    """q, k, v [B, H, n, b, c] -> [B, H, n, b, c]: the own block and what stands for each other block."""
    blocks, block = q.shape[2:4]
    keys, values = _pool(k), _abstraction(_pool(q), k, v)
    every = (part.unsqueeze(2).expand(-1, -1, blocks, -1, -1) for part in (keys, values))
    k, v = (torch.cat([own, others], dim=3) for own, others in zip((k, v), every, strict=True))
    # An own block's abstraction is hidden from it: [n, 1, b + n].
    seen = functional.pad(_but_itself(blocks, q.device), (block, 0), value=True).unsqueeze(1)
    return functional.scaled_dot_product_attention(q, k, v, attn_mask=seen)


def logsparse(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    """q, k, v [B, H, N, c] -> [B, H, N, c]: the token and at each level the sibling of the block it is in."""
    tokens, width = k.shape[2:]
    seen = [torch.cat([k, v], dim=-1)]
    queries, keys, values = q, k, v
    for level in range(tokens.bit_length() - 1):
        size = 1 << level
        if level:
            queries, keys = (part.unflatten(2, (-1, 2)).amax(dim=3) for part in (queries, keys))
            values = _abstraction(queries, k.unflatten(2, (-1, size)), v.unflatten(2, (-1, size)))
        pairs = torch.cat([keys, values], dim=-1).unflatten(2, (-1, 2)).flip(3)
        siblings = pairs.flatten(2, 3).unsqueeze(3).expand(-1, -1, -1, size, -1)
        seen.append(siblings.flatten(2, 3))
    k, v = torch.stack(seen, dim=3).split([width, width], dim=-1)
    return functional.scaled_dot_product_attention(q.unsqueeze(3), k, v).squeeze(3)


def axial(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    """q, k, v [B, H, rows, columns, c] -> the same: own column and row, others as abstractions."""
    rows, columns = q.shape[2:4]
    down = [part.transpose(2, 3) for part in (q, k, v)]
    near = functional.scaled_dot_product_attention(down[0], *with_null(down[1], down[2])).transpose(2, 3)
    if columns == 1:
        return near[..., :-1] / (1 - near[..., -1:])
    other = _but_itself(columns, q.device)
    seen = functional.pad(other, (1, 0), value=True)  # the null key is seen by all
    keys, values = k, v
    if rows > 1:
        # Of each column, for each row, what its other rows come to: [B, H, columns, rows, c].
        pooled = _pool(down[0]).unsqueeze(3).expand(-1, -1, -1, rows, -1)
        left = functional.scaled_dot_product_attention(
            pooled, down[1], down[2], attn_mask=_but_itself(rows, q.device)
        )
        pools = _pool(down[1]).unsqueeze(2).expand(-1, -1, rows, -1, -1)
        keys = torch.cat([k, pools], dim=3)
        values = torch.cat([v, left.transpose(2, 3)], dim=3)
        seen = torch.cat([seen, other], dim=1)
    along = functional.scaled_dot_product_attention(q, *with_null(keys, values), attn_mask=seen)
    return joined(near, along)


def _pool(x: torch.Tensor) -> torch.Tensor:
    """What stands for a region's queries or keys: [B, H, n, b, c] -> [B, H, n, c]."""
    return x.amax(dim=3)


def _abstraction(pooled: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    """Values of regions [B, H, n, b, c], weighed by their pooled queries [B, H, n, c]: [B, H, n, c]."""
    return functional.scaled_dot_product_attention(pooled.unsqueeze(3), k, v).squeeze(3)


def _but_itself(count: int, device: torch.device) -> torch.Tensor:
    """True off the diagonal, [count, count]."""
    place = torch.arange(count, device=device)
    return place[:, None] != place

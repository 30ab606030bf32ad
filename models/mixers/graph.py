"""Attention over the neighbours of a graph, and attention read as a graph.

`GraphMixer`: Dwivedi and Bresson, A Generalization of Transformer Networks to Graphs, arXiv 2012.09699,
equations 1 to 3: a token attends to its neighbours alone, whose keys and values are gathered.
`IsomorphicMixer`: Buehler, Graph-Aware Isomorphic Attention, arXiv 2501.02393, section 2.1: the attention
weights of a head are the edges of a graph, over which a graph isomorphism network (Xu et al., arXiv
1810.00826, equation 4.1) aggregates what attention would only sum. Shapes: B batch, N tokens, W width of
the stream, H heads, c width of a head, K neighbours.
"""

from __future__ import annotations

import torch
from torch import nn

from siliform.models.blocks.heads import HeadLinear, merge_heads, split_heads
from siliform.models.mixers.softmax import HeadMixer


class GraphMixer(nn.Module):
    """x [B, N, W] -> [B, N, W] over a graph that is part of the module.

    Parameters
    ----------
    width, heads : W and H.
    sequence, degree : N and K (assumption: 16 neighbours; the paper's graphs have no one degree).
    neighbours : which tokens each token sees, [N, K]; drawn at random where None.
    """

    neighbours: torch.Tensor

    def __init__(
        self,
        width: int,
        heads: int,
        sequence: int,
        degree: int = 16,
        neighbours: torch.Tensor | None = None,
    ) -> None:
        super().__init__()
        self.heads = heads
        drawn = torch.randint(sequence, (sequence, degree)) if neighbours is None else neighbours
        self.register_buffer("neighbours", drawn)
        self.query = nn.Linear(width, width, bias=False)
        self.key = nn.Linear(width, width, bias=False)
        self.value = nn.Linear(width, width, bias=False)
        self.out = nn.Linear(width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        q = split_heads(self.query(x), self.heads).unsqueeze(3)
        k, v = (self._gathered(layer(x)) for layer in (self.key, self.value))
        scores = q @ k.transpose(-1, -2) * q.shape[-1] ** -0.5
        mixed = scores.softmax(dim=-1) @ v
        projected: torch.Tensor = self.out(merge_heads(mixed.squeeze(3)))
        return projected

    def _gathered(self, rows: torch.Tensor) -> torch.Tensor:
        """Rows [B, N, W] of each token's neighbours, by heads: [B, H, N, K, c]."""
        found = rows[:, self.neighbours].unflatten(-1, (self.heads, -1))
        return found.permute(0, 3, 1, 2, 4)


class IsomorphicMixer(HeadMixer):
    """x [B, N, W] -> [B, N, W]: ``MLP((1 + e) V + A V)`` in each head, A its attention weights, e trained.

    `ratio` is the inner width of a head's MLP over c (assumption: 2, wider than c, as an MLP's is).
    """

    def __init__(self, width: int, heads: int, causal: bool = False, ratio: int = 2) -> None:
        super().__init__(width, heads, causal=causal)
        self.own = nn.Parameter(torch.zeros(heads, 1, 1))
        self.up = HeadLinear(heads, self.head_width, ratio * self.head_width)
        self.down = HeadLinear(heads, ratio * self.head_width, self.head_width)

    def mixed(self, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        aggregated = (1 + self.own) * v + super().mixed(q, k, v)
        made: torch.Tensor = self.down(self.up(aggregated).relu())
        return made

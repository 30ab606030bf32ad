"""Hash attention: linear attention whose features are binary codes, so that its sums need no multiplier.

Liu et al., EcoFormer: Energy-Saving Attention with Linear Complexity, NeurIPS 2022 (arXiv 2209.09004).
Queries and keys share one projection. A head's kernelised hash function gives each token Nh signs::

    b = sign(A (kappa(x) - means)),   kappa(x)_m = exp(-|x - anchor_m|² / (2 sigma²))

and ``b_q . b_k + Nh + 1``, at least 1, takes the place of the exponential of a score. Hence, over N keys::

    y_q = sum_n (b_q . b_n + Nh + 1) v_n / sum_n (b_q . b_n + Nh + 1)
        = (b_q (sum_n b_n v_nᵀ) + (Nh + 1) sum_n v_n) / (b_q . sum_n b_n + N (Nh + 1))

The paper finds A from pairs of similar tokens by supervised hashing and takes anchors and means from
samples; here anchors, means, sigma and A are all trained by gradients, straight through the sign. Shapes:
B batch, N tokens, W width of the stream, H heads, c width of a head, m anchors, Nh bits.
"""

from __future__ import annotations

from math import exp
from typing import Self

import torch
from torch import nn
from torch.nn import functional

from siliform.kernels import hash_attention, hash_codes
from siliform.models.blocks.heads import HeadLinear, Product, merge_heads, split_heads

ANCHORS = 25  # support samples of the hash function in the experiments of arXiv 2209.09004
BITS = 16  # of a code in the experiments of arXiv 2209.09004


def signs(x: torch.Tensor) -> torch.Tensor:
    """+1 where x >= 0, else -1, with no gradient."""
    one = x.new_ones(())
    return torch.where(x >= 0, one, -one)


def straight_signs(x: torch.Tensor) -> torch.Tensor:
    """`signs`, differentiated as x clipped to [-1, 1] (Bengio et al., arXiv 1308.3432)."""
    soft = functional.hardtanh(x)
    return soft + (signs(x) - soft).detach()


def similarity_form(codes: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    """The first line of the identity above, for comparison: codes [B, H, N, Nh], v [B, H, N, c]."""
    similarity = codes @ codes.transpose(-1, -2) + codes.shape[-1] + 1
    return similarity @ v / similarity.sum(-1, keepdim=True)


class KernelHash(nn.Module):
    """The hash function of each head: x [B, H, N, c] -> signs [B, H, N, Nh]."""

    def __init__(self, heads: int, head_width: int, anchors: int, bits: int) -> None:
        super().__init__()
        self.anchors = HeadLinear(heads, head_width, anchors)
        self.means = nn.Parameter(torch.full((heads, 1, anchors), exp(-1)))
        # Its square is 1 / (2 sigma²), and so never negative. Of tokens and anchors with elements of variance
        # one, the mean of |x - a|² is 2 c, so that the kernel begins around exp(-1), as the means do.
        self.rate = nn.Parameter(torch.full((heads, 1, 1), (0.5 / head_width) ** 0.5))
        self.project = HeadLinear(heads, anchors, bits)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        lengths = x.square().sum(-1, keepdim=True) + self.anchors.weight.square().sum(-2, keepdim=True)
        kernel = torch.exp(self.rate.square() * (2 * self.anchors(x) - lengths))
        score = self.project(kernel - self.means)
        return straight_signs(score) if self.training else signs(score)


class HashMix(nn.Module):
    """The second line of the identity: codes [B, H, N, Nh] and v [B, H, N, c] -> [B, H, N, c]."""

    def __init__(self) -> None:
        super().__init__()
        self.context = Product()
        self.read = Product()

    def forward(self, codes: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        tokens, least = codes.shape[-2], codes.shape[-1] + 1
        mixed = self.read(codes, self.context(codes.transpose(-1, -2), v))
        mixed = mixed + least * v.sum(-2, keepdim=True)
        total = (codes * codes.sum(-2, keepdim=True)).sum(-1, keepdim=True) + tokens * least
        normalised: torch.Tensor = mixed / total
        return normalised


class HashAttention(nn.Module):
    """Self-attention with biases: x [B, N, W] -> [B, N, W]."""

    def __init__(
        self, width: int, heads: int, head_width: int, anchors: int = ANCHORS, bits: int = BITS
    ) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(width, heads * head_width)
        self.value = nn.Linear(width, heads * head_width)
        self.hash = KernelHash(heads, head_width, anchors, bits)
        self.mix = HashMix()
        self.out = nn.Linear(heads * head_width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        codes = self.hash(split_heads(self.query(x), self.heads))
        mixed: torch.Tensor = self.out(merge_heads(self.mix(codes, split_heads(self.value(x), self.heads))))
        return mixed


class HashedAttention(nn.Module):
    """`HashAttention` for inference, x [B, N, W] -> [B, N, W]: two projections around two ops of its own.

    The ops are `hash_codes` and `hash_attention`, which a trace shows as one node each, so that a hash engine
    does them as a whole. Queries and values have a projection each, so that each is rounded as it is made: of
    one for both, the wide result would be stored first and read again. `joint` makes it one all the same, for
    integer graphs, in which nothing is wide: one command for both. There is no gradient.
    """

    def __init__(
        self,
        width: int,
        heads: int,
        head_width: int,
        anchors: int = ANCHORS,
        bits: int = BITS,
        joint: bool = False,
    ) -> None:
        super().__init__()
        self.heads, self.joint = heads, joint
        if joint:
            self.project = nn.Linear(width, 2 * heads * head_width)
        else:
            self.query = nn.Linear(width, heads * head_width)
            self.value = nn.Linear(width, heads * head_width)
        self.out = nn.Linear(heads * head_width, width)
        self.register_buffer("anchors", torch.zeros(heads, anchors, head_width))
        self.register_buffer("rate", torch.zeros(heads))
        self.register_buffer("means", torch.zeros(heads, anchors))
        self.register_buffer("weight", torch.zeros(heads, bits, anchors))

    @classmethod
    def of(cls, layer: HashAttention, joint: bool = False) -> Self:
        """The same function as a trained layer's."""
        hashing = layer.hash
        heads, head_width, anchors = hashing.anchors.weight.shape
        made = cls(
            layer.query.in_features, heads, head_width, anchors, hashing.project.weight.shape[-1], joint
        )
        parts = {
            f"{name}.{kind}": getattr(getattr(layer, name), kind)
            for name in ("query", "value")
            for kind in ("weight", "bias")
        }
        both = {
            f"project.{kind}": torch.cat([parts[f"query.{kind}"], parts[f"value.{kind}"]])
            for kind in ("weight", "bias")
        }
        state = {
            **(both if joint else parts),
            "out.weight": layer.out.weight,
            "out.bias": layer.out.bias,
            "anchors": hashing.anchors.weight.transpose(-1, -2),
            "rate": hashing.rate.flatten().square(),
            "means": hashing.means.squeeze(-2),
            "weight": hashing.project.weight.transpose(-1, -2),
        }
        made.load_state_dict({name: value.detach().clone() for name, value in state.items()})
        return made.eval()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        parts = self.project(x).chunk(2, dim=-1) if self.joint else (self.query(x), self.value(x))
        q, v = (split_heads(part, self.heads) for part in parts)
        codes = hash_codes(q, self.anchors, self.rate, self.means, self.weight)
        mixed: torch.Tensor = self.out(merge_heads(hash_attention(codes, codes, v)))
        return mixed

"""BERT for one-bit arithmetic: BiT, whose formats come from a policy, and BiPFT with its estimators.

Liu et al., BiT: Robustly Binarized Multi-distilled Transformer, arXiv 2205.13016. Every product takes signs,
or 0 and 1 where its operand is never negative: behind the softmax, and behind the ReLU that stands in place
of BERT's GELU so that there is such an operand. The module is wide; ``--bits w1e1a1`` gives weights, tables
of embeddings and activations one bit each, ``--bits w1e1a2`` two to the activations.

Xing et al., BiPFT: Binary Pre-trained Foundation Transformer, arXiv 2312.08937. The same with GELU, and with
estimators of what signs lose in attention, one number for each token. Of queries q + q_p behind their signs
and keys k + k_p likewise, the product is q kᵀ and a residual polynomial, q k_pᵀ + q_p kᵀ + q_p k_pᵀ; each
factor gets a linear estimate of rank 1 from the stream, shared by all heads::

    scores  = sign(q) sign(k)ᵀ + q_m k_pᵀ + q_p k_mᵀ + q_p k_pᵀ
    context = P v + P v_p,   P of 0 and 1

Norms, residuals, softmax, activations and the estimators stay wide, and so do positions and token types.
Shapes: B batch, N tokens, W width of the stream, H heads, c width of a head.
"""

from __future__ import annotations

import torch
from torch import nn

from siliform.models.blocks.channels import MLP
from siliform.models.blocks.heads import Product, merge_heads, split_heads
from siliform.models.blocks.transformer import TransformerBlock
from siliform.models.mixers.softmax import SoftmaxMixer

#: BERT's activation and that of BiT.
ACTIVATIONS = {"gelu": nn.GELU, "relu": nn.ReLU}


def residual_polynomial(
    q_m: torch.Tensor, q_p: torch.Tensor, k_m: torch.Tensor, k_p: torch.Tensor
) -> torch.Tensor:
    """The three outer products as the paper writes them: four of [B, N, 1] -> [B, N, N]."""
    return q_m @ k_p.mT + q_p @ k_m.mT + q_p @ k_p.mT


class Residuals(nn.Module):
    """The estimators: x [B, N, W] -> what is added to scores [B, 1, N, N], and to values [B, 1, N, 1].

    The three outer products are one product with an inner length of 3. All of it is wide.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.bits = "traced"
        self.estimate = nn.Linear(width, 5)  # five linear layers to one number, side by side
        self.product = Product()

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        q_m, q_p, k_m, k_p, v_p = self.estimate(x).split(1, dim=-1)
        left, right = torch.cat([q_m, q_p, q_p], dim=-1), torch.cat([k_p, k_m, k_p], dim=-1)
        return self.product(left, right.mT).unsqueeze(1), v_p.unsqueeze(1)


class RoundedProduct(Product):
    """A product of 0 and 1 with an operand that stays as it is."""

    bits = "binary*fp32"


class EstimatedMixer(nn.Module):
    """Self-attention of BiPFT: x [B, N, W] -> [B, N, W]."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value, self.out = (nn.Linear(width, width) for _ in range(4))
        self.residuals = Residuals(width)
        self.scores, self.context, self.rest = Product(), Product(), RoundedProduct()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        q, k, v = (split_heads(layer(x), self.heads) for layer in (self.query, self.key, self.value))
        polynomial, v_p = self.residuals(x)
        scores = (self.scores(q, k.mT) + polynomial) * q.shape[-1] ** -0.5
        weights = scores.softmax(dim=-1)
        context = self.context(weights, v) + self.rest(weights, v_p)
        mixed: torch.Tensor = self.out(merge_heads(context))
        return mixed


class BinaryBert(nn.Module):
    """``forward(tokens [B, N]) -> stream [B, N, W], pooled [B, W]``, all of one segment.

    Parameters
    ----------
    vocabulary, width, layers, heads, inner, positions : BERT's sizes.
    activation : "gelu" or "relu".
    estimators : whether attention has BiPFT's.
    bits : policy of products and of the words' table; None where whoever estimates gives one.
    """

    def __init__(
        self,
        vocabulary: int,
        width: int,
        layers: int,
        heads: int,
        inner: int,
        positions: int,
        activation: str,
        estimators: bool,
        bits: str | None,
    ) -> None:
        super().__init__()
        self.bits = bits
        self.words = nn.Embedding(vocabulary, width)
        self.positions = nn.Parameter(0.02 * torch.randn(positions, width))
        self.segments = nn.Parameter(0.02 * torch.randn(2, width))
        self.norm = _norm(width)
        self.blocks = nn.Sequential(
            *(
                TransformerBlock(
                    width,
                    EstimatedMixer(width, heads) if estimators else SoftmaxMixer(width, heads, bias=True),
                    MLP(width, inner, ACTIVATIONS[activation]),
                    norm=_norm,
                    order="post",
                    bits=bits,
                )
                for _ in range(layers)
            )
        )
        self.pooler = nn.Linear(width, width)

    def forward(self, tokens: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        x = self.norm(self.words(tokens) + self.positions[: tokens.shape[1]] + self.segments[0])
        x = self.blocks(x)
        return x, torch.tanh(self.pooler(x[:, 0]))


def _norm(width: int) -> nn.LayerNorm:
    return nn.LayerNorm(width, eps=1e-12)  # BERT's config.json

"""T2T-ViT: neighbouring tokens are joined step by step before a deep and narrow transformer.

Yuan et al., Tokens-to-Token ViT, arXiv 2101.11986, section 3. A soft split unfolds overlapping patches of a
map into tokens; a small layer of width 64 mixes them, a transformer's (the `t` models) or Performer's, and
they are laid out as a map again::

    image --unfold 7/4/2--> mix --unfold 3/2/1--> mix --unfold 3/2/1--> linear --> backbone

The Performer's exponential features make attention linear in tokens (Choromanski et al., arXiv 2009.14794,
lemma 1): ``exp(q . k) = E[phi(q) . phi(k)]`` with ``phi(x) = exp(w x - |x|²/2) / sqrt(m)`` over m random w.
Shapes: B batch, N tokens, D width of an unfolded patch, E = 64 width of the mix, m features.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from siliform.models.blocks.channels import MLP
from siliform.models.blocks.transformer import TransformerBlock
from siliform.models.mixers.softmax import SoftmaxMixer
from siliform.models.networks.plain_vit import PlainViT, layer_norm

#: (kernel, stride, padding) of the three soft splits (arXiv 2101.11986, section 3.1).
SPLITS = ((7, 4, 2), (3, 2, 1), (3, 2, 1))
#: Added to the sum of similarities (the authors' code, token_performer.py, epsilon).
TINY = 1e-8


class TokenMix(nn.Module):
    """What follows a soft split: [B, N, D] -> [B, N, E], attention of one head, then an MLP of equal width.

    The residual is the value's projection, since D is not E.
    """

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.width = width
        self.norm = layer_norm(inputs)
        self.project = nn.Linear(width, width)
        self.mlp_norm = layer_norm(width)
        self.mlp = MLP(width, width)

    def behind(self, mixed: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
        """The layer behind its attention: `mixed` and `value` [B, N, E] -> [B, N, E]."""
        x = value + self.project(mixed)
        after: torch.Tensor = x + self.mlp(self.mlp_norm(x))
        return after


class TokenTransformer(TokenMix):
    """Softmax attention between all tokens: 2 N² E."""

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__(inputs, width)
        self.qkv = nn.Linear(inputs, 3 * width, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        q, k, v = self.qkv(self.norm(x)).unsqueeze(1).chunk(3, dim=-1)
        mixed = functional.scaled_dot_product_attention(q, k, v)
        return self.behind(mixed.squeeze(1), v.squeeze(1))


class TokenPerformer(TokenMix):
    """Attention by m = E / 2 positive random features: 2 N E m for it, 2 N E m for the features."""

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__(inputs, width)
        self.kqv = nn.Linear(inputs, 3 * width)
        count = width // 2
        drawn = torch.linalg.qr(torch.randn(width, count)).Q.T
        self.features = nn.Parameter(drawn * count**0.5, requires_grad=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        k, q, v = self.kqv(self.norm(x)).chunk(3, dim=-1)
        q, k = positive_features(q, self.features), positive_features(k, self.features)
        total = q @ k.sum(dim=1).unsqueeze(-1)
        mixed = q @ (k.transpose(1, 2) @ v) / (total + TINY)
        return self.behind(mixed, v)


def positive_features(x: torch.Tensor, drawn: torch.Tensor) -> torch.Tensor:
    """``exp(w x - |x|² / 2) / sqrt(m)``: x [B, N, E], w [m, E] -> [B, N, m]."""
    half = x.square().sum(dim=-1, keepdim=True) / 2
    return torch.exp(x @ drawn.T - half) / drawn.shape[0] ** 0.5


class SoftSplits(nn.Module):
    """[B, 3, P, P] -> [B, (P / 16)², W] by three soft splits with a mix behind the first two."""

    def __init__(self, width: int, softmax: bool, token_width: int) -> None:
        super().__init__()
        mix = TokenTransformer if softmax else TokenPerformer
        (first, *_), (second, *_), (third, *_) = SPLITS
        self.mixes = nn.ModuleList(
            (mix(3 * first**2, token_width), mix(token_width * second**2, token_width))
        )
        self.project = nn.Linear(token_width * third**2, width)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        x = image
        for mix, (kernel, stride, padding) in zip(self.mixes, SPLITS, strict=False):
            side = (x.shape[-1] + 2 * padding - kernel) // stride + 1
            x = mix(functional.unfold(x, kernel, padding=padding, stride=stride).transpose(1, 2))
            x = x.transpose(1, 2).unflatten(2, (side, side))
        kernel, stride, padding = SPLITS[-1]
        tokens = functional.unfold(x, kernel, padding=padding, stride=stride).transpose(1, 2)
        projected: torch.Tensor = self.project(tokens)
        return projected


class BiasedOut(SoftmaxMixer):
    """Softmax attention whose last projection alone has a bias (the authors' transformer_block.py)."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__(width, heads)
        self.out = nn.Linear(width, width)


class T2TViT(PlainViT):
    """An image [B, 3, P, P], P a multiple of 16, -> scores [B, classes].

    `softmax` chooses what mixes the tokens between the splits. MLPs of 3 W and tokens of 64 between the
    splits are those of arXiv 2101.11986, table 1.
    """

    def __init__(
        self,
        image_pixels: int,
        width: int,
        layers: int,
        heads: int,
        softmax: bool = False,
        mlp_ratio: int = 3,
        token_width: int = 64,
        classes: int = 1000,
    ) -> None:
        blocks = [
            TransformerBlock(width, BiasedOut(width, heads), MLP(width, mlp_ratio * width), norm=layer_norm)
            for _ in range(layers)
        ]
        tokens = (image_pixels // 16) ** 2 + 1
        super().__init__(SoftSplits(width, softmax, token_width), tokens, width, blocks, classes, "sine")

"""BERT without padding: ByteTransformer, and MosaicBERT.

ByteTransformer (Zhai et al., arXiv 2210.03052): the tokens of all sequences lie behind one another from the
first layer to the last; every product runs over them alone, and attention in each sequence by itself.
MosaicBERT (Portes et al., arXiv 2312.17482, section 2): the layers' products run over the tokens alone, but
attention over the padded batch, whose scores a bias hides and ALiBi shifts; the MLP is a gated GELU, and
there are no position embeddings. Shapes: B sequences, L the longest, T tokens of all, W width, H heads, c = W
/ H.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import nn
from torch.nn import functional

from siliform.models.blocks.channels import MLP, GatedMLP
from siliform.models.blocks.packed import Packing, padded
from siliform.models.drawing import Draw

NORM_EPSILON = 1e-12  # arXiv 1810.04805, the authors' modeling.py
#: q, k, v [T, H, c] -> [T, H, c].
Attend = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]


class PackedLayer(nn.Module):
    """A layer of BERT over rows [T, W], with whatever attends."""

    def __init__(self, width: int, heads: int, channel: nn.Module) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.mixer_norm = nn.LayerNorm(width, eps=NORM_EPSILON)
        self.channel = channel
        self.channel_norm = nn.LayerNorm(width, eps=NORM_EPSILON)

    def forward(self, x: torch.Tensor, attend: Attend) -> torch.Tensor:
        q, k, v = (part.unflatten(-1, (self.heads, -1)) for part in self.qkv(x).chunk(3, dim=-1))
        x = self.mixer_norm(x + self.out(attend(q, k, v).flatten(1)))
        normed: torch.Tensor = self.channel_norm(x + self.channel(x))
        return normed


class PackedBert(nn.Module):
    """``forward(tokens [B, L]) -> [B, L, W]``, zeros where there is no token.

    Parameters
    ----------
    shares : lengths of the sequences of a batch as shares of L, taken in turn where B is more; what lies
        behind a sequence does not matter.
    positions : rows of the table of positions; 0 for none.
    """

    def __init__(
        self,
        vocabulary: int,
        width: int,
        layers: int,
        heads: int,
        shares: Sequence[float],
        positions: int,
        channel: Callable[[], nn.Module],
    ) -> None:
        super().__init__()
        self.shares, self.heads = tuple(shares), heads
        self.words, self.kinds = nn.Embedding(vocabulary, width), nn.Embedding(2, width)
        self.places = nn.Embedding(positions, width) if positions else None
        self.norm = nn.LayerNorm(width, eps=NORM_EPSILON)
        self.layers = nn.ModuleList(PackedLayer(width, heads, channel()) for _ in range(layers))

    def packing(self, batch: int, longest: int) -> Packing:
        """Where the tokens of the sequences lie."""
        shares = [self.shares[i % len(self.shares)] for i in range(batch)]
        return Packing.tight([max(1, round(share * longest)) for share in shares])

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        packing = self.packing(*tokens.shape)
        return self.through(tokens, packing, packing.attended)

    def through(self, tokens: torch.Tensor, packing: Packing, attend: Attend) -> torch.Tensor:
        """Tokens packed, embedded, through the layers, and padded again."""
        rows = tokens.flatten()[packing.in_batch(tokens.shape[1]).to(tokens.device)]
        x = self.words(rows) + self.kinds(torch.zeros_like(rows))
        if self.places is not None:
            x = x + self.places(packing.positions().to(tokens.device))
        x = self.norm(x)
        for layer in self.layers:
            x = layer(x, attend)
        return padded(x, packing.in_rows(tokens.shape[1]).to(tokens.device))

    def example_inputs(self, batch: int, length: int, draw: Draw) -> tuple[torch.Tensor, ...]:
        """As many sequences as there are shares, `batch` times."""
        return (draw.integers(batch * len(self.shares), length, below=self.words.num_embeddings),)


class ByteTransformer(PackedBert):
    """No padding anywhere; so many `positions` have embeddings."""

    def __init__(
        self,
        vocabulary: int,
        width: int,
        layers: int,
        heads: int,
        inner: int,
        positions: int,
        shares: Sequence[float],
    ) -> None:
        super().__init__(vocabulary, width, layers, heads, shares, positions, lambda: MLP(width, inner))


def slopes(heads: int) -> torch.Tensor:
    """ALiBi's slope of each head, [H]: ``2 ** (-8 (h + 1) / H)`` (arXiv 2108.12409, section 3).

    Between powers of two the authors add every second slope of the next power.
    """
    power = 1 << (heads.bit_length() - 1)
    if power == heads:
        return 2.0 ** (-8 * torch.arange(1, heads + 1) / heads)
    return torch.cat((slopes(power), slopes(2 * power)[::2][: heads - power]))


class MosaicBert(PackedBert):
    """``forward(tokens [B, L], present [B, L]) -> [B, L, W]``; `present` is 1 where there is a token, else 0.

    Products run over tokens alone, attention over the padded batch under a bias [B, H, L, L] that all layers
    share, and which is made from `present` as the authors do.
    """

    slope: torch.Tensor

    def __init__(
        self, vocabulary: int, width: int, layers: int, heads: int, inner: int, shares: Sequence[float]
    ) -> None:
        super().__init__(vocabulary, width, layers, heads, shares, 0, lambda: GatedMLP(width, inner, nn.GELU))
        self.register_buffer("slope", slopes(heads).view(heads, 1, 1), persistent=False)

    def forward(self, tokens: torch.Tensor, present: torch.Tensor) -> torch.Tensor:  # type: ignore[override]
        packing = self.packing(*tokens.shape)
        return self.through(tokens, packing, self.in_batch(packing, present))

    def in_batch(self, packing: Packing, present: torch.Tensor) -> Attend:
        """Attention over the batch; a token sees every other of its sequence, the less the farther it is."""
        longest, dtype = present.shape[1], self.words.weight.dtype
        line = torch.arange(longest, device=present.device)
        distance = (line.unsqueeze(1) - line).abs().to(dtype)
        hidden = (1 - present.to(dtype)) * torch.finfo(dtype).min
        bias = hidden[:, None, None] - self.slope.to(dtype) * distance
        back = packing.in_batch(longest).to(present.device)
        places = packing.in_rows(longest).to(present.device)

        def attend(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
            q, k, v = (padded(x, places).transpose(1, 2) for x in (q, k, v))
            mixed = functional.scaled_dot_product_attention(q, k, v, bias)
            return mixed.transpose(1, 2).flatten(0, 1)[back]

        return attend

    def example_inputs(self, batch: int, length: int, draw: Draw) -> tuple[torch.Tensor, ...]:
        """As many sequences as there are shares, `batch` times, and where their tokens are."""
        (tokens,) = super().example_inputs(batch, length, draw)
        packing = self.packing(*tokens.shape)
        if draw.seed is None:
            return tokens, torch.empty_like(tokens)
        return tokens, (packing.in_rows(length) < packing.rows).long()

"""BUS: patches are chosen by what a text says, then summed up by a few queries.

Jiang et al., BUS: Efficient and Effective Vision-Language Pre-training with Bottom-Up Patch Summarization,
arXiv 2307.08504, section 3. In the middle of a vision transformer a selector scores every patch together with
the text; the best stay and the rest become one token, their mean by score. Behind the last layer an
abstraction decoder begins with the best patches and lets them attend to themselves and to all that is left.
Shapes: B batch, P pixels on a side, N tokens with the class token, W width, M patches that stay, K summaries.
"""

from __future__ import annotations

from math import ceil

import torch
from torch import nn

from siliform.models.blocks.channels import MLP
from siliform.models.blocks.cross_attention import CrossAttention
from siliform.models.blocks.selection import best, rows_at
from siliform.models.blocks.transformer import TransformerBlock
from siliform.models.drawing import Draw
from siliform.models.mixers.softmax import SoftmaxMixer
from siliform.models.networks.plain_vit import PatchTokens, layer_norm


class PatchScores(nn.Module):
    """Patches x [B, N, W] with a text [B, W] -> scores [B, N], between 0 and 1.

    A layer over patch and text side by side: its part on the text is computed once, not for every patch.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.patch = nn.Linear(width, width)
        self.text = nn.Linear(width, width, bias=False)
        self.score = nn.Linear(width, 1)

    def forward(self, x: torch.Tensor, text: torch.Tensor) -> torch.Tensor:
        hidden = nn.functional.gelu(self.patch(x) + self.text(text).unsqueeze(1))
        return torch.sigmoid(self.score(hidden)).squeeze(-1)


def selected(x: torch.Tensor, scores: torch.Tensor, kept: int) -> torch.Tensor:
    """x [B, 1 + N, W] -> [B, 2 + M, W]: class token, the M = `kept` best patches, the mean of the others."""
    order = scores.argsort(dim=-1, descending=True)
    chosen, others = order[:, :kept], order[:, kept:]
    patches = x[:, 1:]
    weight = rows_at(scores.unsqueeze(-1), others, lead=1)
    fused = (rows_at(patches, others, lead=1) * weight).sum(dim=1, keepdim=True) / weight.sum(1, keepdim=True)
    return torch.cat((x[:, :1], rows_at(patches, chosen, lead=1), fused), dim=1)


class AbstractionLayer(nn.Module):
    """Queries among themselves, then to all patches, then an MLP: [B, K, W], [B, N, W] -> [B, K, W]."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.own = TransformerBlock(width, SoftmaxMixer(width, heads, bias=True), None, norm=layer_norm)
        self.cross_norm, self.cross = layer_norm(width), CrossAttention(width, heads)
        self.mlp_norm, self.mlp = layer_norm(width), MLP(width, 4 * width)

    def forward(self, x: torch.Tensor, seen: torch.Tensor) -> torch.Tensor:
        x = self.own(x)
        x = x + self.cross(self.cross_norm(x), seen)
        x = x + self.mlp(self.mlp_norm(x))
        return x


class Bus(nn.Module):
    """An image [B, 3, P, P] and a text [B, W] -> summaries [B, K, W].

    Parameters
    ----------
    select_at : layer behind which patches are chosen.
    kept : share of the patches that stay there.
    summaries : K.
    abstraction_layers : of the decoder.
    """

    def __init__(
        self,
        image_pixels: int,
        patch: int,
        width: int,
        layers: int,
        heads: int,
        select_at: int,
        kept: float,
        summaries: int,
        abstraction_layers: int,
    ) -> None:
        super().__init__()
        patches = (image_pixels // patch) ** 2
        self.image_pixels, self.width = image_pixels, width
        self.kept, self.summaries = ceil(patches * kept), summaries
        self.embed = PatchTokens(patch, width)
        self.class_token = nn.Parameter(torch.zeros(1, 1, width))
        self.positions = nn.Parameter(torch.randn(1, patches + 1, width) * 0.02)
        blocks = [
            TransformerBlock(
                width, SoftmaxMixer(width, heads, bias=True), MLP(width, 4 * width), norm=layer_norm
            )
            for _ in range(layers)
        ]
        self.before, self.after = nn.Sequential(*blocks[:select_at]), nn.Sequential(*blocks[select_at:])
        self.selector, self.abstractor = PatchScores(width), PatchScores(width)
        self.norm = layer_norm(width)
        self.decoder = nn.ModuleList(AbstractionLayer(width, heads) for _ in range(abstraction_layers))

    def forward(self, image: torch.Tensor, text: torch.Tensor) -> torch.Tensor:
        x = self.embed(image)
        x = torch.cat((self.class_token.expand(x.shape[0], -1, -1), x), dim=1) + self.positions
        x = self.before(x)
        x = self.after(selected(x, self.selector(x[:, 1:], text), self.kept))
        seen = self.norm(x)
        few = rows_at(seen, best(self.abstractor(seen, text), self.summaries), lead=1)
        for layer in self.decoder:
            few = layer(few, seen)
        return few

    def example_inputs(self, batch: int, length: int, draw: Draw) -> tuple[torch.Tensor, ...]:
        """An image and a text."""
        dtype = self.positions.dtype
        image = draw.normal(batch, 3, self.image_pixels, self.image_pixels, dtype=dtype)
        return image, draw.normal(batch, self.width, dtype=dtype, stream=1)

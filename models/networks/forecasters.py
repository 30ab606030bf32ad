"""Forecasters of many series at once, whose tokens are whole series: iTransformer and Gateformer.

Liu et al., iTransformer: Inverted Transformers Are Effective for Time Series Forecasting, arXiv 2310.06625:
each variate's past becomes one token, attention runs between variates, and each token is projected to its
variate's future. Lan, Alyakin and Oermann, Gateformer, arXiv 2505.00307: a variate's token is mixed, by a
gate, from attention over the patches of its past and from an MLP on all of it; a second gate mixes what
attention between variates makes of it with the token itself. Both normalise a series by its own mean and
deviation and put these back (Liu et al., Non-stationary Transformers, arXiv 2205.14415). Shapes: B batch, L
past steps, V variates, F future steps, W width, P patches.
"""

from __future__ import annotations

import torch
from torch import nn

from siliform.models.blocks.channels import MLP
from siliform.models.blocks.transformer import TransformerBlock
from siliform.models.mixers.softmax import SoftmaxMixer


def blocks(width: int, heads: int, layers: int, inner: int) -> nn.Sequential:
    """Post-norm encoder layers with biases, as both papers use."""
    return nn.Sequential(
        *(
            TransformerBlock(width, SoftmaxMixer(width, heads, bias=True), MLP(width, inner), order="post")
            for _ in range(layers)
        )
    )


class Forecaster(nn.Module):
    """``forward(past [B, L, V]) -> future [B, F, V]``; a subclass makes tokens [B, V, W] of series [B, V, L].

    Parameters
    ----------
    width : V; it is the width of the stream that goes in.
    sequence, horizon : L and F.
    inside, heads, layers, inner : W, heads, blocks between variates, and the width inside their MLPs.
    """

    def __init__(
        self, width: int, sequence: int, horizon: int, inside: int, heads: int, layers: int, inner: int
    ) -> None:
        super().__init__()
        self.between = blocks(inside, heads, layers, inner)
        self.norm = nn.LayerNorm(inside)
        self.head = nn.Linear(inside, horizon)

    def forward(self, past: torch.Tensor) -> torch.Tensor:
        mean = past.mean(1, keepdim=True)
        centred = past - mean
        deviation = (centred.square().mean(1, keepdim=True) + 1e-5).sqrt()
        future: torch.Tensor = self.head(self.mixed((centred / deviation).transpose(1, 2))).transpose(1, 2)
        return future * deviation + mean

    def mixed(self, series: torch.Tensor) -> torch.Tensor:
        """Tokens [B, V, W] of normalised series [B, V, L]."""
        raise NotImplementedError


class ITransformer(Forecaster):
    """One linear layer makes a token of a series."""

    def __init__(
        self, width: int, sequence: int, horizon: int, inside: int, heads: int, layers: int, inner: int
    ) -> None:
        super().__init__(width, sequence, horizon, inside, heads, layers, inner)
        self.embed = nn.Linear(sequence, inside)

    def mixed(self, series: torch.Tensor) -> torch.Tensor:
        made: torch.Tensor = self.norm(self.between(self.embed(series)))
        return made


class Gate(nn.Module):
    """``g a + (1 - g) b`` with ``g = sigmoid([a, b] M + m)``: a and b [..., W] -> [..., W]."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weigh = nn.Linear(2 * width, width)

    def forward(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        share = torch.sigmoid(self.weigh(torch.cat([a, b], dim=-1)))
        return share * a + (1 - share) * b


class Gateformer(Forecaster):
    """Patches of `patch` steps every `stride`, the last one repeated to fill, attend within their variate.

    16 and 8 are those of PatchTST (Nie et al., arXiv 2211.14730, section 4.1), which first cut series so.
    """

    def __init__(
        self,
        width: int,
        sequence: int,
        horizon: int,
        inside: int,
        heads: int,
        layers: int,
        inner: int,
        patch: int = 16,
        stride: int = 8,
    ) -> None:
        super().__init__(width, sequence, horizon, inside, heads, layers, inner)
        self.patch, self.stride = patch, stride
        patches = (sequence - patch) // stride + 2
        self.embed = nn.Linear(patch, inside)
        self.positions = nn.Parameter(torch.randn(patches, inside) * 0.02)
        self.within = blocks(inside, heads, 1, inner)
        self.join = nn.Linear(patches * inside, inside)
        self.whole = nn.Sequential(nn.Linear(sequence, inside), nn.GELU(), nn.Linear(inside, inside))
        self.of_time, self.of_variates = Gate(inside), Gate(inside)

    def mixed(self, series: torch.Tensor) -> torch.Tensor:
        filled = torch.cat([series, series[..., -1:].expand(-1, -1, self.stride)], dim=-1)
        patches = self.embed(filled.unfold(-1, self.patch, self.stride)) + self.positions
        local = self.join(self.within(patches.flatten(0, 1)).flatten(1)).unflatten(0, series.shape[:2])
        token = self.of_time(local, self.whole(series))
        made: torch.Tensor = self.norm(self.of_variates(self.between(token), token))
        return made

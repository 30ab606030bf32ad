"""The block that every network here is made of: a token mixer and a channel mixer, each behind a norm.

Yu et al., MetaFormer Is Actually What You Need for Vision (arXiv 2111.11418), equations 2 and 3, with a place
between the two for a reducer of tokens. Shapes: B batch, N tokens, W width of the stream.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import nn

#: Makes a norm over the last axis of the width that it is given.
Norm = Callable[[int], nn.Module]


class TransformerBlock(nn.Module):
    """``x + mixer(norm(x))``, then ``reducer``, then ``x + channel(norm(x))``: x [B, N, W] -> [B, N', W].

    Parameters
    ----------
    width : W.
    mixer : of tokens, [B, N, W] -> [B, N, W]. Where the reducer asks for evidence, it also has a method
        ``with_keys`` or ``with_weights`` that returns what it mixed together with its keys [B, H, N, c] or
        its attention weights [B, H, N, N].
    channel : of channels, [B, N, W] -> [B, N, W]; None for a block that only mixes tokens.
    norm : makes each norm.
    reducer : of tokens, ``reducer(x, evidence)`` -> [B, N', W] with fewer of them; its attribute `evidence`
        is "keys", "weights" or "none".
    order : "pre" norms what a branch reads (arXiv 2002.04745), "post" the sum behind it (arXiv 1706.03762).
    bits : quantisation policy of the block's products, as the command line's ``--bits`` writes it; None
        leaves them to whoever estimates. A trace by `build_graph` assigns it.
    """

    def __init__(
        self,
        width: int,
        mixer: nn.Module,
        channel: nn.Module | None,
        norm: Norm = nn.LayerNorm,
        reducer: nn.Module | None = None,
        order: Literal["pre", "post"] = "pre",
        bits: str | None = None,
    ) -> None:
        super().__init__()
        self.mixer_norm, self.mixer = norm(width), mixer
        self.reducer = reducer
        self.channel_norm = None if channel is None else norm(width)
        self.channel = channel
        self.order, self.bits = order, bits

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        pre = self.order == "pre"
        mixed, evidence = self._mixed(self.mixer_norm(x) if pre else x)
        x = x + mixed if pre else self.mixer_norm(x + mixed)
        if self.reducer is not None:
            x = self.reducer(x, evidence)
        if self.channel is None or self.channel_norm is None:
            return x
        if pre:
            return x + self.channel(self.channel_norm(x))
        normed: torch.Tensor = self.channel_norm(x + self.channel(x))
        return normed

    def _mixed(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
        asked = "none" if self.reducer is None else self.reducer.evidence
        if asked == "none":
            return self.mixer(x), None
        mixed: tuple[torch.Tensor, torch.Tensor] = getattr(self.mixer, f"with_{asked}")(x)
        return mixed

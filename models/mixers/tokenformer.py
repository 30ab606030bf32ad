"""TokenFormer's attention: softmax attention whose four projections attend to parameters as tokens.

Wang et al., TokenFormer, arXiv 2410.23168, section 3.2; `Pattention` is their layer. The authors turn the
first quarter of a head's numbers by rotary positions (their configuration, rotary_pct 0.25). Shapes: B batch,
N tokens, W width, n parameter tokens, c width of a head.
"""

from __future__ import annotations

import torch

from siliform.models.blocks.pattention import Pattention
from siliform.models.blocks.rotary import ROTARY_BASE, angles, frequencies, turned_part
from siliform.models.mixers.softmax import HeadMixer


class TokenFormerMixer(HeadMixer):
    """Self-attention, x [B, N, W] -> [B, N, W].

    Parameters
    ----------
    tokens : n of each projection; W where None, which costs twice a linear layer.
    causal : whether a token sees none behind it.
    rotary_base : of the positions.
    """

    def __init__(
        self,
        width: int,
        heads: int,
        tokens: int | None = None,
        causal: bool = False,
        rotary_base: float = ROTARY_BASE,
    ) -> None:
        super().__init__(width, heads, causal=causal)
        self.rotary_base = rotary_base
        for name in ("query", "key", "value", "out"):
            setattr(self, name, Pattention(width, width, tokens or width))

    def projected(self, x: torch.Tensor, first: int = 0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        q, k, v = super().projected(x, first)
        angle = angles(x.shape[1], frequencies(self.head_width // 4, self.rotary_base, x), first)
        return turned_part(q, angle), turned_part(k, angle), v

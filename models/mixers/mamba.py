"""The mixer of Mamba with the sizes that its paper gives it for a width.

Gu and Dao, Mamba: Linear-Time Sequence Modeling with Selective State Spaces, arXiv 2312.00752, section 3.6:
the module is `siliform.models.blocks.mamba.Mixer`, its scan one operator.
"""

from __future__ import annotations

from siliform.models.blocks.mamba import Mixer


class MambaMixer(Mixer):
    """x [B, N, W] -> [B, N, W], causal.

    Parameters
    ----------
    width : W; the step sizes have a rank of W / 16.
    heads : of other mixers; here every channel has a state of its own.
    expand, states, taps : inner width over W (2: arXiv 2312.00752, section 3.4), states per channel and taps
        of the short convolution (16 and 4: defaults of the authors' code, state-spaces/mamba).
    """

    def __init__(self, width: int, heads: int, expand: int = 2, states: int = 16, taps: int = 4) -> None:
        super().__init__(width, expand * width, states, taps, -(-width // 16))

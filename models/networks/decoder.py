"""A language model whose layers are given by a pattern: Mamba-2, attention, MLP, in any order.

Waleffe et al., An Empirical Study of Mamba-based Language Models, arXiv 2406.07887, section 3: every layer is
``x + part(norm(x))`` with one part, written M (Mamba-2), * (attention) or - (MLP). P is the layer of
Phi-Mamba (arXiv 2408.10189), whose mixer and MLP read the same norm. Shapes: B batch, N tokens, W width.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import nn
from torch.nn import functional

from siliform.models.blocks.channels import MLP
from siliform.models.blocks.decoding import Advancing
from siliform.models.blocks.rotary import ROTARY_BASE
from siliform.models.blocks.transformer import TransformerBlock
from siliform.models.mixers.mamba2 import Mamba2Mixer
from siliform.models.mixers.phi_mamba import PhiMambaMixer
from siliform.models.mixers.softmax import SoftmaxMixer
from siliform.models.networks.token_model import TokenModel


class SquaredReLU(nn.Module):
    """relu(x)² (So et al., Primer, arXiv 2109.08668)."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return functional.relu(x).square()


class Parallel(Advancing):
    """A mixer and an MLP beside each other: ``mixer(x) + mlp(x)``."""

    def __init__(self, mixer: PhiMambaMixer, mlp: MLP) -> None:
        super().__init__()
        self.width, self.mixer, self.mlp = mixer.width, mixer, mlp

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mixed: torch.Tensor = self.mixer(x) + self.mlp(x)
        return mixed

    def state_shapes(self, context: int) -> tuple[tuple[int, ...], ...]:
        """As the mixer's."""
        return self.mixer.state_shapes(context)

    def advance(self, x: torch.Tensor, *states: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """One token: as the mixer's, the MLP beside it."""
        mixed, *after = self.mixer.advance(x, *states)
        return (mixed + self.mlp(x), *after)


class Decoder(TokenModel):
    """``forward(tokens [B, N]) -> logits [B, N, vocabulary]``.

    Parameters
    ----------
    vocabulary, width, heads : heads of attention; those of Mamba-2 are as wide as `mamba_head`.
    pattern : a letter for each layer.
    kv_heads : of attention; as many as `heads` where None.
    inner : width of the MLP.
    activation : of the MLP, which has biases with "gelu" alone.
    states, groups, chunk : of Mamba-2, with `Mamba2Mixer`'s sources.
    mamba_head : width of a head of Mamba-2; 64 is the default of the authors' code (state-spaces/mamba).
    rotary : share of an attention head that turns with the position.
    norm : "rms" or "layer".
    tied : whether the output layer is the embedding; `bias` of one that is not.
    """

    def __init__(
        self,
        vocabulary: int,
        width: int,
        pattern: str,
        heads: int = 1,
        kv_heads: int | None = None,
        inner: int = 0,
        activation: Literal["squared-relu", "gelu"] = "squared-relu",
        states: int = 128,
        groups: int = 1,
        chunk: int = 256,
        mamba_head: int = 64,
        rotary: float = 0.0,
        norm: Literal["rms", "layer"] = "rms",
        tied: bool = False,
        bias: bool = False,
    ) -> None:
        def part(letter: str) -> nn.Module:
            if letter == "M":
                return Mamba2Mixer(width, width // mamba_head, states, groups, chunk=chunk)
            if letter == "*":
                base = ROTARY_BASE if rotary else None
                return SoftmaxMixer(
                    width, heads, kv_heads=kv_heads, causal=True, rotary_base=base, rotary_share=rotary
                )
            gelu = activation == "gelu"
            mlp = MLP(width, inner, (lambda: nn.GELU("tanh")) if gelu else SquaredReLU, bias=gelu)
            if letter == "P":
                return Parallel(PhiMambaMixer(width, heads, states, chunk=chunk), mlp)
            return mlp

        def normed(size: int) -> nn.Module:
            return nn.RMSNorm(size, eps=1e-5) if norm == "rms" else nn.LayerNorm(size)

        blocks = (TransformerBlock(width, part(letter), None, normed) for letter in pattern)
        super().__init__(vocabulary, width, blocks, normed(width), tied, bias)

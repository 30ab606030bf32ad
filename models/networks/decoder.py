"""A language model whose layers are given by a pattern: Mamba-2, attention, MLP, in any order.

Waleffe et al., An Empirical Study of Mamba-based Language Models, arXiv 2406.07887, section 3: every layer is
``x + part(norm(x))`` with one part, written M (Mamba-2), * (attention) or - (MLP). P is the layer of
Phi-Mamba (arXiv 2408.10189), whose mixer and MLP read the same norm. Shapes: B batch, N tokens, W width.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, cast

import torch
from torch import nn
from torch.nn import functional

from siliform.models.blocks.channels import MLP
from siliform.models.blocks.rotary import ROTARY_BASE
from siliform.models.blocks.transformer import TransformerBlock
from siliform.models.drawing import Draw
from siliform.models.mixers.mamba2 import Mamba2Mixer
from siliform.models.mixers.phi_mamba import PhiMambaMixer
from siliform.models.mixers.softmax import SoftmaxMixer

#: Parameters of `DecoderStep.forward` that live across calls.
STATES = ("windows", "recurrences", "keys", "values")


class SquaredReLU(nn.Module):
    """relu(x)² (So et al., Primer, arXiv 2109.08668)."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return functional.relu(x).square()


class CachedAttention(SoftmaxMixer):
    """Causal attention that tells what it keeps."""

    def kept(self, context: int) -> dict[str, tuple[int, ...]]:
        """Keys and values of all tokens so far."""
        cache = (self.kv_heads, context, self.head_width)
        return {"keys": cache, "values": cache}


class Parallel(nn.Module):
    """A mixer and an MLP beside each other: ``mixer(x) + mlp(x)``."""

    def __init__(self, mixer: PhiMambaMixer, mlp: MLP) -> None:
        super().__init__()
        self.mixer, self.mlp = mixer, mlp

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mixed: torch.Tensor = self.mixer(x) + self.mlp(x)
        return mixed

    def kept(self, context: int) -> dict[str, tuple[int, ...]]:
        """As the mixer's."""
        return self.mixer.kept(context)

    def advance(
        self, x: torch.Tensor, window: torch.Tensor, state: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """One token: as the mixer's, the MLP beside it."""
        mixed, window, state = self.mixer.advance(x, window, state)
        return mixed + self.mlp(x), window, state


class Decoder(nn.Module):
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
        super().__init__()

        def part(letter: str) -> nn.Module:
            if letter == "M":
                return Mamba2Mixer(width, width // mamba_head, states, groups, chunk=chunk)
            if letter == "*":
                base = ROTARY_BASE if rotary else None
                return CachedAttention(
                    width, heads, kv_heads=kv_heads, causal=True, rotary_base=base, rotary_share=rotary
                )
            gelu = activation == "gelu"
            mlp = MLP(width, inner, (lambda: nn.GELU("tanh")) if gelu else SquaredReLU, bias=gelu)
            if letter == "P":
                return Parallel(PhiMambaMixer(width, heads, states, chunk=chunk), mlp)
            return mlp

        def normed(size: int) -> nn.Module:
            return nn.RMSNorm(size, eps=1e-5) if norm == "rms" else nn.LayerNorm(size)

        self.embedding = nn.Embedding(vocabulary, width)
        self.layers = nn.ModuleList(TransformerBlock(width, part(x), None, normed) for x in pattern)
        self.norm = normed(width)
        self.head = nn.Linear(width, vocabulary, bias=bias)
        if tied:
            self.head.weight = self.embedding.weight

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        x = self.embedding(tokens)
        for layer in self.layers:
            x = layer(x)
        logits: torch.Tensor = self.head(self.norm(x))
        return logits

    @property
    def parts(self) -> list[nn.Module]:
        """What each layer is made of."""
        return [cast(TransformerBlock, layer).mixer for layer in self.layers]

    def decoding(
        self, batch: int, context: int, draw: Draw
    ) -> tuple[nn.Module, tuple[object, ...], tuple[str, ...]]:
        """The module of one more token behind `context` of them, its inputs, and those that are states."""
        dtype = self.embedding.weight.dtype
        states: dict[str, list[torch.Tensor]] = {name: [] for name in STATES}
        stream = 10
        for part in self.parts:
            for name, shape in kept_by(part, context).items():
                states[name].append(draw.normal(batch, *shape, dtype=dtype, stream=stream))
                stream += 1
        token = draw.integers(batch, 1, below=self.embedding.num_embeddings)
        used = tuple(name for name in STATES if states[name])
        return DecoderStep(self), (token, *states.values()), used


def kept_by(part: nn.Module, context: int) -> dict[str, tuple[int, ...]]:
    """Shapes of what a layer keeps from one token to the next, by the parameter that takes it; often none."""
    kept: Callable[[int], dict[str, tuple[int, ...]]] | None = getattr(part, "kept", None)
    return {} if kept is None else kept(context)


class DecoderStep(nn.Module):
    """One new token of a `Decoder`.

    ``forward(token [B, 1], windows, recurrences, keys, values)`` takes of every layer what it keeps; it
    returns the logits [B, 1, vocabulary], then the same after the token.
    """

    def __init__(self, model: Decoder) -> None:
        super().__init__()
        self.model = model

    def forward(
        self,
        token: torch.Tensor,
        windows: list[torch.Tensor],
        recurrences: list[torch.Tensor],
        keys: list[torch.Tensor],
        values: list[torch.Tensor],
    ) -> tuple[torch.Tensor, ...]:
        model = self.model
        left = {"windows": iter(windows), "recurrences": iter(recurrences)}
        left |= {"keys": iter(keys), "values": iter(values)}
        after: list[torch.Tensor] = []
        x = model.embedding(token)
        for layer in model.layers:
            part, normed = cast(TransformerBlock, layer).mixer, cast(TransformerBlock, layer).mixer_norm(x)
            names = kept_by(part, 1)
            if names:
                advance: Callable[..., list[torch.Tensor]] = part.advance  # type: ignore[assignment]
                mixed, *kept = advance(normed, *(next(left[name]) for name in names))
                after += kept
            else:
                mixed = part(normed)
            x = x + mixed
        return (model.head(model.norm(x)), *after)

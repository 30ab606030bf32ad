"""Mamba: a language model whose mixer is a selective state space, with the scan as one operator.

Gu and Dao, Mamba: Linear-Time Sequence Modeling with Selective State Spaces, arXiv 2312.00752. Shapes:
B batch, T tokens, W width of the stream, D inner width, N states per channel, R rank of the step
size.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import nn
from torch.nn import functional

from siliform.kernels import selective_scan
from siliform.models.blocks.causal_conv import CausalConv


class Mixer(nn.Module):
    """Short causal convolution, selective scan, gate.

    The state of a channel follows ``h = exp(step * a) h + step * b * x`` and is read as
    ``y = c . h``; step, b and c depend on the token, a does not (section 3.2).
    """

    def __init__(self, width: int, inner: int, states: int, taps: int, step_rank: int) -> None:
        super().__init__()
        self.states, self.step_rank = states, step_rank
        self.in_proj = nn.Linear(width, 2 * inner, bias=False)
        self.conv = CausalConv(inner, taps)
        self.select = nn.Linear(inner, step_rank + 2 * states, bias=False)
        self.step = nn.Linear(step_rank, inner)
        # Real S4D start (section 3.6): a = -(1, 2, ..., N) in every channel.
        start = torch.arange(1, states + 1, dtype=torch.float32).log().repeat(inner, 1)
        self.log_decay = nn.Parameter(start)
        self.skip = nn.Parameter(torch.ones(inner))
        self.out_proj = nn.Linear(inner, width, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """x [B, T, W] -> [B, T, W]."""
        signal, gate = self.in_proj(x).chunk(2, dim=-1)
        signal = functional.silu(self.conv(signal))
        parts = (signal, *self._selected(signal))  # [B, T, D], as the step; b and c [B, T, N]
        signal, step, b, c = (part.transpose(1, 2) for part in parts)
        scanned = selective_scan(signal, step, -torch.exp(self.log_decay), b, c, self.skip)
        return self.out_proj(scanned.transpose(1, 2) * functional.silu(gate))

    def advance(
        self, x: torch.Tensor, window: torch.Tensor, state: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """One token: x [B, W], window [B, D, taps - 1] of earlier signals, state [B, D, N].

        Returns the output [B, W], and the window and the state after it.
        """
        signal, gate = self.in_proj(x).chunk(2, dim=-1)
        signal, window = self.conv.advance(signal, window)
        signal = functional.silu(signal)
        step, b, c = self._selected(signal)
        kept = torch.exp(step.unsqueeze(-1) * -torch.exp(self.log_decay))
        state = kept * state + (step * signal).unsqueeze(-1) * b.unsqueeze(1)
        scanned = (state * c.unsqueeze(1)).sum(dim=-1) + signal * self.skip
        return self.out_proj(scanned * functional.silu(gate)), window, state

    def _selected(self, signal: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Step sizes [..., D], b and c [..., N] of signals [..., D]."""
        rank, b, c = self.select(signal).split([self.step_rank, self.states, self.states], dim=-1)
        return functional.softplus(self.step(rank)), b, c


class Mamba(nn.Module):
    """``forward(tokens [B, T]) -> logits [B, T, vocabulary]``; embedding and head share weights."""

    def __init__(
        self, vocabulary: int, width: int, layers: int, inner: int, states: int, taps: int, step_rank: int
    ) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, width)
        self.norms = nn.ModuleList(nn.RMSNorm(width, eps=1e-5) for _ in range(layers))
        self.mixers = nn.ModuleList(Mixer(width, inner, states, taps, step_rank) for _ in range(layers))
        self.norm = nn.RMSNorm(width, eps=1e-5)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        x = self.embedding(tokens)
        for norm, mixer in zip(self.norms, self.mixers, strict=True):
            x = x + mixer(norm(x))
        return functional.linear(self.norm(x), self.embedding.weight)


class MambaStep(nn.Module):
    """One new token of a `Mamba`.

    ``forward(token [B, 1], windows, recurrences)`` takes per layer the last signals
    [B, D, taps - 1] and the state [B, D, N]; it returns the logits [B, 1, vocabulary], then the
    windows and the states after the token.
    """

    def __init__(self, model: Mamba) -> None:
        super().__init__()
        self.model = model

    def forward(
        self, token: torch.Tensor, windows: list[torch.Tensor], recurrences: list[torch.Tensor]
    ) -> tuple[torch.Tensor, ...]:
        x = self.model.embedding(token).squeeze(1)
        after: list[tuple[torch.Tensor, torch.Tensor]] = []
        layers = zip(self.model.norms, self.model.mixers, windows, recurrences, strict=True)
        for norm, mixer, window, state in layers:
            mixed, window, state = cast(Mixer, mixer).advance(norm(x), window, state)
            after.append((window, state))
            x = x + mixed
        logits = functional.linear(self.model.norm(x), self.model.embedding.weight).unsqueeze(1)
        return (logits, *(window for window, _ in after), *(state for _, state in after))
